// Copies with Syncs among their data that fail, and what a client sends right behind them: whether the
// server runs it depends on which of the Syncs came before the error.
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres, type Port } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const run = (statement: string) => [raw.bind({ statement }), raw.execute()]
const batchOf = (name: string, sql: string) => [raw.parse(name, sql), ...run(name), raw.sync()]
const good = raw.copyData('a\t1\n')
const bad = raw.copyData('a\tb\n')

async function start(): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const { postgres, database } = pooled
  await postgres.query('create table kit (tag text, n int)', undefined, database)
  await postgres.query('grant all on kit to public', undefined, database)
}

async function copying(port: Port, ...start: Buffer[]): Promise<RawClient> {
  const client = await pooled.client(port)
  await client.send(Buffer.concat(start))
  for (let type = ''; type !== 'G'; ) type = (await client.next()).type
  return client
}
const byExecute = [raw.parse('', 'copy kit from stdin'), ...run(''), raw.sync()]

const copyNamed = [raw.parse('c', 'copy kit from stdin'), ...run('c'), raw.sync()]

/** The pool has one server only: it has come back. */
async function expectReleased(client: RawClient): Promise<void> {
  const other = await pooled.client('transaction')
  for (const one of [other, client]) {
    await one.query('select 7')
    expect(rowsOf(await one.untilReady())).toEqual([['7']])
  }
}

test.each([
  { isKnown: true, isClosed: true },
  { isKnown: true, isClosed: false },
  { isKnown: false, isClosed: true },
  { isKnown: false, isClosed: false },
])(
  'behind a failure and a Sync named statements are prepared and run: %o',
  async ({ isKnown, isClosed }) => {
    await start()
    if (isKnown) {
      const other = await pooled.client('transaction')
      await other.send(Buffer.concat([raw.parse('s', 'select 5'), raw.sync()]))
      await other.untilReady()
    }
    const client = await copying('transaction', ...byExecute)
    const close = isClosed ? [raw.closeMessage('statement', 's')] : []
    const behind = [...close, ...batchOf('s', 'select 5'), ...batchOf('s2', 'select 6')]
    await client.send(Buffer.concat([good, raw.sync(), bad, raw.sync(), ...behind]))
    const replies = await client.untilReadies(3)
    expect(typesOf(replies)).toBe(`EZ${isClosed ? '3' : ''}12DCZ12DCZ`)
    expect(rowsOf(replies)).toEqual([['5'], ['6']])
    await client.send(Buffer.concat([...run('s'), ...run('s2'), raw.sync()]))
    expect(rowsOf(await client.untilReady())).toEqual([['5'], ['6']])
    await expectReleased(client)
  },
)

test.each(['transaction', 'session'] as const)(
  '%s port: behind its failure nothing is in doubt for a client at rest',
  async (port) => {
    await start()
    const client = await copying(port, ...byExecute)
    await client.send(Buffer.concat([good, raw.sync(), bad, raw.copyDone(), raw.sync()]))
    expect(typesOf(await client.untilReady())).toBe('EZ')
    if (port === 'transaction') {
      const other = await pooled.client('transaction')
      expect(await pooled.value(other, 'select 7')).toBe('7')
    }
    // A client at rest is told at once that the pooler drains.
    await eventually(() => {
      pooled.pooler.plane.endIdleClients()
      return client.pending().length > 0
    })
  },
)

test('a client in the midst of copy data when that fails has nothing in doubt behind the rest of it', async () => {
  await start()
  const client = await pooled.client('transaction')
  await client.query('copy kit from stdin')
  await client.untilType('G')
  const more = raw.copyData('b\t2\n'.repeat(50))
  await client.send(Buffer.concat([good, raw.sync(), bad, more.subarray(0, 50)]))
  expect(typesOf(await client.untilReady())).toBe('EZ')
  await client.send(Buffer.concat([more.subarray(50), raw.copyDone()]))
  const other = await pooled.client('transaction')
  expect(await pooled.value(other, 'select 7')).toBe('7')
})

