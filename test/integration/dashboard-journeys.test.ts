// Whole journeys through the dashboard in real Chromium, against a running pooler and its database.
import { describe, expect, test } from 'vitest'
import { expectAccessible, looks, type NamedLook, rowWith, signIn } from '../support/browser.ts'
import { DashboardSetup } from '../support/dashboard-setup.ts'
import { PersonSession } from '../support/person-session.ts'

const setup = new DashboardSetup()

describe.each(looks)('$name', (look) => {
  test('a rule is given, seen elsewhere, changed and removed; a session is ended', async () => {
    const { pooler, project, owner } = setup
    const person = await pooler.person(project, { rules: [] })
    const page = await setup.open(look)
    const elsewhere = await setup.open(look)
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
    await signIn(elsewhere, owner.token)
    await elsewhere.goto(setup.path('access'))
    await elsewhere.getByText('No rules yet').waitFor()
    await elsewhere.getByText('Live', { exact: true }).waitFor()

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
    await sheet.getByRole('radio', { name: '4 hours' }).check()
    const networks = sheet.getByLabel('Only from these addresses')
    await networks.fill('127.0.0.1/24')
    await sheet.getByText('for the whole range write 127.0.0.0/24').waitFor()
    await networks.fill('127.0.0.0/24, 2001:db8::/32')
    await sheet.getByLabel('Reason').fill('Ticket 4711')
    await sheet.getByRole('button', { name: 'Add rule' }).click()
    // Nothing is stored as what is warned of is shown; either way the sheet goes.
    await rowWith(page, 'Rules', person.email).waitFor()
    await sheet.waitFor({ state: 'detached' })
    await rowWith(elsewhere, 'Rules', person.email).getByText('2001:db8::/32').waitFor()
    expect(
      (await pooler.pooler.control.rules.find(project.ref, person.userId))?.rules,
    ).toMatchObject([
      { role: project.people.role, networksV4: ['127.0.0.0/24'], reason: 'Ticket 4711' },
    ])

    const session = await PersonSession.enter(pooler, project, person.token)
    const live = rowWith(elsewhere, 'Live sessions', person.email)
    await live.waitFor()
    await rowWith(page, 'Rules', person.email).getByText('1 live').waitFor()
    await expectAccessible(page)

    await page.getByRole('button', { name: `Edit ${project.people.role}` }).click()
    const edit = page.getByRole('dialog', { name: `Edit ${project.people.role}` })
    await edit.getByRole('radio', { name: 'No end' }).check()
    await edit.getByRole('button', { name: 'Save' }).click()
    await rowWith(elsewhere, 'Rules', person.email).getByText('no end').waitFor()

    await live.getByRole('button', { name: 'End the session' }).click()
    await elsewhere.getByRole('button', { name: 'End session' }).click()
    expect((await session.fatal()).M).toContain('closed by an administrator')
    await page.getByText('Nobody is in right now').waitFor()

    await PersonSession.enter(pooler, project, person.token)
    await rowWith(page, 'Rules', person.email).getByText('1 live').waitFor()
    await page.getByRole('button', { name: `Remove ${project.people.role}` }).click()
    const question = page.getByRole('dialog', { name: 'Remove this rule?' })
    await question.getByText('This ends 1 live session').waitFor()
    await expectAccessible(page)
    await question.getByRole('button', { name: 'Remove rule' }).click()
    await elsewhere.getByText('No rules yet').waitFor()
    await pooler.settled()

    await page.goto(`/projects/${project.ref}/record`)
    await rowWith(page, 'Events', 'Session ended by hand').waitFor()
    await rowWith(page, 'Events', 'Logged in').first().waitFor()
    await expectAccessible(page)
    await page.getByLabel('Outcome').selectOption('refused')
    await page.getByText('Nothing is recorded that fits').waitFor()
  })

  test('every page can be read, a token is made once and revoked, and signing out ends it', async () => {
    const { pooler, project } = setup
    const owner = await pooler.person(project, { membership: 'owner' })
    const page = await setup.signedIn(look, owner)
    await page.goto(`/projects/${project.ref}`)
    await page.getByText('Servers at work').waitFor()
    const line = page.getByLabel('Connection line', { exact: true })
    await expect.poll(() => line.textContent()).toContain(`${project.people.role}.${project.ref}`)
    await page.getByRole('button', { name: 'JDBC' }).click()
    await page.getByRole('button', { name: 'Copy connection line' }).click()
    const copied = () => page.evaluate('navigator.clipboard.readText()')
    await expect.poll(copied).toMatch(/^jdbc:postgresql:/)
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
    await shown.waitFor({ state: 'detached' })
    const statusWithToken = async () => (await pooler.api('GET', '/v1/profile', token)).status
    expect(await statusWithToken()).toBe(200)
    expect(await page.content()).not.toContain(token)
    await page.getByRole('button', { name: 'Revoke nightly job' }).click()
    await page.getByRole('button', { name: 'Revoke', exact: true }).click()
    await rowWith(page, 'Tokens', 'nightly job').waitFor({ state: 'detached' })
    await expect.poll(statusWithToken).toBe(401)

    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
    await page.goto('/tokens')
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  })
})

test('somebody new follows the link of an invitation to a first token and their access', async () => {
  const { project } = setup
  const [look] = looks as [NamedLook]
  const inviting = await setup.signedIn(look)
  await inviting.goto(setup.path('access'))
  await inviting.getByRole('button', { name: 'Add rule' }).click()
  await inviting.getByLabel('Member').selectOption('invite')
  await inviting.getByLabel('E-mail').fill('new@example.com')
  await inviting.getByLabel(project.people.role).check()
  await inviting.getByRole('button', { name: 'Invite' }).click()
  const made = inviting.getByRole('dialog', { name: 'Invitation made' })
  const link = (await made.locator('.secret code').textContent()) ?? ''
  await made.getByRole('button', { name: 'Done' }).click()
  await rowWith(inviting, 'Rules', 'new@example.com').getByText('Invited').waitFor()

  const invited = await setup.open(look)
  await invited.goto(link)
  await invited.getByRole('button', { name: 'Accept' }).waitFor()
  expect(invited.url()).not.toContain('#')
  await expectAccessible(invited)
  await invited.getByRole('button', { name: 'Accept' }).click()
  await invited.getByRole('button', { name: 'I have it, sign me in' }).click()
  await invited.getByRole('heading', { name: project.people.role }).waitFor()
  await rowWith(inviting, 'Rules', 'new@example.com').getByText('Active').waitFor()
})
