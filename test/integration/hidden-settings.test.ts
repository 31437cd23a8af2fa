// Texts that set something in a form that is easily overlooked: nobody else finds it.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

/** In each of them app.note becomes `mine`. */
const told = [
  `select "set_config"('app.note', 'mine', false)`,
  `select pg_catalog."set_config"('app.note', 'mine', false)`,
  `select U&"set_config"('app.note', 'mine', false)`,
  `select set_config('app.note', 'mine', /* , true) */ false)`,
  `select set_config('app.note', c /*, true)*/, false) from (values ('mine')) v(c)`,
  `select set_config('app.note', $$mine$$, false), ', true)'`,
  `select set_config('app.note', replace($$mine, true)$$, ', true)', ''), false)`,
  `select set_config('app.other', 'x, true)', false), set_config('app.note', 'mine', false)`,
  `select set_config('app.note'::text, 'mine'::text, false)`,
  `set session app . note = 'mine'`,
  `select set_config/**/('app.note', 'mine', false)`,
  `select set_config/* /* nested */ */('app.note', 'mine', false)`,
  `select set_config -- to the end\n('app.note', 'mine', false)`,
  `select set_config /* one */ -- and another\n\t('app.note', 'mine', false)`,
  `set/**/app.note = 'mine'`,
  `set session /* nothing */ app.note = 'mine'`,
  `set work_mem = '3MB'; set/**/app.note = 'mine'`,
  `begin; set work_mem = '3MB'; set session -- nothing\n app.note = 'mine'; commit`,
  `set work_mem = '5MB'; set"app".note = 'mine'`,
  `select 'set "'; set app.note = 'mine'; select '"'`,
  `do $$begin set app.note = 'mine'; end$$`,
]
/** An application's own setting, whose name nobody reads here: it is gone, see decision 57. */
const computed = [
  `select U&"set\\005fconfig"('app.note', 'mine', false)`,
  `select set_config(E'app\\.note', 'mine', false)`,
  `select set_config('app.' || 'note', 'mine', false)`,
  `set U&"app".note = 'mine'`,
]

test.each([
  ...told.map((text) => [text, 'mine'] as const),
  ...computed.map((text) => [text, ''] as const),
])('%s', async (text, own) => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const client = await pooled.client('transaction')
  const other = await pooled.client('transaction')
  await client.query(text)
  expect(typesOf(await client.untilReady())).not.toContain('E')
  // It has the server that was used last, unless that is kept for its client.
  await pooled.value(other, 'begin')
  const probe = "select coalesce(current_setting('app.note', true), '')"
  expect(await pooled.value(other, probe)).toBe('')
  expect(await pooled.value(client, probe)).toBe(own)
})
