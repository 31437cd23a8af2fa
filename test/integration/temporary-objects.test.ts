// Whatever a client makes in its temporary schema, however it says so, stays its own: it keeps its server,
// and nobody else meets it there.
import { afterEach, describe, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

async function codeOf(client: RawClient, sql: string): Promise<string | null> {
  await client.send(raw.query(sql))
  const error = (await client.untilReady()).find(({ type }) => type === 'E')
  return error === undefined ? null : (errorFields(error.body).C ?? '')
}

/** No such object, or no such schema. */
const isUnknown = /^(?:42|3F)/

/** A text that makes it, and one that needs it. */
const made: readonly (readonly [make: string, use: string])[] = [
  ['create table pg_temp.x (a int)', 'select a from pg_temp.x'],
  ['create table "pg_temp".x as select 1 as a', 'select a from pg_temp.x'],
  ['select 1 as a into pg_temp.x', 'select a from pg_temp.x'],
  ['create view pg_temp.x as select 1 as a', 'select a from x'],
  ['create sequence pg_temp.x', 'select last_value from x'],
  ['create domain pg_temp.x as text', "select 'a'::x"],
  ['create type pg_temp.x as (a int)', 'select null::x'],
  ["create type pg_temp.x as enum ('a')", "select 'a'::x"],
  ['create type pg_temp.x as range (subtype = int4)', "select 'empty'::x"],
  ["create function pg_temp.x() returns int language sql as 'select 1'", 'select pg_temp.x()'],
  ["create procedure pg_temp.x() language sql as 'select 1'", 'call pg_temp.x()'],
  [
    'create aggregate pg_temp.x(int) (sfunc = int4pl, stype = int)',
    'select pg_temp.x(a) from generate_series(1, 2) as a',
  ],
  [
    'create operator pg_temp.|+| (function = int4pl, leftarg = int, rightarg = int)',
    'select 1 operator(pg_temp.|+|) 2',
  ],
  ["do $$ begin create domain pg_temp.x as text; perform 'a'::pg_temp.x; end $$", "select 'a'::x"],
]

describe.each(made)('%s', (make, use) => {
  test('is met by its maker wherever others go, and by nobody else', async () => {
    pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
    const [maker, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
    expect(await codeOf(maker, make)).toBe(null)
    // Where the maker let its server go, it is the one that comes first.
    expect(await codeOf(other, 'begin')).toBe(null)
    expect(await codeOf(other, use), 'the other one has it').toMatch(isUnknown)
    expect(await codeOf(maker, use)).toBe(null)
    expect(await codeOf(other, 'rollback')).toBe(null)
    // And once the maker has left.
    await maker.send(raw.terminate())
    await maker.readAll()
    expect(await codeOf(other, 'begin')).toBe(null)
    expect(await codeOf(other, use), 'it has outlived its maker').toMatch(isUnknown)
  })
})

const paths: readonly (readonly [name: string, options: string, set: string])[] = [
  ['SET', '', 'set search_path = pg_temp, public'],
  ['SET behind the schema of a user that has none', '', 'set search_path = "$user", pg_temp'],
  ['SET behind a schema without a name', '', "set search_path = '', pg_temp"],
  ['set_config', '', "select set_config('search_path', 'pg_' || 'temp, public', false)"],
  ['the startup packet', '-c search_path=pg_temp,public', 'select 1'],
]

test.each(paths)('a search_path that begins with it, by %s', async (_name, options, set) => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const settings = options === '' ? {} : { options }
  const maker = await pooled.client('transaction', { settings })
  const other = await pooled.client('transaction')
  for (const sql of [set, 'create table x (a int)']) expect(await codeOf(maker, sql)).toBe(null)
  expect(await codeOf(other, 'begin')).toBe(null)
  expect(await codeOf(other, 'select a from x')).toBe('42P01')
  expect(await codeOf(maker, 'select a from x')).toBe(null)
})

test('a client is not kept on its server by a temporary schema that it looks into last', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const one = await pooled.client('transaction')
  const other = await pooled.client('transaction')
  expect(await codeOf(one, 'set search_path = public, pg_temp')).toBe(null)
  expect(await codeOf(other, 'select 1')).toBe(null)
})
