// Every button of the dashboard that journeys do not come by, in real Chromium: what asks before it acts,
// what tells why it cannot, and what is shown where there is nothing or no answer.
import { readFile } from 'node:fs/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  expectAccessible,
  keepShot,
  looks,
  needsChromium,
  openWindow,
  rowWith,
  signIn,
  startBrowser,
  type Window,
} from '../support/browser.ts'
import { PersonSession } from '../support/person-session.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

vi.setConfig({ testTimeout: 180_000 })

let browser: Browser | null
let pooler: RunningPooler
let project: TestProject
let owner: TestPerson
let window: Window
let page: Page

beforeAll(async () => {
  browser = await startBrowser()
  if (browser === null) return
  pooler = await RunningPooler.start()
})
afterAll(async () => {
  await browser?.close()
  await pooler?.stop()
})
beforeEach(async (context) => {
  needsChromium(context)
  project = await pooler.project()
  owner = await pooler.person(project, { membership: 'owner', rules: [] })
})
afterEach(async () => {
  if (window === undefined) return
  expect(window.faults).toEqual([])
  await window.context.close()
})

async function open(look: (typeof looks)[number], who = owner): Promise<void> {
  window = await openWindow(browser as Browser, pooler.apiUrl, look)
  page = window.page
  await signIn(page, who.token)
}

const go = (section: string) => page.goto(`/projects/${project.ref}/${section}`)

const dialog = (name: string) => page.getByRole('dialog', { name })

async function look(name: string, { name: look }: (typeof looks)[number]): Promise<void> {
  await expectAccessible(page)
  await keepShot(page, `${name} ${look}`)
}

