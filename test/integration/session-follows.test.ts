// What follows a client from server to server in transaction mode, and what keeps its server to it.
// Two clients of one role, through the transaction port, on a pool of one or two servers.
import pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import type { Config } from '../../pooler/config/settings.ts'
import { Secret } from '../../shared/secret.ts'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { identifier, sharedPostgres, uniqueName } from '../support/postgres.ts'
import { makeRole, makeTenant } from '../support/tenants.ts'

const postgres = sharedPostgres()
const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function twoClients(
  poolSize: number,
  config: Partial<Config> = {},
): Promise<[pg.Client, pg.Client]> {
  const { superuser, password } = postgres
  const role = makeRole(superuser, new Secret(password), { poolSize })
  const tenant = makeTenant({
    dbPort: Number(new URL(postgres.url()).port),
    roles: new Map([[superuser, role]]),
  })
  const plane = await BareDataPlane.start({ tenant, config })
  closers.push(async () => {
    await plane.settled()
    await plane.stop()
  })
  const url = `postgres://${superuser}.${tenant.ref}:x@127.0.0.1:${plane.transactionPort}/postgres`
  const clients = [new pg.Client(url), new pg.Client(url)] as const
  for (const client of clients) {
    await client.connect()
    closers.push(() => client.end())
  }
  return [...clients]
}

const show = async (client: pg.Client, name: string): Promise<string> =>
  (await client.query(`select coalesce(current_setting('${name}', true), '') v`)).rows[0].v

const one = async (client: pg.Client, sql: string): Promise<unknown> =>
  Object.values((await client.query(sql)).rows[0])[0]

