// A cancel request that comes while something of the pooler's own runs for its client.
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { lockedCatalog } from '../support/locked-catalog.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

/** A client whose message `sent` waits until its settings are on another server, which `operator` holds up. */
async function restoring(sent: Buffer) {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const { client, login } = await pooled.login('transaction')
  const busy = await pooled.client('transaction')
  await pooled.value(client, "set default_text_search_config = 'pg_catalog.german'")
  // The question behind that has been answered, and the other one gets its server.
  await pooled.value(client, 'select 1')
  await pooled.value(busy, 'begin')
  const operator = await lockedCatalog(pooled, 'pg_ts_config')
  await client.send(sent)
  await pooled.running('set_config')
  return { client, login, busy, operator }
}

test('the question behind a transaction is not cancelled', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const { client, login } = await pooled.login('transaction')
  const other = await pooled.client('transaction')
  await pooled.value(client, 'select 1')
  const operator = await lockedCatalog(pooled, 'pg_depend')
  await pooled.value(client, 'select pg_advisory_lock(11)')
  await pooled.running('WITH asked')
  await client.cancel(login.processId, login.secret)
  // It comes behind the request, and is not what that was for.
  await client.query('select pg_sleep(0.5)::text')
  operator.close()
  expect(typesOf(await client.untilReady())).toBe('TDCZ')
  expect(await pooled.value(other, 'select pg_try_advisory_lock(11)')).toBe('f')
})

test('what brings a server to its settings is not cancelled, and what comes behind it is', async () => {
  const { client, login, busy, operator } = await restoring(raw.query('select pg_sleep(60)'))
  await client.cancel(login.processId, login.secret)
  operator.close()
  const [error] = (await client.untilReady()).filter(({ type }) => type === 'E')
  expect(errorFields(error?.body ?? Buffer.alloc(0))).toMatchObject({ S: 'ERROR', C: '57014' })
  expect(await pooled.value(client, 'show default_text_search_config')).toBe('pg_catalog.german')
  await pooled.value(busy, 'rollback')
})

/** As far as the pooler has read them. */
const bytesFromClients = () =>
  [...pooled.pooler.plane.pools.entries()].reduce(
    (sum, { pool }) => sum + pool.counters.bytesFromClients,
    0,
  )

test('what waits behind the question is cancelled, though its server goes to another client', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const { client, login } = await pooled.login('transaction')
  const other = await pooled.client('transaction')
  await pooled.value(client, "create function f() returns int language sql as 'select 1'")
  // The question behind that has been answered.
  await pooled.value(client, 'select 1')
  const operator = await lockedCatalog(pooled, 'pg_depend')
  await pooled.value(client, 'select f()')
  await pooled.running('WITH asked')
  await other.query("select 'the other'")
  await eventually(async () => (await pooled.waiters()) === 1)
  const bytes = bytesFromClients()
  await client.query('select pg_sleep(600)')
  await eventually(() => bytesFromClients() > bytes)
  await client.cancel(login.processId, login.secret)
  operator.close()
  expect(typesOf(await other.untilReady())).toBe('TDCZ')
  const replies = await client.untilReady()
  expect(typesOf(replies)).toBe('EZ')
  expect(errorFields(replies[0]?.body ?? Buffer.alloc(0))).toMatchObject({ S: 'ERROR', C: '57014' })
  expect(await pooled.value(client, 'select 1')).toBe('1')
})

test('what stands behind the statement that is cancelled there is not', async () => {
  const both = [raw.query('select pg_sleep(600)'), raw.query('select pg_sleep(2)::text')]
  const { client, login, busy, operator } = await restoring(Buffer.concat(both))
  await client.cancel(login.processId, login.secret)
  operator.close()
  expect(typesOf(await client.untilReadies(2))).toMatch(/^T?EZTDCZ$/)
  await pooled.value(busy, 'rollback')
})

test('a batch without Sync is cancelled behind what brings its server to its settings', async () => {
  const batch = [raw.parse('', 'select pg_sleep(600)'), raw.bind(), raw.execute(), raw.flush()]
  const { client, login, busy, operator } = await restoring(Buffer.concat(batch))
  await client.cancel(login.processId, login.secret)
  operator.close()
  const error = (await client.untilType('E')).at(-1)
  expect(errorFields(error?.body ?? Buffer.alloc(0))).toMatchObject({ S: 'ERROR', C: '57014' })
  await client.send(raw.sync())
  expect(typesOf(await client.untilReady())).toBe('Z')
  expect(await pooled.value(client, 'show default_text_search_config')).toBe('pg_catalog.german')
  await pooled.value(busy, 'rollback')
})