describe.each(looks)('$name', (looked) => {
  test('temporary access is switched off, with what that ends, and on again', async () => {
    await pooler.change(project, { enforceSsl: true, useJit: true })
    const person = await pooler.person(project)
    const session = await PersonSession.enter(pooler, project, person.token)
    await open(looked)
    await go('access')
    const access = page.getByRole('switch', { name: 'Temporary access' })
    await expect.poll(() => access.getAttribute('aria-checked')).toBe('true')
    await page.getByRole('button', { name: 'End the session' }).waitFor()
    await access.click()
    await dialog('Switch temporary access off?').getByText('1 live session').waitFor()
    await look('switch off', looked)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await expect.poll(() => access.getAttribute('aria-checked')).toBe('true')
    await access.click()
    await page.getByRole('button', { name: 'Switch off' }).click()
    expect((await session.fatal()).M).toContain('EACCESSENDED')
    await expect.poll(() => access.getAttribute('aria-checked')).toBe('false')
    await rowWith(page, 'Rules', person.email).getByText('Switched off').waitFor()
    await look('switched off', looked)
    await access.click()
    await page.getByRole('button', { name: 'Switch on' }).click()
    await expect.poll(() => access.getAttribute('aria-checked')).toBe('true')
    await rowWith(page, 'Rules', person.email).getByText('Active').waitFor()
  })

  test('what stands in the way is told: TLS can be enforced there, a database that is away cannot', async () => {
    await pooler.change(project, { enforceSsl: false, useJit: false })
    await open(looked)
    await go('access')
    const access = page.getByRole('switch', { name: 'Temporary access' })
    await page.getByText('TLS is not enforced in this project').waitFor()
    expect(await access.isDisabled()).toBe(true)
    await look('no TLS', looked)
    await page.getByRole('button', { name: 'Enforce TLS…' }).click()
    await dialog('Enforce TLS?').getByText('applications too').waitFor()
    await look('enforce TLS', looked)
    await page.getByRole('button', { name: 'Enforce TLS', exact: true }).click()
    await expect.poll(() => access.isEnabled()).toBe(true)
    expect((await pooler.pooler.control.tenants.findByRef(project.ref))?.enforceSsl).toBe(true)

    await pooler.change(project, { dbPort: 1, enforceSsl: true, useJit: false })
    await page.reload()
    await page.getByText('The database cannot be reached right now').waitFor()
    expect(await access.isDisabled()).toBe(true)
    await look('unreachable', looked)
  })

  test('a rule is edited knowing who is in, and a change in between is not overwritten', async () => {
    const person = await pooler.person(project)
    const session = await PersonSession.enter(pooler, project, person.token)
    const { role } = project.people
    await open(looked)
    await go('access')
    await rowWith(page, 'Rules', person.email).getByText('1 live').waitFor()
    await page.getByRole('button', { name: `Edit ${role}` }).click()
    const sheet = dialog(`Edit ${role}`)
    await sheet.getByText('They are in right now (1 live session)').waitFor()
    await look('edit', looked)
    await pooler.pooler.control.rules.replaceForMember(project.ref, person.userId, [
      {
        role,
        expiresAtMs: null,
        networksV4: [],
        networksV6: [],
        branchesOnly: false,
        reason: 'new',
      },
    ])
    await sheet.getByLabel('Reason').fill('mine')
    await sheet.getByRole('button', { name: 'Save' }).click()
    await sheet.getByText('Somebody changed these rules meanwhile').waitFor()
    await sheet.getByRole('button', { name: 'Cancel' }).click()
    await rowWith(page, 'Rules', person.email).getByText('new', { exact: true }).waitFor()

    await page.getByRole('button', { name: `Edit ${role}` }).click()
    await sheet.getByLabel('Only from these addresses').fill('192.0.2.0/24')
    await sheet.getByRole('button', { name: 'Save' }).click()
    expect((await session.fatal()).M).toContain('EACCESSENDED')
    await rowWith(page, 'Rules', person.email).getByText('192.0.2.0/24').waitFor()
  })

  test('a branch is made on a database of its own, found, and removed', async () => {
    await open(looked)
    await go('branches')
    await page.getByText('No branches').waitFor()
    await look('no branches', looked)
    await page.getByRole('button', { name: 'New branch' }).click()
    const sheet = dialog('New branch')
    await sheet.getByLabel('Name').fill('preview')
    await sheet.getByLabel('Database').fill(project.database)
    await look('new branch', looked)
    await sheet.getByRole('button', { name: 'Make branch' }).click()
    await rowWith(page, 'Branches', 'preview').waitFor()
    await look('branches', looked)
    await page.getByRole('link', { name: 'preview' }).click()
    await page.getByRole('heading', { name: 'preview', level: 1 }).waitFor()
    await page.getByRole('navigation', { name: 'Project' }).getByText('Temporary access').click()
    await page.getByText('This is a branch: state and rules are those of').waitFor()
    await look('a branch', looked)
    await go('branches')
    await page.getByRole('button', { name: 'Remove preview' }).click()
    await dialog('Remove this branch?').getByText('The database itself is not touched').waitFor()
    await look('remove branch', looked)
    await page.getByRole('button', { name: 'Remove branch' }).click()
    await page.getByText('No branches').waitFor()
  })

  test('members come by their ID, become something else, and go; an invitation is withdrawn', async () => {
    const other = await pooler.person(await pooler.project())
    await open(looked)
    await go('members')
    await page.getByRole('button', { name: 'Add by ID' }).click()
    const add = dialog('Add a member')
    await add.getByLabel('User ID').fill('nobody')
    await add.getByRole('button', { name: 'Add' }).click()
    await add.getByRole('alert').waitFor()
    await look('add member', looked)
    await add.getByLabel('User ID').fill(other.userId)
    await add.getByLabel('As').selectOption('read_only')
    await add.getByRole('button', { name: 'Add' }).click()
    const membership = page.getByLabel(`Membership of ${other.email}`)
    await expect.poll(() => membership.inputValue()).toBe('read_only')
    await membership.selectOption('administrator')
    await page.getByText('is administrator now').waitFor()
    const { members } = pooler.pooler.control
    await expect.poll(() => members.roleOf(project.ref, other.userId)).toBe('administrator')
    await look('members', looked)
    // The only owner stays.
    await page.getByRole('button', { name: `Leave ${owner.email}` }).click()
    await page.getByRole('button', { name: 'Leave', exact: true }).click()
    await dialog('Leave this project?').getByRole('alert').waitFor()
    await look('last owner', looked)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: `Remove ${other.email}` }).click()
    await page.getByRole('button', { name: 'Remove', exact: true }).click()
    await rowWith(page, 'Members', other.email).waitFor({ state: 'detached' })

    await page.getByRole('button', { name: 'Invite' }).click()
    const sheet = dialog('Add rule')
    await sheet.getByLabel('Member').selectOption('invite')
    await sheet.getByLabel('E-mail').fill('new@example.com')
    await sheet.getByLabel(project.people.role).check()
    await look('invite', looked)
    await sheet.getByRole('button', { name: 'Invite' }).click()
    await dialog('Invitation made').locator('.secret code').waitFor()
    await look('invitation', looked)
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByRole('heading', { name: 'Invitations' }).waitFor()
    await go('access')
    await page.getByRole('button', { name: `Withdraw ${project.people.role}` }).click()
    await dialog('Withdraw the invitation?').getByRole('button', { name: 'Withdraw' }).click()
    await page.getByText('No rules yet').waitFor()
  })

  test('the record is taken along as CSV and as NDJSON, as it is filtered', async () => {
    const person = await pooler.person(project)
    await PersonSession.enter(pooler, project, person.token)
    await expect(PersonSession.enter(pooler, project, `sbp_${'0'.repeat(40)}`)).rejects.toThrow()
    await open(looked)
    await go('record')
    await rowWith(page, 'Events', 'Logged in').waitFor()
    await page.getByLabel('Outcome').selectOption('allowed')
    await look('record', looked)
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
    const reader = await pooler.person(project, { membership: 'read_only', rules: [] })
    await open(looked, reader)
    await go('access')
    await page.getByText('You have no rule here').or(page.getByText('No rule')).first().waitFor()
    expect(await page.getByRole('button', { name: 'Add rule' }).count()).toBe(0)
    await look('read only', looked)
    await page.goto('/projects/nosuchproject')
    await page.getByText('There is no such project').waitFor()
    await look('no project', looked)
    await page.goto('/tokens')
    await page.getByRole('heading', { name: 'Tokens' }).first().waitFor()
    await look('tokens', looked)

    // The API is away: what is not there is told, and comes with the next try.
    await page.route('**/v1/projects', (route) => route.abort())
    await page.goto('/')
    await page.getByText('This did not work').waitFor()
    await page.getByText('Latchkey cannot be reached right now').waitFor()
    await look('no answer', looked)
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
    await look('loading', looked)
    answer()
    await page.getByRole('link', { name: project.ref }).waitFor()
    await page.unroute('**/v1/projects')

    // The session ends elsewhere while one looks.
    await page.goto(`/projects/${project.ref}`)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await sharedPostgres().query(
      'delete from latchkey.web_sessions where user_id = $1',
      [reader.userId],
      new URL(pooler.metadataUrl).pathname.slice(1),
    )
    await page.getByRole('link', { name: 'Members' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await look('signed out', looked)
    await page.getByLabel('Token').fill(reader.token)
    await page.getByRole('button', { name: 'Sign in' }).click()
    // Where one was.
    await page.getByRole('heading', { name: 'Members', level: 2 }).waitFor()
  })
})

