// The dashboard's other sections, in real Chromium, where journeys do not come by; and what is shown where
// there is nothing or no answer.
import { readFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { look, looks, rowWith } from '../support/browser.ts'
import { DashboardSetup } from '../support/dashboard-setup.ts'
import { PersonSession } from '../support/person-session.ts'
import { sharedPostgres } from '../support/postgres.ts'

const setup = new DashboardSetup()
let page: Page

const go = (section: string) => page.goto(setup.path(section))

const dialog = (name: string) => page.getByRole('dialog', { name })

describe.each(looks)('$name', (looked) => {
  test('a branch is made on a database of its own, found, and removed', async () => {
    const { project } = setup
    page = await setup.signedIn(looked)
    await go('branches')
    await page.getByText('No branches').waitFor()
    await look(page, 'no branches', looked)
    await page.getByRole('button', { name: 'New branch' }).click()
    const sheet = dialog('New branch')
    await sheet.getByLabel('Name').fill('preview')
    await sheet.getByLabel('Database').fill(project.database)
    await look(page, 'new branch', looked)
    await sheet.getByRole('button', { name: 'Make branch' }).click()
    await rowWith(page, 'Branches', 'preview').waitFor()
    await look(page, 'branches', looked)
    await page.getByRole('link', { name: 'preview' }).click()
    await page.getByRole('heading', { name: 'preview', level: 1 }).waitFor()
    await page.getByRole('navigation', { name: 'Project' }).getByText('Temporary access').click()
    await page.getByText('This is a branch: state and rules are those of').waitFor()
    await look(page, 'a branch', looked)
    await go('branches')
    await page.getByRole('button', { name: 'Remove preview' }).click()
    await dialog('Remove this branch?').getByText('The database itself is not touched').waitFor()
    await look(page, 'remove branch', looked)
    await page.getByRole('button', { name: 'Remove branch' }).click()
    await page.getByText('No branches').waitFor()
  })

  test('members come by their ID, become something else, and go; an invitation is withdrawn', async () => {
    const { pooler, project, owner } = setup
    const other = await pooler.person(await pooler.project())
    page = await setup.signedIn(looked)
    await go('members')
    await page.getByRole('button', { name: 'Add by ID' }).click()
    const add = dialog('Add a member')
    await add.getByLabel('User ID').fill('nobody')
    await add.getByRole('button', { name: 'Add' }).click()
    await add.getByRole('alert').waitFor()
    await look(page, 'add member', looked)
    await add.getByLabel('User ID').fill(other.userId)
    await add.getByLabel('As').selectOption('read_only')
    await add.getByRole('button', { name: 'Add' }).click()
    const membership = page.getByLabel(`Membership of ${other.email}`)
    await expect.poll(() => membership.inputValue()).toBe('read_only')
    await membership.selectOption('administrator')
    await page.getByText('is administrator now').waitFor()
    const { members } = pooler.pooler.control
    await expect.poll(() => members.roleOf(project.ref, other.userId)).toBe('administrator')
    await look(page, 'members', looked)
    // The only owner stays.
    await page.getByRole('button', { name: `Leave ${owner.email}` }).click()
    await page.getByRole('button', { name: 'Leave', exact: true }).click()
    await dialog('Leave this project?').getByRole('alert').waitFor()
    await look(page, 'last owner', looked)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: `Remove ${other.email}` }).click()
    await page.getByRole('button', { name: 'Remove', exact: true }).click()
    await rowWith(page, 'Members', other.email).waitFor({ state: 'detached' })

    await page.getByRole('button', { name: 'Invite' }).click()
    const sheet = dialog('Add rule')
    await sheet.getByLabel('Member').selectOption('invite')
    await sheet.getByLabel('E-mail').fill('new@example.com')
    await sheet.getByLabel(project.people.role).check()
    await look(page, 'invite', looked)
    await sheet.getByRole('button', { name: 'Invite' }).click()
    await dialog('Invitation made').locator('.secret code').waitFor()
    await look(page, 'invitation', looked)
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByRole('heading', { name: 'Invitations' }).waitFor()
    await go('access')
    await page.getByRole('button', { name: `Withdraw ${project.people.role}` }).click()
    await dialog('Withdraw the invitation?').getByRole('button', { name: 'Withdraw' }).click()
    await page.getByText('No rules yet').waitFor()
  })

  test('the record is taken along as CSV and as NDJSON, as it is filtered', async () => {
    const { pooler, project } = setup
    const person = await pooler.person(project)
    await PersonSession.enter(pooler, project, person.token)
    await expect(PersonSession.enter(pooler, project, `sbp_${'0'.repeat(40)}`)).rejects.toThrow()
    page = await setup.signedIn(looked)
    await go('record')
    await rowWith(page, 'Events', 'Logged in').waitFor()
    await page.getByLabel('Outcome').selectOption('allowed')
    await look(page, 'record', looked)
    const taken = async (format: string) => {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: format, exact: true }).click(),
      ])
      const text = await readFile(await download.path(), 'utf8')
      return { name: download.suggestedFilename(), lines: text.trim().split('\n') }
    }
    const csv = await taken('Export CSV')
    expect(csv.name).toMatch(/\.csv$/)
    expect(csv.lines[0]).toMatch(/^id,time,/)
    expect(csv.lines.slice(1).every((line) => line.includes(person.userId))).toBe(true)
    const ndjson = await taken('Export NDJSON')
    expect(ndjson.name).toMatch(/\.ndjson$/)
    expect(ndjson.lines.map((line) => JSON.parse(line).action)).toEqual(['login'])
  })

  test('nobody is left with an empty page: no answer, not allowed, signed out, nothing there', async () => {
    const { pooler, project } = setup
    const reader = await pooler.person(project, { membership: 'read_only', rules: [] })
    page = await setup.signedIn(looked, reader)
    await go('access')
    await page.getByText('You have no rule here').or(page.getByText('No rule')).first().waitFor()
    expect(await page.getByRole('button', { name: 'Add rule' }).count()).toBe(0)
    await look(page, 'read only', looked)
    await page.goto('/projects/nosuchproject')
    await page.getByText('There is no such project').waitFor()
    await look(page, 'no project', looked)
    await page.goto('/tokens')
    await page.getByRole('heading', { name: 'Tokens' }).first().waitFor()
    await look(page, 'tokens', looked)

    // The API is away: what is not there is told, and comes with the next try.
    await page.route('**/v1/projects', (route) => route.abort())
    await page.goto('/')
    await page.getByText('This did not work').waitFor()
    await page.getByText('Latchkey cannot be reached right now').waitFor()
    await look(page, 'no answer', looked)
    await page.unroute('**/v1/projects')
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('link', { name: project.ref }).waitFor()

    // Slow: something is there at once.
    let answer = () => {}
    const held = new Promise<void>((free) => {
      answer = free
    })
    await page.route('**/v1/projects', async (route) => {
      await held
      await route.continue()
    })
    await page.goto('/')
    await page.getByRole('status', { name: 'Loading' }).first().waitFor()
    await look(page, 'loading', looked)
    answer()
    await page.getByRole('link', { name: project.ref }).waitFor()
    await page.unroute('**/v1/projects')

    // The session ends elsewhere while one looks at a page that asks nothing by itself.
    await page.goto('/')
    const link = page.getByRole('link', { name: project.ref })
    await link.waitFor()
    await sharedPostgres().query(
      'delete from latchkey.web_sessions where user_id = $1',
      [reader.userId],
      new URL(pooler.metadataUrl).pathname.slice(1),
    )
    await link.click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await look(page, 'signed out', looked)
    await page.getByLabel('Token').fill(reader.token)
    await page.getByRole('button', { name: 'Sign in' }).click()
    // Where one was going.
    await page.getByRole('heading', { name: project.ref, level: 1 }).waitFor()
  })
})
