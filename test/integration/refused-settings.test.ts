// A server that does not take its next client's settings, for what others have left on it: the client gets
// another one, or the same one reset, and is ended only by what a clean server refuses.
import { afterEach, describe, expect, test } from 'vitest'
import { allMoved, Listener } from '../support/listeners.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres, uniqueName } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const start = async (attributes = '', poolSize = 1): Promise<void> => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize, attributes })
}

async function run(client: RawClient, sql: string): Promise<string> {
  await client.query(sql)
  return typesOf(await client.untilReady())
}

const temporary = 'create temp table t as select 1; drop table t'
const settings = { temp_buffers: '16MB' }
const show = (client: RawClient) => pooled.value(client, 'show temp_buffers')

test('temp_buffers follows to a server that has had temporary tables', async () => {
  await start()
  const one = await pooled.client('transaction')
  const other = await pooled.client('transaction')
  expect(await run(one, "set temp_buffers = '16MB'")).toBe('CZ')
  for (let round = 0; round < 2; round++) {
    expect(await run(other, temporary)).toBe('CCZ')
    // What stands behind it waits with it.
    await one.send(Buffer.concat([raw.query('show temp_buffers'), raw.query('select 7')]))
    expect(rowsOf(await one.untilReadies(2))).toEqual([['16MB'], ['7']])
  }
})

test.each(['transaction', 'session'] as const)(
  'temp_buffers of a login at the %s port, where a server has had temporary tables',
  async (port) => {
    await start()
    const other = await pooled.client(port)
    expect(await run(other, temporary)).toBe('CCZ')
    await other.terminate()
    await other.readAll()
    expect(await show(await pooled.client(port, { settings }))).toBe('16MB')
  },
)

test('temp_buffers of a client that uses them is not its neighbour’s', async () => {
  await start()
  const one = await pooled.client('transaction', { settings })
  const other = await pooled.client('transaction')
  for (let round = 0; round < 2; round++) {
    expect(await run(one, temporary)).toBe('CCZ')
    expect(await show(other)).toBe('8MB')
    expect(await show(one)).toBe('16MB')
  }
})

test('what a client may not set any more ends that one alone', async () => {
  await start('superuser')
  const one = await pooled.client('transaction')
  const other = await pooled.client('transaction')
  expect(await run(one, "set session_replication_role = 'replica'")).toBe('CZ')
  await sharedPostgres().query(`alter role ${pooled.role} nosuperuser`)
  expect(await pooled.value(other, 'show session_replication_role')).toBe('origin')
  await one.query('select 1')
  await isEnded(one)
  expect(await pooled.value(other, 'select 7')).toBe('7')
})

// It keeps the server that it gets from its first transaction on: not one that has refused it.
describe('a client whose search_path may make temporary objects', () => {
  test.each(['pg_temp, public', 'app, pg_temp'])('has all its settings: %s', async (path) => {
    await start()
    const wanted = { ...settings, search_path: path, statement_timeout: '55s' }
    const first = await pooled.client('transaction', { settings: wanted })
    expect(await show(first)).toBe('16MB')
    await first.terminate()
    await first.readAll()
    const other = await pooled.client('transaction')
    const one = await pooled.client('transaction', { settings: wanted })
    expect(await run(other, temporary)).toBe('CCZ')
    for (const [name, value] of Object.entries(wanted))
      expect(await pooled.value(one, `show ${name}`)).toBe(value)
  })

  test('does not run as another role than it asked for', async () => {
    await start()
    await withReader(async (reader, revoke) => {
      const wanted = { role: reader, search_path: 'app, pg_temp' }
      const other = await pooled.client('transaction')
      const one = await pooled.client('transaction', { settings: wanted })
      expect(await pooled.value(other, 'select 1')).toBe('1')
      await revoke()
      await one.query('select current_user')
      await isEnded(one)
    })
  })
})

describe('a client that has temp_buffers closes no server for another refusal', () => {
  test.each([
    ['of another setting', { ...settings, work_mem: 'nonsense' }],
    ['of its value', { temp_buffers: 'nonsense' }],
  ])('at its login: %s', async (_, wanted) => {
    await start('', 4)
    const before = await servers()
    await expect(pooled.client('transaction', { settings: wanted })).rejects.toThrow()
    expect(await servers()).toEqual(before)
  })

  test('of its role, later on', async () => {
    await start('', 4)
    await withReader(async (reader, revoke) => {
      const one = await pooled.client('transaction', { settings: { ...settings, role: reader } })
      const before = await servers()
      await revoke()
      await one.query('select 1')
      await isEnded(one)
      const after = await servers()
      // But for the one that it ended on.
      expect(before.filter((pid) => after.includes(pid))).toHaveLength(3)
    })
  })
})

test('a client that listens follows to a server that had refused it', async () => {
  await start()
  const one = await Listener.start(pooled)
  await one.run("set temp_buffers = '16MB'")
  await one.run('listen news')
  await allMoved(pooled)
  const other = await pooled.client('transaction')
  for (const round of [1, 2]) {
    expect(await run(other, temporary)).toBe('CCZ')
    expect(await one.column('show temp_buffers')).toEqual(['16MB'])
    await one.run(`notify news, 'own${round}'`)
    expect(await run(other, `notify news, 'other${round}'`)).toBe('CZ')
  }
  await one.hears('own1', 'other1', 'own2', 'other2')
})

test('a cancel ends what waits behind a refused restore, and nothing else', async () => {
  await start()
  const { client, login } = await pooled.login('transaction')
  expect(await run(client, "set temp_buffers = '16MB'")).toBe('CZ')
  const [other, third] = [await pooled.client('transaction'), await pooled.client('transaction')]
  for (let round = 0; round < 3; round++) {
    expect(await run(other, temporary)).toBe('CCZ')
    await client.query('select pg_sleep(60)')
    await third.query('select 3')
    await client.cancel(login.processId, login.secret)
    expect(typesOf(await client.untilReady())).toMatch(/^T?EZ$/)
    expect(rowsOf(await third.untilReady())).toEqual([['3']])
    expect(await show(client)).toBe('16MB')
  }
})

async function isEnded(client: RawClient): Promise<void> {
  const [error] = await client.readAll()
  expect(errorFields(error?.body ?? Buffer.alloc(0))).toMatchObject({ S: 'FATAL', C: '42501' })
}

/** Of a pool of four, all of them at once. */
async function servers(): Promise<readonly (string | null)[]> {
  const clients = await Promise.all([1, 2, 3, 4].map(() => pooled.client('transaction')))
  for (const client of clients) expect(await run(client, 'begin')).toBe('CZ')
  const pids: (string | null)[] = []
  for (const client of clients) pids.push(await pooled.value(client, 'select pg_backend_pid()'))
  for (const client of clients) expect(await run(client, 'commit')).toBe('CZ')
  return pids.sort()
}

/** A role that the pooled one may act as, until it is revoked. */
async function withReader(
  use: (reader: string, revoke: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const postgres = sharedPostgres()
  const reader = uniqueName('reader')
  await postgres.query(`create role ${reader}`)
  try {
    await postgres.query(`grant ${reader} to ${pooled.role}`)
    await use(reader, () => postgres.query(`revoke ${reader} from ${pooled.role}`))
  } finally {
    await postgres.query(`drop role ${reader}`)
  }
}
