// Two projects that have as much in common as two projects can: the server, the database, the role's
// name. Nothing of the one is ever seen in the other: settings, state, keys, decisions, labels.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../shared/secret.ts'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { parsePrometheusText } from '../support/prometheus-text.ts'
import type { RawClient } from '../support/raw-client.ts'
import type { LoginOptions } from '../support/raw-login.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf } from '../support/raw-replies.ts'
import { type Mode, poolerDomain, RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

let pooler: RunningPooler
/** Two projects in one database of one server, with the same roles, and somebody in each. */
let one: TestProject
let other: TestProject
let insider: TestPerson
const clients: RawClient[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(() => pooler?.stop())
beforeEach(async () => {
  one = await pooler.project({ user: { poolSize: 1 } })
  const twin = await pooler.project()
  const users = [one.app, one.people].map(({ role, password }) => ({
    dbUser: role,
    dbPassword: new Secret(password),
    poolSize: 1,
  }))
  await pooler.change(twin, { dbDatabase: one.database, users })
  other = { ...one, ref: twin.ref }
  insider = await pooler.person(one)
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
})

const loginOf = ({ app, ref, database }: TestProject): LoginOptions => ({
  user: `${app.role}.${ref}`,
  password: app.password,
  database,
})

async function enter(
  project: TestProject,
  mode: Mode = 'transaction',
  more: Partial<LoginOptions> = {},
) {
  const client = await pooler.raw({ mode, tls: 'request' })
  clients.push(client)
  const result = await client.login({ ...loginOf(project), ...more })
  return { client, ...result }
}

async function ask(client: RawClient, sql: string): Promise<(string | null)[][]> {
  await client.query(sql)
  const messages = await client.untilReady()
  const error = messages.find(({ type }) => type === 'E')
  if (error !== undefined) throw new Error(JSON.stringify(errorFields(error.body)))
  return rowsOf(messages)
}

const refusalOf = (entering: Promise<unknown>): Promise<Record<string, string>> =>
  entering.then(
    () => Promise.reject(new Error('let in')),
    (error: { fields: Record<string, string> }) => error.fields,
  )

describe.each(['transaction', 'session'] satisfies Mode[])('on the %s port', (mode) => {
  test('each project has servers of its own, also where both are the same database', async () => {
    const [here, there] = [await enter(one, mode), await enter(other, mode)]
    const pids = await Promise.all(
      [here, there].map(({ client }) => ask(client, 'SELECT pg_backend_pid()')),
    )
    expect(pids[0]).not.toEqual(pids[1])
    if (mode === 'session') return
    // Neither waits for the other's only server.
    await ask(here.client, 'BEGIN')
    expect(await ask(there.client, 'SELECT 1')).toEqual([['1']])
    await ask(here.client, 'COMMIT')
  })

  test('settings, temporary tables, prepared names, locks and channels stay where they were made', async () => {
    const here = await enter(one, mode, {
      settings: { application_name: 'tenant one', DateStyle: 'German' },
    })
    await ask(
      here.client,
      "SET search_path = 'pg_temp'; SET my.secret = 'of one'; CREATE TEMP TABLE t (a int); SELECT pg_advisory_lock(1); LISTEN c; PREPARE p AS SELECT 1",
    )
    const there = await enter(other, mode)
    expect(there.parameters.get('DateStyle')).toBe('ISO, MDY')
    expect(there.parameters.get('application_name')).toBe('')
    const seen = await ask(
      there.client,
      "SELECT current_setting('search_path'), coalesce(current_setting('my.secret', true), ''), to_regclass('pg_temp.t'), (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_prepared_statements), current_setting('application_name')",
    )
    expect(seen).toEqual([['"$user", public', '', null, '0', '0', '']])
  })
})

test('a cancel key of one project stops nothing of the other', async () => {
  const here = await enter(one)
  const there = await enter(other)
  expect(here.processId).not.toBe(there.processId)
  await here.client.query('SELECT pg_sleep(600)')
  const isRunning = async () => {
    const sql = "SELECT 1 FROM pg_stat_activity WHERE usename = $1 AND query LIKE '%pg_sleep(600)%'"
    const rows = await sharedPostgres().query(`${sql} AND state = 'active'`, [one.app.role])
    return rows.length === 1
  }
  await eventually(isRunning)
  const keys: [number, Buffer][] = [
    [there.processId, there.secret],
    [here.processId, there.secret],
    [there.processId, here.secret],
    [here.processId, Buffer.concat([here.secret, Buffer.alloc(1)])],
  ]
  for (const [processId, secret] of keys) {
    const canceller = await pooler.raw()
    clients.push(canceller)
    await canceller.send(raw.cancelRequest(processId, secret))
    expect(await canceller.readRest()).toHaveLength(0)
  }
  // A request's connection ends when its cancel has gone through, so nothing is still to come.
  expect(await ask(there.client, 'SELECT 1')).toEqual([['1']])
  expect(await isRunning()).toBe(true)
  expect(here.client.pending()).toEqual([])
  const canceller = await pooler.raw()
  clients.push(canceller)
  await canceller.send(raw.cancelRequest(here.processId, here.secret))
  const messages = await here.client.untilReady()
  const error = messages.find(({ type }) => type === 'E')
  expect(errorFields(error?.body as Buffer).C).toBe('57014')
})

describe('decisions', () => {
  test('a password that opened one project opens no other with a role of the same name', async () => {
    await enter(one)
    const users = [{ dbUser: one.app.role, dbPassword: new Secret('another one') }]
    await pooler.change(other, { users: [...users, { dbUser: one.people.role }] })
    expect(await refusalOf(enter(other))).toMatchObject({ C: '28P01' })
    await enter(one)
  })

  test('what a login left in a project that asks its database opens nothing in another', async () => {
    const asking = await pooler.project({ auth: 'query' })
    await enter(asking)
    const twin = await pooler.project({ auth: 'query', input: { useJit: true } })
    await pooler.change(twin, { dbDatabase: asking.database })
    const person = await pooler.person(twin, { rules: [asking.app.role] })
    const user = `${asking.app.role}.${twin.ref}`
    const settings = { options: '-c jit=on' }
    const login = { user, password: person.token, database: asking.database, settings }
    // The token is good, but no secret of the role is known there.
    expect(await refusalOf(enter(twin, 'transaction', login))).toMatchObject({ C: '08004' })
  })

  test('a token that was let into one project a moment ago is not let into the other', async () => {
    const settings = { options: '-c jit=on' }
    const login = (project: TestProject) => ({
      user: `${project.people.role}.${project.ref}`,
      password: insider.token,
      settings,
    })
    await enter(one, 'transaction', login(one))
    expect(await refusalOf(enter(other, 'transaction', login(other)))).toMatchObject({ C: '28P01' })
    await enter(one, 'transaction', login(one))
  })

  test('a project that is made anew under an old ref knows nothing of the old one', async () => {
    const here = await enter(one)
    await pooler.pooler.control.tenants.remove(one.ref)
    const [told] = await here.client.readAll()
    expect(errorFields(told?.body as Buffer)).toMatchObject({ C: '57P01' })
    expect(await refusalOf(enter(one))).toMatchObject({ C: '28000' })
    const users = [{ dbUser: one.app.role, dbPassword: new Secret('made anew') }]
    const { host: dbHost, port: dbPort } = sharedPostgres()
    const input = { dbHost, dbPort, dbDatabase: one.database, users }
    await pooler.pooler.control.tenants.put(one.ref, input)
    await eventually(async () => (await refusalOf(enter(one))).C === '28P01')
    const rules = await pooler.pooler.control.rules.list(one.ref)
    expect(rules).toEqual([])
  })
})

describe('names', () => {
  test("a server name of one project is no way into another by an option or the user's suffix", async () => {
    const serverName = `db.${one.ref}.${poolerDomain}`
    const attempts: LoginOptions[] = [
      { ...loginOf(other), user: one.app.role, settings: { options: `-c reference=${other.ref}` } },
      { ...loginOf(other), user: `${one.app.role}.${other.ref}` },
    ]
    const expected = ['28000', '28P01']
    for (const [index, login] of attempts.entries()) {
      const client = await pooler.raw({ mode: 'session', tls: 'request', serverName })
      clients.push(client)
      expect(await refusalOf(client.login(login))).toMatchObject({ C: expected[index] })
    }
  })

  test('where option, user name and server name differ, one rule decides and never two', async () => {
    const serverName = `${other.ref}.${poolerDomain}`
    const { app } = one
    const client = await pooler.raw({ tls: 'request', serverName })
    clients.push(client)
    await client.login({ ...loginOf(one), user: `${app.role}.${one.ref}` })
    expect(pooler.pooler.data.clientCounts.of(one.ref)).toBe(1)
    expect(pooler.pooler.data.clientCounts.of(other.ref)).toBe(0)
    const byOption = await pooler.raw({ tls: 'request', serverName: `${one.ref}.${poolerDomain}` })
    clients.push(byOption)
    const settings = { options: `-c reference=${other.ref}` }
    await byOption.login({ ...loginOf(other), user: app.role, settings })
    expect(pooler.pooler.data.clientCounts.of(other.ref)).toBe(1)
  })
})

describe('trouble', () => {
  test('of one project is not the other one: banned, unreachable, full, blocked', async () => {
    const { control } = pooler.pooler
    const { client } = await enter(other)
    await control.tenants.setBan(one.ref, { reason: 'x', untilMs: null })
    await eventually(async () => (await refusalOf(enter(one))).M?.includes('(EBANNED)') === true)
    expect(await ask(client, 'SELECT 1')).toEqual([['1']])
    await control.tenants.setBan(one.ref, null)
    await pooler.change(one, { dbPort: 1 })
    const waiting = enter(one).catch(() => null)
    for (let count = 0; count < 10; count++) control.throttle.recordWrong(one.ref, '127.0.0.1')
    expect(await ask(client, 'SELECT 2')).toEqual([['2']])
    await enter(other)
    for (const entry of pooler.pooler.data.pools.entriesOf(other.ref)) {
      expect(entry.pool.backoffMs).toBe(0)
    }
    await pooler.change(one, { dbPort: sharedPostgres().port })
    await waiting
  })

  test('errors are counted for the project that had them', async () => {
    const errorsOf = async (ref: string) => {
      const { text } = await pooler.api('GET', `/metrics/${ref}`, 'api')
      return text.split('\n').filter((line) => /errors_total\{.*\} [1-9]/.test(line))
    }
    expect(await refusalOf(enter(one, 'transaction', { password: 'wrong' }))).toBeTruthy()
    expect((await errorsOf(one.ref)).join()).toContain('EWRONGPASSWORD')
    expect(await errorsOf(other.ref)).toEqual([])
  })
})

describe('metrics', () => {
  test("a project's own page names no other project, role, database or person", async () => {
    const stranger = await pooler.project()
    await enter(stranger)
    await enter(one)
    await enter(one, 'session')
    const { text } = await pooler.api('GET', `/metrics/${one.ref}`, 'api')
    expect(text).toContain(one.ref)
    for (const name of [
      other.ref,
      stranger.ref,
      stranger.database,
      stranger.app.role,
      insider.email,
      insider.userId,
      '127.0.0.1',
    ]) {
      expect(text.includes(name), name).toBe(false)
    }
  })

  test('names that no login has proved never become labels', async () => {
    const odd = 'evil"} 1\nrole'
    await refusalOf(enter(one, 'transaction', { user: `${odd}.${one.ref}` }))
    await refusalOf(enter(one, 'transaction', { user: 'someone.nowhere_at_all' }))
    const { text } = await pooler.api('GET', '/metrics', 'api')
    expect(text).not.toContain('evil')
    expect(text).not.toContain('nowhere_at_all')
    expect(() => parsePrometheusText(text)).not.toThrow()
    // In the log they stand, but cannot begin a line of their own.
    expect(pooler.captured.text).toContain('evil')
    for (const line of pooler.captured.text.trimEnd().split('\n')) {
      expect(() => JSON.parse(line)).not.toThrow()
    }
  })

  test('series of a project that is gone go', async () => {
    await enter(one)
    expect((await pooler.api('GET', '/metrics', 'api')).text).toContain(one.ref)
    await pooler.pooler.control.tenants.remove(one.ref)
    await eventually(async () => {
      const { text } = await pooler.api('GET', '/metrics', 'api')
      return !text.includes(one.ref)
    })
  })
})

test('over the API nobody sees the sessions, rules, events or members of a project not theirs', async () => {
  await enter(one, 'transaction', {
    user: `${one.people.role}.${one.ref}`,
    password: insider.token,
    settings: { options: '-c jit=on' },
  })
  const stranger = await pooler.person(other, { membership: 'owner' })
  for (const rest of ['/sessions', '/events', '/list', '', '/roles', `/${insider.userId}`]) {
    const path = `/v1/projects/${one.ref}/database/jit${rest}`
    expect((await pooler.api('GET', path, stranger.token)).status).toBe(404)
  }
  const own = await pooler.api(
    'GET',
    `/v1/projects/${other.ref}/database/jit/sessions`,
    stranger.token,
  )
  expect(own.body).toEqual({ items: [] })
  const [session] = pooler.pooler.control.liveSessions.list(one.ref)
  const foreign = `/v1/projects/${other.ref}/database/jit/sessions/${session?.sessionId}`
  expect((await pooler.api('DELETE', foreign, stranger.token)).status).toBe(404)
  expect(pooler.pooler.control.liveSessions.list(one.ref)).toHaveLength(1)
})
