// Everything that ends a person's access while they are in, on every door. What they may be doing at
// that moment is endings-states; who is not concerned, endings-others.
import { describe, expect, test } from 'vitest'
import { EndingsSetup, expectEnded } from '../support/endings-setup.ts'
import { eventually } from '../support/eventually.ts'
import { doors } from '../support/person-session.ts'
import { someRule } from '../support/store-setup.ts'

const setup = new EndingsSetup()

/** What ends access, and the reason that the person is told. */
const causes: Readonly<Record<string, readonly [() => Promise<unknown>, RegExp]>> = {
  'the rule is removed': [() => setup.removeRule(), /rule removed/],
  'the rule is for another role': [
    () => setup.putRoles({ role: setup.project.app.role }),
    /rule removed/,
  ],
  'the rule is for another network': [
    () => {
      const allowed_networks = { allowed_cidrs: [{ cidr: '192.0.2.0/24' }] }
      return setup.putRoles({ role: setup.project.people.role, allowed_networks })
    },
    /network/,
  ],
  'the rule is for branches only': [
    () => setup.putRoles({ role: setup.project.people.role, branches_only: true }),
    /branches/,
  ],
  'the token is revoked': [
    () => {
      const { tokenId, token } = setup.person
      return setup.ask('DELETE', `/v1/access-tokens/${tokenId}`, undefined, token)
    },
    /token revoked/,
  ],
  'temporary access is disabled': [
    () => setup.ask('PUT', setup.path('-access'), { state: 'disabled' }),
    /temporary access disabled/,
  ],
  'the member leaves the project': [
    () => setup.ask('DELETE', `/v1/projects/${setup.project.ref}/members/${setup.person.userId}`),
    /member removed from the project/,
  ],
  'the member is removed': [
    () => setup.ask('DELETE', `/api/members/${setup.person.userId}`, undefined, 'api'),
    /member removed/,
  ],
  'the project is banned': [
    () => {
      const body = { banned: true, ban_reason: 'unpaid bills' }
      return setup.ask('PATCH', `/api/tenants/${setup.project.ref}`, body, 'api')
    },
    /project banned/,
  ],
  'the project is deleted': [() => setup.pooler.removeProject(setup.project), /project deleted/],
  'an owner ends the session': [
    async () => {
      const { body } = await setup.ask('GET', setup.path('/sessions'))
      const { items } = body as { items: { id: string; user_id: string }[] }
      const own = items.filter((item) => item.user_id === setup.person.userId)
      expect(own).toHaveLength(1)
      for (const { id } of own) await setup.ask('DELETE', setup.path(`/sessions/${id}`))
    },
    /session closed by an administrator/,
  ],
}

describe.each(Object.keys(causes))('%s', (name) => {
  const [happen, reason] = causes[name] as (typeof causes)[string]

  test.each(doors)('and who is idle on the %s door is told, and out', async (door) => {
    const session = await setup.enter(door)
    await happen()
    expectEnded(await session.fatal(), reason)
    await session.serverIsFree()
  })

  test('and who is in a running query is told, and the query is stopped', async () => {
    const session = await setup.enter()
    await session.work('SELECT pg_sleep(600)')
    await happen()
    expectEnded(await session.fatal(), reason)
    await session.serverIsFree()
  })

  test('and a function that catches the cancel is stopped too', async () => {
    const session = await setup.enter()
    await session.work(
      'DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(0.1); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$',
    )
    await happen()
    expectEnded(await session.fatal(), reason)
    await session.serverIsFree()
  })
})

const inAnHour = () => setup.clock.wallMs() + 3_600_000

test('the rule expires, and who is in is told so', async () => {
  const { pooler, project } = setup
  const expiresAtMs = inAnHour()
  const rules = [someRule(project.people.role, { expiresAtMs })]
  const { token } = await pooler.person(project, { rules })
  const session = await setup.enter('transaction', token)
  await session.work('SELECT pg_sleep(600)')
  setup.clock.moveTo(expiresAtMs)
  expectEnded(await session.fatal(), /rule expired/)
  await session.serverIsFree()
})

test('the token expires, and who is in is told so', async () => {
  const { pooler, project } = setup
  const tokenExpiresAtMs = inAnHour()
  const { token } = await pooler.person(project, { tokenExpiresAtMs })
  const session = await setup.enter('session', token)
  await session.begin()
  setup.clock.moveTo(tokenExpiresAtMs)
  expectEnded(await session.fatal(), /token expired/)
  await session.serverIsFree()
})

test('the reason stands in the record of the session', async () => {
  const session = await setup.enter()
  await setup.removeRule()
  await session.fatal()
  const ended = await eventually(async () => {
    const { body } = await setup.ask('GET', setup.path('/events?action=ended'))
    const { items } = body as { items: { reason: string }[] }
    return items.length > 0 && items
  })
  expect(ended).toMatchObject([{ reason: 'rule removed', actor: setup.person.userId }])
})
