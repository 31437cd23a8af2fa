// A server that does not take its next client's settings, for what others have left on it: the client gets
// another one, or the same one reset, and is ended only by what a clean server refuses.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const start = async (attributes = ''): Promise<void> => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, attributes })
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
  const [error] = await one.readAll()
  expect(errorFields(error?.body ?? Buffer.alloc(0))).toMatchObject({ S: 'FATAL', C: '42501' })
  expect(await pooled.value(other, 'select 7')).toBe('7')
})
