// When one person's access ends, nobody else notices: other people, other tokens of the same person,
// applications of the same role, longer ends, other projects.
import { describe, expect, test } from 'vitest'
import { EndingsSetup, expectEnded } from '../support/endings-setup.ts'
import { eventually } from '../support/eventually.ts'
import { PersonSession } from '../support/person-session.ts'
import { errorFields, rowsOf } from '../support/raw-replies.ts'
import type { Mode } from '../support/running-pooler.ts'

const setup = new EndingsSetup()

const hour = 3600
const nowSeconds = () => Math.floor(Date.now() / 1000)

describe.each(['transaction', 'session'] satisfies Mode[])('on the %s port', (mode) => {
  test('who is in the middle of something of their own goes on', async () => {
    const { pooler, project } = setup
    const leaving = await setup.enter(mode)
    const other = await setup.enter(mode, (await pooler.person(project)).token)
    const app = await setup.enterAsApp(mode)
    await other.begin()
    await app.query(
      'BEGIN; CREATE TEMP TABLE mine (n int) ON COMMIT DROP; INSERT INTO mine VALUES (7)',
    )
    await app.untilReady()
    await leaving.work('SELECT pg_sleep(600)')
    await setup.removeRule()
    expectEnded(await leaving.fatal(), /rule removed/)
    await leaving.serverIsFree()
    await app.query('SELECT n FROM mine; COMMIT')
    expect(rowsOf(await app.untilReady())).toEqual([['7']])
    await other.client.query('SELECT 8; COMMIT')
    expect(rowsOf(await other.client.untilReady())).toEqual([['8']])
  })

  test('the server that is handed on has nothing of the person left', async () => {
    const leaving = await setup.enter(mode)
    await leaving.client.query(
      "SET search_path = 'pg_temp'; SET statement_timeout = '1h'; CREATE TEMP TABLE left_behind (a int); LISTEN gossip; SELECT pg_advisory_lock(4711); PREPARE own AS SELECT 1",
    )
    await leaving.client.untilReady()
    await setup.removeRule()
    await leaving.fatal()
    await leaving.serverIsFree()
    const app = await setup.enterAsApp(mode)
    await app.query(
      "SELECT current_setting('search_path'), current_setting('statement_timeout'), to_regclass('pg_temp.left_behind'), (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), (SELECT count(*) FROM pg_prepared_statements)",
    )
    expect(rowsOf(await app.untilReady())).toEqual([['"$user", public', '0', null, '0', '0', '0']])
  })
})

test('of one person with two tokens the session of the revoked one ends', async () => {
  const { pooler, person } = setup
  const { token, record } = await pooler.pooler.control.tokens.create({
    userId: person.userId,
    name: 'second',
  })
  const first = await setup.enter()
  const second = await setup.enter('transaction', token.reveal())
  await setup.ask('DELETE', `/v1/access-tokens/${record.id}`, undefined, person.token)
  expectEnded(await second.fatal(), /token revoked/)
  await first.answers()
})

test('who leaves one project stays in another', async () => {
  const { pooler, person } = setup
  const other = await pooler.project()
  const rules = pooler.pooler.control.rules
  await pooler.pooler.control.members.putMembership(
    other.ref,
    person.userId,
    'developer',
    'operator',
  )
  await rules.replaceForMember(other.ref, person.userId, [
    {
      role: other.people.role,
      expiresAtMs: null,
      networksV4: [],
      networksV6: [],
      branchesOnly: false,
    },
  ])
  const here = await setup.enter()
  const there = await PersonSession.enter(pooler, other, person.token)
  await setup.removeRule()
  expectEnded(await here.fatal(), /rule removed/)
  await there.answers()
  there.client.close()
})

test('a longer end disturbs nobody, a shorter one holds', async () => {
  const { role } = setup.project.people
  const live = () => setup.pooler.pooler.control.liveSessions.list(setup.project.ref)
  const first = nowSeconds() + hour
  const endsAt = (seconds: number) =>
    eventually(() => expect(live()[0]?.foundation?.endsAtMs).toBe(seconds * 1000))
  await setup.putRoles({ role, expires_at: first })
  const session = await setup.enter('session')
  await session.begin()
  await endsAt(first)
  await setup.putRoles({ role, expires_at: first + 3 * hour })
  await endsAt(first + 3 * hour)
  setup.clock.moveTo((first + hour) * 1000)
  await session.answers()
  await setup.putRoles({ role, expires_at: first + 2 * hour })
  await endsAt(first + 2 * hour)
  await session.answers()
  setup.clock.moveTo((first + 2 * hour) * 1000)
  expectEnded(await session.fatal(), /rule expired/)
})

test('applications stay when temporary access is disabled, and go when the project is banned', async () => {
  const app = await setup.enterAsApp()
  const person = await setup.enter()
  await setup.ask('PUT', setup.path('-access'), { state: 'disabled' })
  await person.fatal()
  await app.query('SELECT 1')
  await app.untilReady()
  const ban = { banned: true, ban_reason: 'unpaid bills' }
  await setup.ask('PATCH', `/api/tenants/${setup.project.ref}`, ban, 'api')
  const [told] = await app.readAll()
  expect(errorFields(told?.body as Buffer).M).toContain('(EBANNED)')
})

test('a login in the very moment of a revocation does not stay', async () => {
  for (let count = 0; count < 5; count++) {
    const person = await setup.pooler.person(setup.project)
    const entering = setup.enter('transaction', person.token).catch((error: unknown) => error)
    const path = setup.path(`/${person.userId}`)
    await setup.ask('DELETE', path)
    const session = await entering
    if (session instanceof PersonSession) expectEnded(await session.fatal(), /rule removed/)
    const { liveSessions } = setup.pooler.pooler.control
    await eventually(() => expect(liveSessions.list(setup.project.ref)).toEqual([]))
  }
})
