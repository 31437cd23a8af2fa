// idle_session_timeout is a client's own: a server that idles in a pool is not ended by it.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'

let pooled: PooledPostgres
beforeEach(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
})
afterEach(() => pooled.stop())

const limit = '50ms'

/** Ten times as long as the limit. */
async function aServerRests(): Promise<unknown> {
  const sql = `select pid from pg_stat_activity
    where usename = $1 and state = 'idle' and state_change < now() - interval '500 ms'`
  return await eventually(async () => {
    const [row] = await sharedPostgres().query(sql, [pooled.role])
    return row?.pid ?? false
  })
}

test('set by a client', async () => {
  const [one, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await pooled.value(one, `set idle_session_timeout = '${limit}'`)
  const pid = await aServerRests()
  expect(await pooled.value(other, 'select pg_backend_pid()')).toBe(String(pid))
  expect(await pooled.value(one, 'show idle_session_timeout')).toBe(limit)
  expect(await aServerRests()).toBe(pid)
  expect(await pooled.value(other, 'show idle_session_timeout')).toBe('0')
})

test('given at a login', async () => {
  const settings = { idle_session_timeout: limit }
  const client = await pooled.client('transaction', { settings })
  await aServerRests()
  expect(await pooled.value(client, 'show idle_session_timeout')).toBe(limit)
  await aServerRests()
})

test('of a client that left in a transaction', async () => {
  const client = await pooled.client('transaction')
  await pooled.value(client, `set idle_session_timeout = '${limit}'`)
  await pooled.value(client, 'begin')
  client.reset()
  await aServerRests()
})

test('ends who keeps its server, as Postgres does', async () => {
  const client = await pooled.client('transaction')
  await pooled.value(client, 'create temp table mine (x int)')
  await pooled.value(client, `set idle_session_timeout = '${limit}'`)
  await eventually(() => client.end !== 'open')
  const last = client.received.at(-1)
  expect(last?.body.toString()).toContain('57P05')
})

test('of 0 is left as it is: nothing stands behind its transaction', async () => {
  const client = await pooled.client('transaction', { settings: { idle_session_timeout: '0' } })
  expect(await pooled.value(client, 'select 77')).toBe('77')
  await client.terminate()
  await client.readAll()
  await pooled.settled()
  expect((await pooled.backends()).map(({ query }) => query)).toEqual(['select 77'])
})

test('set by a client that acts as another role', async () => {
  const reader = 'pg_read_all_stats'
  await sharedPostgres().query(`grant ${reader} to ${pooled.role}`)
  const [one, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await pooled.value(one, `set role ${reader}`)
  await pooled.value(one, "set idle_session_timeout = '70ms'")
  for (let round = 0; round < 2; round++) {
    expect(await pooled.value(other, 'select current_user')).toBe(pooled.role)
    expect(await pooled.value(other, 'show idle_session_timeout')).toBe('0')
    expect(await pooled.value(one, 'select current_user')).toBe(reader)
    expect(await pooled.value(one, 'show idle_session_timeout')).toBe('70ms')
  }
})
