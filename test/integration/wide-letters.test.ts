// A client whose encoding has letters that end in a byte of an ASCII sign: Postgres meets none there, because it
// reads a text when it has converted it.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const settings = { client_encoding: 'SJIS' }
/** In Shift JIS the second byte of `表` is a backslash. */
const sjis = (text: string): Buffer =>
  Buffer.concat(
    text.split(/(表)/).map((part) => (part === '表' ? Buffer.of(0x95, 0x5c) : Buffer.from(part))),
  )
async function say(client: RawClient, sql: string): Promise<string> {
  await client.send(raw.query(sjis(sql)))
  const replies = await client.untilReady()
  return `${typesOf(replies)} ${JSON.stringify(rowsOf(replies).map((row) => row.at(-1)))}`
}

const locks = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"

test.each([
  ["select E'表', set_config('app.note', 'mine', false), 'x'", '"x"'],
  ["select E'表', pg_advisory_lock(1), 'x'", '"x"'],
  [
    "create function 表(int) returns bool language sql as 'select pg_try_advisory_lock($1)'; select 表(1)",
    '"t"',
  ],
])('%s leaves nothing to the next client', async (text, told) => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const one = await pooled.client('transaction', { settings })
  const other = await pooled.client('transaction')
  expect(await say(one, text)).toMatch(new RegExp(`^(?:C)?TDCZ \\[${told}\\]$`))
  // It has the server that was used last, unless that is kept for its client.
  await say(other, 'begin')
  expect(await say(other, locks)).toBe('TDCZ ["0"]')
  expect(await say(other, "select coalesce(current_setting('app.note', true), '')")).toBe(
    'TDCZ [""]',
  )
})

test('EXECUTE behind such a string names its statement', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  for (const options of [pooled.direct(), {}]) {
    const one = await pooled.client('transaction', { ...options, settings })
    await one.send(Buffer.concat([raw.parse('s', 'select 7'), raw.sync()]))
    await one.untilReady()
    expect(await say(one, "select E'表'; execute s; select E'表\\n; execute s'")).toMatch(
      /^TDCTDCTDCZ \[".+","7",".+"\]$/,
    )
  }
})