test('a Bind that has to wait behind a copy whose Sync it ignored is not waited for by the copy’s end', async () => {
  await start()
  const client = await pooled.client('transaction')
  await client.send(Buffer.concat([raw.parse('s', 'select 5'), raw.sync()]))
  await client.untilReady()
  const drops = raw.query('discard all; select 1')
  await client.send(Buffer.concat([drops, ...byExecute, raw.copyDone(), ...run('s'), raw.sync()]))
  expect(typesOf(await client.untilReadies(2))).toBe('EZ12GC2DCZ')
})

test('behind a failure and no Sync they are skipped up to the next one', async () => {
  await start()
  const client = await copying('transaction', raw.parse('', 'select 8'), ...copyNamed)
  const behind = [...batchOf('s', 'select 5'), ...batchOf('s', 'select 6'), ...run(''), raw.sync()]
  await client.send(Buffer.concat([good, raw.sync(), bad, ...behind]))
  const replies = await client.untilReadies(3)
  expect(typesOf(replies)).toBe('EZ12DCZ2DCZ')
  expect(rowsOf(replies)).toEqual([['6'], ['8']])
  await expectReleased(client)
})

test('behind a failure of a simple query each Sync is answered, and in a transaction it has failed', async () => {
  await start()
  const client = await copying('transaction', raw.query('begin; copy kit from stdin'))
  const behind = [
    ...batchOf('s', 'select 5'),
    ...batchOf('s', 'rollback'),
    ...batchOf('', 'select 6'),
  ]
  await client.send(Buffer.concat([raw.sync(), bad, raw.sync(), raw.sync(), ...behind]))
  const replies = await client.untilReadies(6)
  expect(typesOf(replies)).toBe('EZZZEZ12CZ12DCZ')
  const statuses = replies.filter(({ type }) => type === 'Z').map(({ body }) => body.toString())
  expect(statuses.join('')).toBe('EEEEII')
  await expectReleased(client)
})

test('a simple query that copied took the unnamed statement with it', async () => {
  await start()
  const unnamed = [raw.parse('', 'select 5'), raw.sync(), raw.query('copy kit from stdin')]
  const client = await copying('transaction', ...unnamed)
  await client.send(Buffer.concat([raw.sync(), bad, raw.sync(), ...run(''), raw.sync()]))
  const replies = await client.untilReadies(3)
  expect(typesOf(replies)).toBe('EZZEZ')
  expect(errorFields(replies[3]?.body ?? Buffer.alloc(0)).C).toBe('26000')
  await expectReleased(client)
})

test.each([
  ['', 'EZ', 'I'],
  ['begin', 'EZ', 'E'],
])(
  'a Sync with the Execute, as libpq sends it, costs no server: in %j',
  async (before, types, status) => {
    await start()
    const client = await pooled.client('transaction')
    await client.query(before)
    await client.untilReady()
    await client.send(Buffer.concat(byExecute))
    for (let type = ''; type !== 'G'; ) type = (await client.next()).type
    await client.send(Buffer.concat([bad, raw.copyDone(), raw.sync()]))
    const replies = await client.untilReady()
    expect(typesOf(replies)).toBe(types)
    expect(replies.at(-1)?.body.toString()).toBe(status)
    await client.query('rollback')
    expect(typesOf(await client.untilReady())).toBe(before === '' ? 'NCZ' : 'CZ')
    await expectReleased(client)
  },
)

test('what belongs to no copy, in the midst of one with Syncs, ends the connection in the words of Postgres', async () => {
  await start()
  const client = await copying('transaction', ...byExecute)
  await client.send(Buffer.concat([good, raw.sync(), ...batchOf('s', 'select 5')]))
  const replies = await client.readAll()
  expect(typesOf(replies)).toBe('EE')
  expect(replies.map(({ body }) => errorFields(body).C)).toEqual(['08P01', '08P01'])
  await expectReleased(await pooled.client('transaction'))
})
