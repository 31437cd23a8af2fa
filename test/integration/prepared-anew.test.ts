// A statement that is parsed behind a change of the schema is one of the new schema, whoever has prepared the
// same text before; and who prepared it before keeps what it was told.
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

async function say(client: RawClient, ...messages: Buffer[]): Promise<raw.RawMessage[]> {
  await client.send(Buffer.concat(messages))
  return client.untilReady()
}

/** Prepares and is told types, as drivers do. */
async function prepare(client: RawClient, name: string, sql: string): Promise<number[]> {
  const replies = await say(
    client,
    raw.parse(name, sql),
    raw.describeMessage('statement', name),
    raw.sync(),
  )
  const error = replies.find(({ type }) => type === 'E')
  if (error !== undefined) throw new Error(errorFields(error.body).M)
  const parameters = replies.find(({ type }) => type === 't') as raw.RawMessage
  const count = parameters.body.readUInt16BE(0)
  return Array.from({ length: count }, (_, index) => parameters.body.readUInt32BE(2 + 4 * index))
}

const run = (client: RawClient, name: string, ...values: string[]) =>
  say(client, raw.bind({ statement: name, values }), raw.execute(), raw.sync())

const firstOf = async (client: RawClient, name: string, sql: string) => {
  await say(client, raw.parse(name, sql), raw.sync())
  return rowsOf(await run(client, name))[0]?.[0]
}

const int4 = 23
const int8 = 20
const insert = 'insert into st (id) values ($1)'

/** Where the change comes from, and how it is said. */
const changes: readonly (readonly [name: string, texts: readonly string[]])[] = [
  ['a simple query', ['alter table st alter id type bigint']],
  ['a transaction', ['begin', 'alter table st alter id type bigint', 'commit']],
  ['a DO', ['do $$ begin alter table st alter id type bigint; end $$']],
]

describe.each(['transaction', 'session'] as const)('changed by the %s port', (port) => {
  test.each(changes)('%s', async (_name, texts) => {
    pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
    const early = await pooled.client('transaction')
    await say(early, raw.query('create table st (id int)'))
    expect(await prepare(early, 's', insert)).toEqual([int4])
    const changer = await pooled.client(port)
    for (const text of texts) await say(changer, raw.query(text))
    await eventually(async () => {
      const late = await pooled.client('transaction')
      expect(await prepare(late, 'q', insert)).toEqual([int8])
      expect(typesOf(await run(late, 'q', '3000000000'))).toBe('2CZ')
    })
    // What it prepared is of before, as on a server of its own.
    expect(typesOf(await run(early, 's', '3000000000'))).toBe('EZ')
    expect(typesOf(await run(early, 's', '3'))).toBe('2CZ')
  })
})

test('in the transaction that changes it, and when that is rolled back', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const client = await pooled.client('transaction')
  await say(client, raw.query('create table st (id int)'))
  expect(await prepare(client, 'a', insert)).toEqual([int4])
  for (const text of ['begin', 'alter table st alter id type bigint'])
    await say(client, raw.query(text))
  expect(await prepare(client, 'b', insert)).toEqual([int8])
  await say(client, raw.query('rollback'))
  expect(await prepare(client, 'c', insert)).toEqual([int4])
})

test('a column that is new is in what is prepared behind it, also within a transaction', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const [one, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await say(one, raw.query('create table st as select 1 as a'))
  await prepare(one, 's', 'select * from st')
  await say(other, raw.query('alter table st add b int'))
  await say(one, raw.query('begin'))
  const replies = await say(
    one,
    raw.parse('t', 'select * from st'),
    raw.describeMessage('statement', 't'),
    raw.bind({ statement: 't' }),
    raw.execute(),
    raw.sync(),
  )
  expect(typesOf(replies)).toBe('1tT2DCZ')
  await say(one, raw.query('commit'))
})

const others: readonly (readonly [
  name: string,
  before: string[],
  change: string[],
  sql: string,
])[] = [
  [
    'a type made anew',
    ['create type ty as (a int)'],
    ['drop type ty', 'create type ty as (a int)'],
    'select null::ty is null',
  ],
  [
    'a table in front of another',
    ['create table tb as select 1 as a', 'create schema sc'],
    ['create table sc.tb (a int)', 'insert into sc.tb values (2)'],
    'select a from tb',
  ],
  [
    'a function that fits better',
    ["create function ov(numeric) returns int language sql as 'select 1'"],
    ["create function ov(int) returns int language sql as 'select 2'"],
    'select ov(1)',
  ],
]

test.each(others)('%s', async (_name, before, change, sql) => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const settings = { options: '-c search_path=sc,public' }
  const early = await pooled.client('transaction', { settings })
  for (const text of before) await say(early, raw.query(text))
  await firstOf(early, 's', sql)
  for (const text of change) await say(early, raw.query(text))
  const late = await pooled.client('transaction', { settings })
  const direct = await RawClient.loggedIn({ ...pooled.direct(), settings })
  expect(await firstOf(late, 's', sql)).toBe(await firstOf(direct, 's', sql))
  expect(await firstOf(early, 'again', sql)).toBe(await firstOf(direct, 'again', sql))
  direct.close()
})

test('a temporary table in front of another', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const early = await pooled.client('transaction')
  await say(early, raw.query("create table sh as select 'public' as a"))
  await say(early, raw.query('create temp table x (); drop table x'))
  expect(await firstOf(early, 's', 'select a from sh')).toBe('public')
  const late = await pooled.client('transaction')
  await say(late, raw.query("create temp table sh as select 'temporary' as a"))
  expect(await firstOf(late, 's', 'select a from sh')).toBe('temporary')
})

test("the time in 'now' is that of its Parse", async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const sql = "select 'now'::timestamptz::text"
  const times = []
  for (const name of ['early', 'late']) {
    const client = await pooled.client('transaction')
    times.push(await firstOf(client, name, sql), await firstOf(client, `${name} again`, sql))
    times.push(rowsOf(await run(client, name))[0]?.[0])
  }
  expect(times[2]).toBe(times[0])
  expect(times[5]).toBe(times[3])
  expect(new Set(times).size).toBe(4)
})