test('by the keyboard alone: signed in, a rule given and removed, and signed out', async () => {
  const desk = looks[0] as (typeof looks)[number]
  const person = await pooler.person(project, { rules: [] })
  window = await openWindow(browser as Browser, pooler.apiUrl, desk)
  page = window.page
  const { keyboard } = page
  const focused = () =>
    page.evaluate<string>(
      '(document.activeElement.getAttribute("aria-label") || document.activeElement.labels?.[0]?.textContent || document.activeElement.textContent || "").trim()',
    )
  /** Tab until something has the focus, as somebody without a mouse does. */
  async function tabTo(name: string | RegExp): Promise<void> {
    const seen: string[] = []
    for (let at = 0; at < 60; at += 1) {
      const now = await focused()
      if (typeof name === 'string' ? now === name : name.test(now)) return
      seen.push(now)
      await keyboard.press('Tab')
    }
    throw new Error(`the keyboard does not come to ${name}: ${seen.join(', ')}`)
  }
  await page.goto('/')
  await page.getByLabel('Token').waitFor()
  await tabTo('Token')
  await keyboard.type(owner.token)
  await keyboard.press('Enter')
  await page.getByRole('link', { name: project.ref }).waitFor()
  await tabTo(new RegExp(`^${project.ref}`))
  await keyboard.press('Enter')
  await page.getByRole('heading', { level: 1 }).waitFor()
  // The focus came along to the new page: the sections are ahead of it.
  await tabTo('Temporary access')
  await keyboard.press('Enter')
  await page.getByText('No rules yet').waitFor()
  await tabTo('Add rule')
  await keyboard.press('Enter')
  await dialog('Add rule').getByLabel(project.people.role).waitFor()
  await tabTo('Member')
  await keyboard.type('Somebody')
  await page.getByLabel('Member').selectOption(person.userId)
  await tabTo(project.people.role)
  await keyboard.press('Space')
  await tabTo('1 hour')
  await keyboard.press('ArrowRight')
  expect(await focused()).toBe('4 hours')
  await tabTo('Reason')
  await keyboard.type('by keyboard')
  await keyboard.press('Enter')
  await rowWith(page, 'Rules', person.email).getByText('by keyboard').waitFor()
  // The focus is back where it was.
  expect(await focused()).toBe('Add rule')
  await tabTo(`Remove ${project.people.role} of ${person.email}`)
  await keyboard.press('Enter')
  await dialog('Remove this rule?').waitFor()
  await tabTo('Remove rule')
  await keyboard.press('Enter')
  await page.getByText('No rules yet').waitFor()
  await keyboard.press('Tab')
  await page.evaluate('document.body.focus()')
  await tabTo('Sign out')
  await keyboard.press('Enter')
  await page.getByLabel('Token').waitFor()
})