describe('settings, on one server', () => {
  test('SET stays with its client, and a rolled back one does not', async () => {
    const [a, b] = await twoClients(1)
    await a.query("set work_mem = '1234kB'")
    expect(await show(b, 'work_mem')).toBe('4MB')
    expect(await show(a, 'work_mem')).toBe('1234kB')
    await a.query('begin')
    await a.query("set work_mem = '5MB'")
    await a.query('savepoint s')
    await a.query("set work_mem = '6MB'")
    await a.query('rollback')
    expect(await show(a, 'work_mem')).toBe('1234kB')
    await a.query(
      "begin; set work_mem = '7MB'; savepoint s; set work_mem = '8MB'; rollback to s; commit",
    )
    expect(await show(b, 'work_mem')).toBe('4MB')
    expect(await show(a, 'work_mem')).toBe('7MB')
    await a.query('reset work_mem')
    expect(await show(a, 'work_mem')).toBe('4MB')
  })

  test.each([
    ['SET TRANSACTION', 'set transaction isolation level serializable, read only, deferrable'],
    ['SET', "set transaction_isolation to 'serializable'; set transaction_read_only to on"],
    ['set_config', "select set_config('transaction_read_only', 'on', false)"],
    ['a block of code', 'do $$begin set transaction_read_only to on; end$$'],
  ])('the properties of a transaction set by %s end with it', async (_how, sql) => {
    const [a, b] = await twoClients(1)
    await a.query('begin')
    await a.query(sql)
    // The server is asked about everything, and still lists them as set.
    await a.query("do $$begin set work_mem = '1234kB'; end$$")
    await a.query('commit')
    for (const client of [b, a, b]) {
      expect(await show(client, 'transaction_isolation')).toBe('read committed')
      expect(await show(client, 'transaction_read_only')).toBe('off')
    }
    expect(await show(a, 'work_mem')).toBe('1234kB')
  })

  test('SET LOCAL is gone with its transaction', async () => {
    const [a, b] = await twoClients(1)
    await a.query("begin; set local work_mem = '1234kB'; commit")
    expect(await show(a, 'work_mem')).toBe('4MB')
    expect(await show(b, 'work_mem')).toBe('4MB')
  })

  test('set_config follows too, also of settings of an application', async () => {
    const [a, b] = await twoClients(1)
    await a.query("select set_config('app.user', 'alice', false)")
    await b.query({ name: 'as', text: "select set_config('app.user', $1, false)", values: ['bob'] })
    expect(await show(a, 'app.user')).toBe('alice')
    expect(await show(b, 'app.user')).toBe('bob')
    await b.query({ name: 'as', text: "select set_config('app.user', $1, false)", values: ['eve'] })
    expect(await show(a, 'app.user')).toBe('alice')
    expect(await show(b, 'app.user')).toBe('eve')
  })

  test('a setting of an application under a computed name is gone, for the next client above all', async () => {
    const [a, b] = await twoClients(1)
    await a.query('select set_config($1, $2, false)', ['app.user', 'alice'])
    expect(await show(b, 'app.user')).toBe('')
    const name = uniqueName('hides')
    await postgres.query(
      `create function ${identifier(name)}() returns void language sql as $$select set_config('app.user', 'mallory', false)$$`,
    )
    await a.query(`select ${identifier(name)}()`)
    expect(await show(b, 'app.user')).toBe('')
  })

  test.each([
    ['a value too long to be carried', "select set_config('app.n0', repeat('x', 20000), false)"],
    [
      'more settings than are carried',
      Array.from({ length: 250 }, (_, index) => `set app.n${index} = 'x'`).join(';'),
    ],
  ])('%s keeps the server for its client', async (_what, sql) => {
    const [a, b] = await twoClients(1)
    await a.query(sql)
    await a.query("set work_mem = '5MB'")
    expect(await show(a, 'app.n0')).toMatch(/^x+$/)
    const waiting = show(b, 'app.n0')
    expect(await show(a, 'app.n0')).toMatch(/^x+$/)
    await a.query('discard all')
    expect(await waiting).toBe('')
  })

  test('what a block of code or a function sets is seen as well', async () => {
    const [a, b] = await twoClients(1)
    await a.query("do $$begin set work_mem = '1234kB'; end$$")
    expect(await show(b, 'work_mem')).toBe('4MB')
    expect(await show(a, 'work_mem')).toBe('1234kB')
    const name = uniqueName('sets')
    await postgres.query(
      `create function ${identifier(name)}() returns void language sql as $$select set_config('work_mem', '2222kB', false)$$`,
    )
    await a.query(`select ${identifier(name)}()`)
    expect(await show(b, 'work_mem')).toBe('4MB')
    expect(await show(a, 'work_mem')).toBe('2222kB')
  })

  test('a role that was set is its client’s alone', async () => {
    const [a, b] = await twoClients(1)
    const role = uniqueName('worker')
    await postgres.query(`create role ${identifier(role)}`)
    await a.query(`set role ${identifier(role)}`)
    expect(await one(b, 'select current_user')).toBe(postgres.superuser)
    expect(await one(a, 'select current_user')).toBe(role)
    await a.query('reset role')
    expect(await one(a, 'select current_user')).toBe(postgres.superuser)
    await a.query(`set session authorization ${identifier(role)}`)
    expect(await one(b, 'select session_user')).toBe(postgres.superuser)
    expect(await one(a, 'select session_user')).toBe(role)
    await a.query('reset session authorization')
    expect(await one(a, 'select session_user')).toBe(postgres.superuser)
  })

  test('DISCARD ALL takes away what its client has set, and nothing of another', async () => {
    const [a, b] = await twoClients(1)
    await a.query("set work_mem = '1234kB'")
    await b.query("set work_mem = '4321kB'")
    await a.query('discard all')
    expect(await show(a, 'work_mem')).toBe('4MB')
    expect(await show(b, 'work_mem')).toBe('4321kB')
  })
})

