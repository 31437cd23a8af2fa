// Columns that are called as settings are, in an UPDATE that a transaction with a SET has: they are no settings
// of the client's, and nobody loses a connection by them.
import { afterEach, expect, test } from 'vitest'
import { unaskedSettings } from '../../pooler/relay/setting-names.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

/** Types of the replies, or the error's text. */
async function run(client: RawClient, sql: string): Promise<string | undefined> {
  await client.query(sql)
  const replies = await client.untilReady()
  const error = replies.find(({ type }) => type === 'E')
  return error === undefined ? typesOf(replies) : errorFields(error.body).M
}

const table = (column: string) =>
  `create table hosts (id int, ${column} text); insert into hosts values (1, '1')`
const update = (column: string) => `update hosts set ${column} = '5433' where id = 1`

test.each(['port', 'ssl', 'seed', 'data_directory', 'server_version', 'role'])(
  '%s, with row security’s SET LOCAL, on one server',
  async (column) => {
    pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
    const one = await pooled.client('transaction')
    const other = await pooled.client('transaction')
    expect(await run(one, table(column))).toBe('CCZ')
    expect(await run(one, 'begin')).toBe('CZ')
    expect(await run(one, "set local app.user_id = '7'")).toBe('CZ')
    expect(await run(one, update(column))).toBe('CZ')
    expect(await run(one, 'commit')).toBe('CZ')
    expect(await run(other, 'select 1')).toBe('TDCZ')
    expect(await run(one, 'select 1')).toBe('TDCZ')
  },
)

test('who updates such a column is well itself on another server', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const [one, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await run(one, table('port'))
  expect(await run(one, `begin; set local app.user_id = '7'; ${update('port')}; commit`)).toBe(
    'CCCCZ',
  )
  // It has the server that was used last.
  await run(other, 'begin')
  expect(await run(one, 'select 1')).toBe('TDCZ')
})

test('what not everybody may read, and nobody may set, is known', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const client = await pooled.client('transaction')
  const sql =
    "select string_agg(lower(name), ' ') as names from pg_settings where context not in ('user', 'superuser')"
  const visible = new Set((await pooled.value(client, sql))?.split(' '))
  const [all] = await sharedPostgres().query(sql)
  const hidden = String(all?.names)
    .split(' ')
    .filter((name) => !visible.has(name))
  expect(hidden).toContain('data_directory')
  expect(hidden.filter((name) => !unaskedSettings.has(name))).toEqual([])
})
