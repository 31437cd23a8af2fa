// Whole journeys through the dashboard in real Chromium, against a running pooler and its database.
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  expectAccessible,
  looks,
  needsChromium,
  openWindow,
  rowWith,
  signIn,
  startBrowser,
} from '../support/browser.ts'
import { PersonSession } from '../support/person-session.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

// A browser on a busy machine takes its time; each wait in here has a bound of its own.
vi.setConfig({ testTimeout: 180_000 })

let browser: Browser | null
let pooler: RunningPooler
let project: TestProject
let owner: TestPerson
let person: TestPerson

beforeAll(async () => {
  browser = await startBrowser()
  if (browser === null) return
  pooler = await RunningPooler.start()
})
afterAll(async () => {
  await browser?.close()
  await pooler?.stop()
})

const accessPath = () => `/projects/${project.ref}/access`

describe.each(looks)('$name', (look) => {
  test('a rule is given, seen elsewhere, changed and removed; a session is ended', async (context) => {
    needsChromium(context)
    project = await pooler.project()
    owner = await pooler.person(project, { membership: 'owner', rules: [] })
    person = await pooler.person(project, { rules: [] })
    const here = await openWindow(browser as Browser, pooler.apiUrl, look)
    const elsewhere = await openWindow(browser as Browser, pooler.apiUrl, look)
    const { page } = here
    await page.goto('/')
    await expectAccessible(page)
    await signIn(page, owner.token)
    await expectAccessible(page)
    expect(
      await page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]'),
    ).toEqual([0, 0, ''])
    await page.getByRole('link', { name: project.ref }).click()
    await page.getByRole('link', { name: 'Temporary access' }).click()
    await page.getByText('No rules yet').waitFor()
    await signIn(elsewhere.page, owner.token)
    await elsewhere.page.goto(accessPath())
    await elsewhere.page.getByText('No rules yet').waitFor()
    await elsewhere.page.getByText('Live', { exact: true }).waitFor()

    // By the keyboard: the sheet takes the focus and gives it back.
    const add = page.getByRole('button', { name: 'Add rule' })
    await add.focus()
    await page.keyboard.press('Enter')
    const sheet = page.getByRole('dialog', { name: 'Add rule' })
    await sheet.getByLabel(project.people.role).waitFor()
    await expectAccessible(page)
    await page.keyboard.press('Escape')
    await sheet.waitFor({ state: 'detached' })
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Add rule')
    await add.click()
    await sheet.getByRole('button', { name: 'Add rule' }).click()
    await sheet.getByText('Choose a member', { exact: true }).last().waitFor()
    await sheet.getByLabel('Member').selectOption(person.userId)
    await sheet.getByLabel(project.people.role).check()
    await sheet.getByRole('radio', { name: '4 hours' }).check({ force: true })
    const networks = sheet.getByLabel('Only from these addresses')
    await networks.fill('127.0.0.1/24')
    await sheet.getByText('for the whole range write 127.0.0.0/24').waitFor()
    await networks.fill('127.0.0.0/24, 2001:db8::/32')
    await sheet.getByLabel('Reason').fill('Ticket 4711')
    await sheet.getByRole('button', { name: 'Add rule' }).click()
    // Nothing is stored as what is warned of is shown; either way the sheet goes.
    await rowWith(page, 'Rules', person.email).waitFor()
    await sheet.waitFor({ state: 'detached' })
    await rowWith(elsewhere.page, 'Rules', person.email).getByText('2001:db8::/32').waitFor()
    expect(
      (await pooler.pooler.control.rules.find(project.ref, person.userId))?.rules,
    ).toMatchObject([
      { role: project.people.role, networksV4: ['127.0.0.0/24'], reason: 'Ticket 4711' },
    ])

    const session = await PersonSession.enter(pooler, project, person.token)
    const live = rowWith(elsewhere.page, 'Live sessions', person.email)
    await live.waitFor()
    await rowWith(page, 'Rules', person.email).getByText('1 live').waitFor()
    await expectAccessible(page)

    await page.getByRole('button', { name: `Edit ${project.people.role}` }).click()
    const edit = page.getByRole('dialog', { name: `Edit ${project.people.role}` })
    await edit.getByRole('radio', { name: 'No end' }).check({ force: true })
    await edit.getByRole('button', { name: 'Save' }).click()
    await rowWith(elsewhere.page, 'Rules', person.email).getByText('no end').waitFor()

    await live.getByRole('button', { name: 'End the session' }).click()
    await elsewhere.page.getByRole('button', { name: 'End session' }).click()
    expect((await session.fatal()).M).toContain('closed by an administrator')
    await page.getByText('Nobody is in right now').waitFor()

    await PersonSession.enter(pooler, project, person.token)
    await rowWith(page, 'Rules', person.email).getByText('1 live').waitFor()
    await page.getByRole('button', { name: `Remove ${project.people.role}` }).click()
    const question = page.getByRole('dialog', { name: 'Remove this rule?' })
    await question.getByText('This ends 1 live session').waitFor()
    await expectAccessible(page)
    await question.getByRole('button', { name: 'Remove rule' }).click()
    await elsewhere.page.getByText('No rules yet').waitFor()
    await pooler.settled()

    await page.goto(`/projects/${project.ref}/record`)
    await rowWith(page, 'Events', 'Session ended by hand').waitFor()
    await rowWith(page, 'Events', 'Logged in').first().waitFor()
    await expectAccessible(page)
    await page.getByLabel('Outcome').selectOption('refused')
    await page.getByText('Nothing is recorded that fits').waitFor()
    expect([here.faults, elsewhere.faults]).toEqual([[], []])
    await here.context.close()
    await elsewhere.context.close()
  })

  test('every page can be read, a token is made once and revoked, and signing out ends it', async (context) => {
    needsChromium(context)
    project = await pooler.project()
    owner = await pooler.person(project, { membership: 'owner' })
    const {
      page,
      faults,
      context: window,
    } = await openWindow(browser as Browser, pooler.apiUrl, look)
    await signIn(page, owner.token)
    await page.goto(`/projects/${project.ref}`)
    await page.getByText('Servers at work').waitFor()
    const line = page.getByLabel('Connection line', { exact: true })
    await expect.poll(() => line.textContent()).toContain(`${project.people.role}.${project.ref}`)
    await page.getByRole('button', { name: 'JDBC' }).click()
    await page.getByRole('button', { name: 'Copy connection line' }).click()
    expect(await page.evaluate('navigator.clipboard.readText()')).toMatch(/^jdbc:postgresql:/)
    await expectAccessible(page)
    for (const [section, heading] of [
      ['Record', 'Record'],
      ['Members', 'Members'],
      ['Branches', 'Branches'],
    ] as const) {
      await page
        .getByRole('navigation', { name: 'Project' })
        .getByRole('link', { name: section })
        .click()
      await page.getByRole('heading', { name: heading, level: 2 }).waitFor()
      await expectAccessible(page)
    }
    await page
      .getByRole('navigation', { name: 'Main' })
      .getByRole('link', { name: 'My access' })
      .click()
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText('You would be let in').waitFor()
    await expectAccessible(page)

    await page.getByRole('link', { name: 'Tokens' }).click()
    await page.getByRole('button', { name: 'New token' }).click()
    await page.getByLabel('Name').fill('nightly job')
    await page.getByRole('button', { name: 'Make token' }).click()
    const shown = page.getByRole('dialog', { name: 'Your new token' })
    const token = (await shown.locator('code').textContent()) ?? ''
    expect(token).toMatch(/^sbp_fc[0-9a-f]{40}$/)
    await page.keyboard.press('Escape')
    await expectAccessible(page)
    await shown.getByRole('button', { name: 'I have it' }).click()
    expect((await pooler.api('GET', '/v1/profile', token)).status).toBe(200)
    expect(await page.content()).not.toContain(token)
    await page.getByRole('button', { name: 'Revoke nightly job' }).click()
    await page.getByRole('button', { name: 'Revoke', exact: true }).click()
    await rowWith(page, 'Tokens', 'nightly job').waitFor({ state: 'detached' })
    expect((await pooler.api('GET', '/v1/profile', token)).status).toBe(401)

    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
    await page.goto('/tokens')
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(faults).toEqual([])
    await window.close()
  })
})