describe('what cannot follow keeps the server to its client, until it is gone', () => {
  test('a temporary table', async () => {
    const [a, b] = await twoClients(2)
    await a.query('create temp table mine (x int)')
    await a.query('insert into mine values (1)')
    await expect(b.query('select * from mine')).rejects.toThrow(/does not exist/)
    expect((await a.query('select * from mine')).rowCount).toBe(1)
    await a.query('drop table mine')
    await expect(a.query('select * from mine')).rejects.toThrow(/does not exist/)
  })

  test('a session advisory lock', async () => {
    const [a, b] = await twoClients(2)
    await a.query('select pg_advisory_lock(77)')
    expect(await one(b, 'select pg_try_advisory_lock(77)')).toBe(false)
    expect(await one(a, 'select pg_advisory_unlock(77)')).toBe(true)
    expect(await one(b, 'select pg_try_advisory_lock(77)')).toBe(true)
    expect(await one(b, 'select pg_advisory_unlock(77)')).toBe(true)
  })

  test('a statement prepared in SQL, and a held cursor', async () => {
    const [a, b] = await twoClients(2)
    await a.query('prepare mine as select 5 as five')
    await expect(b.query('execute mine')).rejects.toThrow(/does not exist/)
    expect(await one(a, 'execute mine')).toBe(5)
    await a.query('begin; declare held cursor with hold for select 7 as seven; commit')
    expect(await one(a, 'fetch held')).toBe(7)
    await a.query('close held; deallocate mine')
    await expect(a.query('execute mine')).rejects.toThrow(/does not exist/)
  })

  test('a channel that is listened to', async () => {
    const [a, b] = await twoClients(2)
    const got: (string | undefined)[] = []
    a.on('notification', ({ payload }) => got.push(payload))
    await a.query('listen news')
    await b.query("notify news, 'hello'")
    await expect.poll(() => got).toEqual(['hello'])
    await a.query('unlisten news')
    await b.query("notify news, 'nobody'")
    await a.query('select 1')
    expect(got).toEqual(['hello'])
  })

  test('a client that leaves takes it along, and the server serves the next', async () => {
    const [a, b] = await twoClients(1)
    await a.query('create temp table mine (x int)')
    await a.query('select pg_advisory_lock(78)')
    await a.end()
    expect(await one(b, 'select pg_try_advisory_lock(78)')).toBe(true)
    await expect(b.query('select * from mine')).rejects.toThrow(/does not exist/)
    await b.query('select pg_advisory_unlock(78)')
  })
})

describe('what no text shows', () => {
  const hide = async (sql: string): Promise<string> => {
    const view = identifier(uniqueName('hidden'))
    await postgres.query(`create view ${view} as ${sql}`)
    closers.push(() => postgres.query(`drop view ${view}`))
    return view
  }

  test('follows and pins all the same with POOLER_STATE_CHECK=always', async () => {
    const [a, b] = await twoClients(2, { poolerStateCheck: 'always' })
    const setting = await hide("select set_config('work_mem', '9MB', false)")
    const lock = await hide('select pg_advisory_lock(4711) is null')
    await a.query(`select * from ${setting}`)
    expect(await show(b, 'work_mem')).toBe('4MB')
    expect(await show(a, 'work_mem')).toBe('9MB')
    await a.query(`select * from ${lock}`)
    await b.query('select 1')
    expect(await one(a, 'select pg_advisory_unlock(4711)')).toBe(true)
  })

  test('a setting under a name that is on no list is gone for the next', async () => {
    const [a, b] = await twoClients(1, { poolerStateCheck: 'always' })
    const setting = await hide("select set_config('app.user', 'ada', false)")
    await a.query(`select * from ${setting}`)
    expect(await show(b, 'app.user')).toBe('')
  })

  test('is the documented remainder without it', async () => {
    const [a, b] = await twoClients(1)
    const setting = await hide("select set_config('work_mem', '9MB', false)")
    await a.query(`select * from ${setting}`)
    expect(await show(b, 'work_mem')).toBe('9MB')
  })
})
