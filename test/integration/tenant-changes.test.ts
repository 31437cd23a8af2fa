// A project is changed over the API while its clients work: what they notice.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres, uniqueName } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { type Mode, RunningPooler } from '../support/running-pooler.ts'
import type { TestProject, TestRole } from '../support/running-projects.ts'
import { StallingProxy } from '../support/stalling-proxy.ts'

let pooler: RunningPooler
let project: TestProject
const clients: RawClient[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(() => pooler?.stop())
beforeEach(async () => {
  project = await pooler.project()
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
})

interface Way {
  readonly as?: TestRole
  readonly of?: TestProject
  readonly mode?: Mode
  readonly database?: string | null
}

async function enter(way: Way = {}): Promise<RawClient> {
  const { of = project, as = of.app, mode = 'transaction', database = of.database } = way
  const client = await pooler.raw({ mode })
  clients.push(client)
  await client.login({ user: `${as.role}.${of.ref}`, password: as.password, database })
  return client
}

async function value(client: RawClient, sql: string): Promise<string | null | undefined> {
  await client.query(sql)
  return rowsOf(await client.untilReady())[0]?.[0]
}

const pid = (client: RawClient) => value(client, 'select pg_backend_pid()')

async function put(tenant: Record<string, unknown>, of = project): Promise<void> {
  const versionOf = () => pooler.pooler.control.tenantCache.peek(of.ref)?.version ?? 0
  const before = versionOf()
  const answer = await pooler.api('PUT', `/api/tenants/${of.ref}`, 'api', { tenant })
  expect(answer).toMatchObject({ status: 200 })
  await eventually(() => versionOf() > before)
}

/** What was asked of the database may be used for a second. */
async function aSecondLater(): Promise<void> {
  const startMs = performance.now()
  await eventually(() => performance.now() - startMs > 1000)
}

const setPassword = ({ role }: TestRole, password: string) =>
  sharedPostgres().query(`ALTER ROLE "${role}" PASSWORD '${password}'`)

describe('a PUT', () => {
  test('of limits applies to the next checkout, and drops neither clients nor servers', async () => {
    const [one, other] = [await enter(), await enter()]
    const before = await pid(one)
    await put({ users: [{ db_user: project.app.role, pool_size: 1, pool_checkout_timeout: 200 }] })
    expect(await pid(one)).toBe(before)
    await value(one, 'begin')
    await other.query('select 1')
    const [refused] = await other.untilReady()
    expect(errorFields(refused?.body ?? Buffer.alloc(0)).M).toMatch(/200 ms \(pool size 1,/)
    await put({ users: [{ db_user: project.app.role, pool_size: 2 }] })
    expect(await value(other, 'select 2')).toBe('2')
  })

  test('of a larger pool serves who waits already', async () => {
    await enter()
    await put({ users: [{ db_user: project.app.role, pool_size: 1 }] })
    const [one, other] = [await enter(), await enter()]
    await value(one, 'begin')
    await other.query('select 2')
    const pools = [...pooler.pooler.data.pools.entriesOf(project.ref)]
    await eventually(() => pools.some(({ pool }) => pool.waiters === 1))
    await put({ users: [{ db_user: project.app.role, pool_size: 2 }] })
    expect(rowsOf(await other.untilReady())).toEqual([['2']])
  })

  test('of a smaller pool closes what is idle, and nothing beyond', async () => {
    const few = await Promise.all([1, 2, 3, 4].map(() => enter()))
    await Promise.all(few.map((client) => value(client, 'begin')))
    await Promise.all(few.slice(1).map((client) => value(client, 'commit')))
    const held = await pid(few[0] as RawClient)
    const pids = async () => {
      const sql = 'select pid::text from pg_stat_activity where usename = $1'
      return (await sharedPostgres().query(sql, [project.app.role])).map((row) => row.pid)
    }
    expect(await pids()).toHaveLength(4)
    await put({ users: [{ db_user: project.app.role, pool_size: 1 }] })
    await eventually(async () => (await pids()).length === 1)
    await value(few[0] as RawClient, 'commit')
    expect(await value(few[1] as RawClient, 'select pg_backend_pid()')).toBe(held)
    expect(await pids()).toEqual([held])
  })

  test('of another port takes clients along at the end of their transaction', async () => {
    const proxy = await StallingProxy.open(sharedPostgres().host, sharedPostgres().port)
    const [busy, idle] = [await enter(), await enter()]
    await value(busy, 'begin')
    const before = await pid(busy)
    await put({ db_port: proxy.port })
    expect(await pid(busy)).toBe(before)
    expect(proxy.seen).toBe(0)
    await value(busy, 'commit')
    expect(await value(idle, 'select 1')).toBe('1')
    expect(await pid(busy)).not.toBe(before)
    expect(proxy.seen).toBeGreaterThan(0)
    await put({ db_port: sharedPostgres().port })
    expect(await value(idle, 'select 1')).toBe('1')
    await proxy.close()
  })

  test('of another database ends, between transactions, who named none', async () => {
    const [named, unnamed] = [await enter(), await enter({ database: null })]
    await value(unnamed, 'begin')
    const database = uniqueName('moved')
    await sharedPostgres().createDatabase(database)
    await put({ db_database: database })
    expect(await value(named, 'select current_database()')).toBe(project.database)
    expect(await value(unnamed, 'select current_database()')).toBe(project.database)
    await unnamed.query('commit')
    const replies = await unnamed.readAll()
    expect(typesOf(replies)).toBe('CZE')
    expect(errorFields(replies.at(-1)?.body ?? Buffer.alloc(0))).toMatchObject({ C: '57P01' })
    const again = await enter({ database: null })
    expect(await value(again, 'select current_database()')).toBe(database)
    again.close()
    await put({ db_database: project.database })
    await pooler.pooler.data.pools.closeTenant(project.ref, new Error('test') as never)
    await eventually(() =>
      sharedPostgres()
        .dropDatabase(database)
        .then(() => true),
    )
  })
})

describe('a password that is changed', () => {
  test('where it is stored: clients stay, servers of the old one are replaced', async () => {
    const [client, session] = [await enter(), await enter({ mode: 'session' })]
    const before = await pid(client)
    await setPassword(project.app, 'another')
    await put({ users: [{ db_user: project.app.role, db_password: 'another' }] })
    expect(await value(session, 'select 1')).toBe('1')
    expect(await pid(client)).not.toBe(before)
    const again = await enter({ as: { ...project.app, password: 'another' } })
    expect(await value(again, 'select 1')).toBe('1')
  })

  test('in the database: the new one works at the first try, and the old one’s servers go', async () => {
    const queried = await pooler.project({ auth: 'query' })
    const client = await enter({ of: queried })
    const before = await pid(client)
    await setPassword(queried.app, 'another')
    expect(await pid(client)).toBe(before)
    await aSecondLater()
    const again = await enter({ of: queried, as: { ...queried.app, password: 'another' } })
    expect(await pid(again)).not.toBe(before)
    expect(await pid(client)).not.toBe(before)
  })

  test('after servers were refused: the new one does not wait for the backoff of the old', async () => {
    const queried = await pooler.project({ auth: 'query' })
    const client = await enter({ of: queried })
    await value(client, 'select 1')
    await setPassword(queried.app, 'another')
    for (const { pool } of pooler.pooler.data.pools.entriesOf(queried.ref)) pool.retireServers()
    await client.query('select 1')
    expect(typesOf(await client.untilReady())).toBe('EZ')
    await aSecondLater()
    await enter({ of: queried, as: { ...queried.app, password: 'another' } })
    expect(await value(client, 'select 2')).toBe('2')
  })

  test('of the manager, by update_auth_credentials: nobody notices', async () => {
    const queried = await pooler.project({ auth: 'query' })
    const client = await enter({ of: queried })
    const before = await pid(client)
    await value(client, 'begin')
    const manager = await pooler.role('manager', 'SUPERUSER')
    const path = `/api/tenants/${queried.ref}/update_auth_credentials`
    const body = { db_user: manager.role, db_password: manager.password }
    expect((await pooler.api('POST', path, 'api', body)).status).toBe(204)
    await eventually(() =>
      pooler.pooler.control.tenantCache.peek(queried.ref)?.roles.has(manager.role),
    )
    await value(client, 'commit')
    expect(await pid(client)).toBe(before)
    await setPassword(queried.app, 'another')
    await aSecondLater()
    const again = await enter({ of: queried, as: { ...queried.app, password: 'another' } })
    expect(await value(again, 'select 1')).toBe('1')
  })
})

describe('a project that ends tells whoever is in it, and stops what they run', () => {
  const ends: readonly [string, () => Promise<unknown>, RegExp][] = [
    [
      'banned',
      () =>
        pooler.api('PATCH', `/api/tenants/${project.ref}`, 'api', {
          banned: true,
          ban_reason: 'unpaid',
        }),
      /EBANNED.*unpaid/,
    ],
    [
      'deleted',
      () => pooler.api('DELETE', `/api/tenants/${project.ref}`, 'api'),
      /ETERMINATED.*deleted/,
    ],
  ]
  test.each(ends)('%s', async (_name, end, text) => {
    const [idle, busy, waiting] = [await enter(), await enter(), await enter({ mode: 'session' })]
    await value(idle, 'select 1')
    await busy.query("select pg_sleep(600), 'ends'")
    await value(waiting, 'begin')
    await end()
    for (const client of [idle, busy, waiting]) {
      const last = (await client.readAll()).at(-1)
      expect(last?.type).toBe('E')
      expect(errorFields(last?.body ?? Buffer.alloc(0)).S).toBe('FATAL')
      expect(errorFields(last?.body ?? Buffer.alloc(0)).M).toMatch(text)
    }
    await eventually(async () => {
      const rows = await sharedPostgres().query(
        'select 1 from pg_stat_activity where usename = $1',
        [project.app.role],
      )
      return rows.length === 0
    })
  })
})
