// Temporary access in the dashboard, in real Chromium, where journeys do not come by: what asks before it
// acts, what tells why it cannot, and all of it without a mouse.
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { look, looks, type NamedLook, rowWith } from '../support/browser.ts'
import { DashboardSetup } from '../support/dashboard-setup.ts'
import { PersonSession } from '../support/person-session.ts'

const setup = new DashboardSetup()
let page: Page

const go = (section: string) => page.goto(setup.path(section))

const dialog = (name: string) => page.getByRole('dialog', { name })

describe.each(looks)('$name', (looked) => {
  test('temporary access is switched off, with what that ends, and on again', async () => {
    const { pooler, project } = setup
    await pooler.change(project, { enforceSsl: true, useJit: true })
    const person = await pooler.person(project)
    const session = await PersonSession.enter(pooler, project, person.token)
    page = await setup.signedIn(looked)
    await go('access')
    const access = page.getByRole('switch', { name: 'Temporary access' })
    await expect.poll(() => access.getAttribute('aria-checked')).toBe('true')
    await page.getByRole('button', { name: 'End the session' }).waitFor()
    await access.click()
    await dialog('Switch temporary access off?').getByText('1 live session').waitFor()
    await look(page, 'switch off', looked)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await expect.poll(() => access.getAttribute('aria-checked')).toBe('true')
    await access.click()
    await page.getByRole('button', { name: 'Switch off' }).click()
    expect((await session.fatal()).M).toContain('EACCESSENDED')
    await expect.poll(() => access.getAttribute('aria-checked')).toBe('false')
    await rowWith(page, 'Rules', person.email).getByText('Switched off').waitFor()
    await look(page, 'switched off', looked)
    await access.click()
    await page.getByRole('button', { name: 'Switch on' }).click()
    await expect.poll(() => access.getAttribute('aria-checked')).toBe('true')
    await rowWith(page, 'Rules', person.email).getByText('Active').waitFor()
  })

  test('what stands in the way is told: TLS can be enforced there, a database that is away cannot', async () => {
    const { pooler, project } = setup
    await pooler.change(project, { enforceSsl: false, useJit: false })
    page = await setup.signedIn(looked)
    await go('access')
    const access = page.getByRole('switch', { name: 'Temporary access' })
    await page.getByText('TLS is not enforced in this project').waitFor()
    expect(await access.isDisabled()).toBe(true)
    await look(page, 'no TLS', looked)
    await page.getByRole('button', { name: 'Enforce TLS…' }).click()
    await dialog('Enforce TLS?').getByText('applications too').waitFor()
    await look(page, 'enforce TLS', looked)
    await page.getByRole('button', { name: 'Enforce TLS', exact: true }).click()
    await expect.poll(() => access.isEnabled()).toBe(true)
    expect((await pooler.pooler.control.tenants.findByRef(project.ref))?.enforceSsl).toBe(true)

    await pooler.change(project, { dbPort: 1, enforceSsl: true, useJit: false })
    await page.reload()
    await page.getByText('The database cannot be reached right now').waitFor()
    expect(await access.isDisabled()).toBe(true)
    await look(page, 'unreachable', looked)
  })

  test('a rule is edited knowing who is in, and a change in between is not overwritten', async () => {
    const { pooler, project } = setup
    const person = await pooler.person(project)
    const session = await PersonSession.enter(pooler, project, person.token)
    const { role } = project.people
    page = await setup.signedIn(looked)
    await go('access')
    await rowWith(page, 'Rules', person.email).getByText('1 live').waitFor()
    await page.getByRole('button', { name: `Edit ${role}` }).click()
    const sheet = dialog(`Edit ${role}`)
    await sheet.getByText('They are in right now (1 live session)').waitFor()
    await look(page, 'edit', looked)
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
})

test('by the keyboard alone: signed in, a rule given and removed, and signed out', async () => {
  const { pooler, project, owner } = setup
  const [desk] = looks as [NamedLook]
  const person = await pooler.person(project, { rules: [] })
  page = await setup.open(desk)
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
  const sections = page.getByRole('navigation', { name: 'Project' })
  await sections.getByRole('link', { name: 'Temporary access' }).waitFor()
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
  await dialog('Add rule').waitFor({ state: 'detached' })
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
