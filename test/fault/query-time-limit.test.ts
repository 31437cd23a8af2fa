// QUERY_TIMEOUT_MS: what it counts as a query that runs too long, and when the client is told so.
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { HeldCancels } from '../support/held-cancels.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

const limitMs = 500

let pooled: PooledPostgres
let cancels: HeldCancels | null = null
afterEach(async () => {
  await pooled.stop()
  await cancels?.close()
  cancels = null
})

const start = async (options: PooledPostgresOptions = {}): Promise<void> => {
  pooled = await PooledPostgres.start(sharedPostgres(), {
    poolSize: 2,
    config: { queryTimeoutMs: limitMs },
    ...options,
  })
}

const errors = (replies: readonly raw.RawMessage[]) =>
  replies.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body).M)
const tooLong = `(EQUERYTIMEOUT) query ran for longer than ${limitMs} ms`

test('a query that runs too long is cancelled, and its client goes on', async () => {
  await start()
  const client = await pooled.client('transaction')
  await client.query('select pg_sleep(600)')
  expect(errors(await client.untilReady())).toEqual([tooLong])
  expect(await pooled.value(client, 'select 1')).toBe('1')
})

test('one that ends in Flush, too', async () => {
  await start()
  const client = await pooled.client('transaction')
  const slow = [raw.parse('', 'select pg_sleep(600)'), raw.bind(), raw.execute(), raw.flush()]
  await client.send(Buffer.concat(slow))
  expect(errors(await client.untilType('E'))).toEqual([tooLong])
  await client.send(raw.sync())
  expect(typesOf(await client.untilReady())).toBe('Z')
  expect(await pooled.value(client, 'select 1')).toBe('1')
})

test('one behind a copy that is asked for by Flush with it, too', async () => {
  await start()
  const client = await pooled.client('transaction')
  await client.query('create table kit (n int)')
  await client.untilReady()
  const copy = [raw.parse('', 'copy kit from stdin'), raw.bind(), raw.execute(), raw.copyDone()]
  const slow = [raw.parse('', 'select pg_sleep(600)'), raw.bind(), raw.execute(), raw.flush()]
  await client.send(Buffer.concat([...copy, ...slow]))
  expect(errors(await client.untilType('E'))).toEqual([tooLong])
})

test('what a server has not been asked to answer yet is not', async () => {
  await start()
  const client = await pooled.client('transaction')
  const witness = await pooled.client('transaction')
  await client.send(Buffer.concat([raw.parse('', 'select 2'), raw.bind(), raw.execute()]))
  for (let round = 1; round <= 2; round++) {
    await witness.query('select pg_sleep(600)')
    expect(errors(await witness.untilReady())).toEqual([tooLong])
  }
  await client.send(raw.sync())
  expect(typesOf(await client.untilReady())).toBe('12DCZ')
})

test('a replication stream is no query that runs too long', async () => {
  await start({ attributes: 'REPLICATION' })
  const stream = await pooled.client('session', { settings: { replication: 'true' } })
  await stream.query('IDENTIFY_SYSTEM')
  const position = rowsOf(await stream.untilReady())[0]?.[2]
  await stream.query(`START_REPLICATION ${position}`)
  await stream.untilType('W')
  const witness = await pooled.client('transaction')
  // The clients are looked at in turn: with the second one the stream has been, and was too old by then.
  for (let round = 1; round <= 2; round++) {
    await witness.query('select pg_sleep(600)')
    expect(errors(await witness.untilReady())).toEqual([tooLong])
  }
  await stream.send(raw.copyDone())
  expect(typesOf(await stream.untilReady()).replace(/d/g, '')).toBe('cCCZ')
  await stream.query('IDENTIFY_SYSTEM')
  expect(typesOf(await stream.untilReady())).toBe('TDCZ')
})

test('a copy whose data do not come to an end is one', async () => {
  await start()
  const client = await pooled.client('transaction')
  await client.query('create table kit (n int)')
  await client.untilReady()
  await client.query('copy kit from stdin')
  await client.untilType('G')
  // Postgres looks for a cancel when data come.
  await eventually(async () => {
    await client.send(raw.copyData('1\n'))
    return client.pending().length > 0
  })
  await client.send(raw.copyDone())
  expect(errors(await client.untilReady())).toEqual([tooLong])
})

test('what is said of a query that ran too long is not said of a later one', async () => {
  cancels = new HeldCancels(sharedPostgres())
  await start({ upstreamPort: await cancels.start() })
  const holder = await RawClient.loggedIn(pooled.direct())
  await holder.query('select pg_advisory_lock(77)')
  await holder.untilReady()
  const client = await pooled.client('session')
  await client.query('select pg_advisory_xact_lock(77)')
  await cancels.untilHeld()
  holder.close()
  expect(typesOf(await client.untilReady())).toBe('TDCZ')
  await client.query("begin; set local statement_timeout = '10ms'; select pg_sleep(600)")
  expect(errors(await client.untilReady())).toEqual([
    'canceling statement due to statement timeout',
  ])
  await cancels.release()
})