test('somebody new follows the link of an invitation to a first token and their access', async (context) => {
  needsChromium(context)
  project = await pooler.project()
  owner = await pooler.person(project, { membership: 'owner', rules: [] })
  const look = { colorScheme: 'light', isPhone: false } as const
  const inviting = await openWindow(browser as Browser, pooler.apiUrl, look)
  await signIn(inviting.page, owner.token)
  await inviting.page.goto(accessPath())
  await inviting.page.getByRole('button', { name: 'Add rule' }).click()
  await inviting.page.getByLabel('Member').selectOption('invite')
  await inviting.page.getByLabel('E-mail').fill('new@example.com')
  await inviting.page.getByLabel(project.people.role).check()
  await inviting.page.getByRole('button', { name: 'Invite' }).click()
  const made = inviting.page.getByRole('dialog', { name: 'Invitation made' })
  const link = (await made.locator('.secret code').textContent()) ?? ''
  await made.getByRole('button', { name: 'Done' }).click()
  await rowWith(inviting.page, 'Rules', 'new@example.com').getByText('Invited').waitFor()

  const invited = await openWindow(browser as Browser, pooler.apiUrl, look)
  await invited.page.goto(link)
  await invited.page.getByRole('button', { name: 'Accept' }).waitFor()
  expect(invited.page.url()).not.toContain('#')
  await expectAccessible(invited.page)
  await invited.page.getByRole('button', { name: 'Accept' }).click()
  await invited.page.getByRole('button', { name: 'I have it, sign me in' }).click()
  await invited.page.getByRole('heading', { name: project.people.role }).waitFor()
  await rowWith(inviting.page, 'Rules', 'new@example.com').getByText('Active').waitFor()
  expect([inviting.faults, invited.faults]).toEqual([[], []])
})
