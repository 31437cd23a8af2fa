// A client that keeps its server for several reasons at once: each counts, in whatever order they came.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const start = async (poolSize: number): Promise<void> => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize, attributes: 'superuser' })
}
const newClient = () => pooled.client('transaction')

/** Types of the replies and their rows, or the SQLSTATE. */
async function say(client: RawClient, ...messages: Buffer[]): Promise<string> {
  await client.send(Buffer.concat(messages))
  const replies = await client.untilReady()
  const error = replies.find(({ type }) => type === 'E')
  if (error !== undefined) return errorFields(error.body).C ?? ''
  return `${typesOf(replies)} ${JSON.stringify(rowsOf(replies))}`
}
const run = (client: RawClient, sql: string) => say(client, raw.query(sql))
const prepare = (client: RawClient, name: string, sql: string) =>
  say(client, raw.parse(name, sql), raw.describeMessage('statement', name), raw.sync())
const use = (client: RawClient, name: string) =>
  say(client, raw.bind({ statement: name }), raw.execute(), raw.sync())

const lock = 'select pg_advisory_lock(1)'
const unlock = 'select pg_advisory_unlock(1)'

test.each(['select 1', lock, "load 'plpgsql'"])(
  'a temporary table hides another from its client alone, behind %s',
  async (before) => {
    await start(2)
    const one = await newClient()
    await run(one, "create table t as select 'public' as x")
    const first = await newClient()
    await prepare(first, 'n', 'select * from t')
    await run(one, before)
    await run(one, "select 'temporary' as x, 2 as y into temp t")
    expect(await prepare(one, 's', 'select * from t')).toBe('1tTZ []')
    expect(await use(one, 's')).toBe('2DCZ [["temporary","2"]]')
    const second = await newClient()
    await prepare(second, 'n', 'select * from t')
    for (const other of [first, second]) expect(await use(other, 'n')).toBe('2DCZ [["public"]]')
    expect(await use(one, 's')).toBe('2DCZ [["temporary","2"]]')
  },
)

test('where the temporary table is gone, a client that is kept for another reason shares again', async () => {
  await start(2)
  const one = await newClient()
  await run(one, lock)
  await run(one, 'create temp table t (a int)')
  await run(one, 'drop table t')
  const other = await newClient()
  await prepare(other, 'n', 'select 1')
  await prepare(one, 's', 'select 1')
  const names = 'select name from pg_prepared_statements where statement = $$select 1$$'
  const told = await run(one, names)
  expect(await run(other, names)).toBe(told)
})

const large = `select 'large' as x /* ${'x'.repeat(300_000)} */`

/** What only this server has, and a use of it. */
const lasting: readonly (readonly [string, make: Buffer[], use: Buffer[], answer: string])[] = [
  [
    'a statement too long to be kept',
    [raw.parse('big', large), raw.sync()],
    [raw.bind({ statement: 'big' }), raw.execute(), raw.sync()],
    '2DCZ [["large"]]',
  ],
  [
    'a library',
    [raw.query("load 'auto_explain'")],
    [raw.query('show auto_explain.log_analyze')],
    'TDCZ [["off"]]',
  ],
]
const orders = [
  ['before', true],
  ['behind', false],
] as const

test.each(lasting.flatMap((one) => orders.map((order) => [...one, ...order] as const)))(
  '%s stays with its client once a lock is gone',
  async (_what, make, useIt, answer, _order, isLockFirst) => {
    await start(2)
    const one = await newClient()
    if (isLockFirst) await run(one, lock)
    await say(one, ...make)
    if (!isLockFirst) await run(one, lock)
    await run(one, unlock)
    // It has the server that was used last, unless that is kept for its client.
    const other = await newClient()
    await run(other, 'begin')
    expect(await say(one, ...useIt)).toBe(answer)
    await run(other, 'commit')
  },
)
