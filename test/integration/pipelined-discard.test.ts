// DISCARD ALL with something behind it in the same pipeline, as drivers send it that put it in front of
// the next user's first text: what that leaves stays with its client, and only with that.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import * as raw from '../support/raw-messages.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const batch = (sql: string): Buffer =>
  Buffer.concat([raw.parse('', sql), raw.bind(), raw.execute(), raw.sync()])
const withoutSync = (sql: string): Buffer => batch(sql).subarray(0, -raw.sync().length)

const forms = {
  'two Queries': { of: (sql: string) => [raw.query('discard all'), raw.query(sql)], readies: 2 },
  'two batches': { of: (sql: string) => [batch('discard all'), batch(sql)], readies: 2 },
  'one batch': { of: (sql: string) => [withoutSync('discard all'), batch(sql)], readies: 1 },
  'a Query and a batch': {
    of: (sql: string) => [raw.query('discard all'), batch(sql)],
    readies: 2,
  },
}
/** What is left, and what tells of it. */
const leftovers = {
  'a temporary table': {
    sql: 'create temp table kept as select 5 as a',
    probe: "select to_regclass('pg_temp.kept') is not null",
    own: 't',
    others: 'f',
  },
  'a setting by a function': {
    sql: "select set_config('app.note', 'mine', false)",
    probe: "select coalesce(current_setting('app.note', true), '')",
    own: 'mine',
    others: '',
  },
  'a setting by code': {
    sql: "do $$begin perform set_config('work_mem', '5MB', false); end$$",
    probe: 'show work_mem',
    own: '5MB',
    others: '4MB',
  },
  'a lock': {
    sql: 'select pg_advisory_lock(11)',
    probe: "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    own: '1',
    others: '0',
  },
}
const cases = Object.entries(leftovers).flatMap(([what, left]) =>
  Object.entries(forms).map(([how, form]) => [what, how, left, form] as const),
)

test.each(cases)('%s behind DISCARD ALL, by %s', async (_what, _how, left, { of, readies }) => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const client = await pooled.client('transaction')
  await client.send(Buffer.concat(of(left.sql)))
  await client.untilReadies(readies)
  const other = await pooled.client('transaction')
  // It has the server that was used last, unless that is kept for its client.
  await pooled.value(other, 'begin')
  expect(await pooled.value(other, left.probe)).toBe(left.others)
  expect(await pooled.value(client, left.probe)).toBe(left.own)
})
