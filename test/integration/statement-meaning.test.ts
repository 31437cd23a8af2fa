// A statement is read once, by the settings in force at its Parse, and means that ever after: also on
// a server that learns it when its client has other settings, and for other clients with its text.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { describeReply } from '../support/raw-replies.ts'

let pooled: PooledPostgres
beforeEach(async () => {
  // Whoever comes between takes the one statement's place.
  const config = { serverPreparedStatementsMax: 1 }
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, config })
})
afterEach(() => pooled.stop())

/** The text, what was set before its Parse, and what is set behind it. */
const meanings: readonly (readonly [text: string, before: string, after: string])[] = [
  ["select length('a\\nb')", '', 'set standard_conforming_strings = off'],
  ["select length('a\\nb')", 'set standard_conforming_strings = off', 'reset all'],
  ["select U&'d\\0061t'", '', 'set standard_conforming_strings = off'],
  ["select U&'d!0061t' uescape '!'", '', 'set standard_conforming_strings = off'],
  ["select length(E'a\\'')", "set backslash_quote = 'on'", "set backslash_quote = 'off'"],
  ["select length('ä'), 'ä' as ä", '', "set client_encoding = 'latin1'"],
  ["select '01-02-2003'::date - '2000-01-01'::date", '', "set datestyle = 'ISO, DMY'"],
  ["select extract(epoch from '2020-01-01 00:00'::timestamptz)", '', "set time zone 'Asia/Tokyo'"],
  [
    "select extract(epoch from '2020-01-01 12:00 EST'::timestamptz)",
    '',
    "set timezone_abbreviations = 'Australia'",
  ],
  [
    "select extract(epoch from '2020-01-01 12:00 EST'::timestamptz)",
    "set timezone_abbreviations = 'Australia'",
    'reset all',
  ],
  [
    "select extract(hour from '-1 2:03:04'::interval)",
    '',
    "select set_config('intervalstyle', 'sql_standard', false)",
  ],
  ['select ($1::int = null) is null', '', 'set transform_null_equals = on'],
  ['select ($1::int = null) is null', 'set transform_null_equals = on', 'reset all'],
  ["select array_position('{NULL,a}'::text[], null)", '', 'set array_nulls = off'],
  [
    "select array_position('{NULL,a}'::text[], null)",
    'set array_nulls = off',
    'set array_nulls = on',
  ],
  ["select '<a/><b/>'::xml is document", '', 'set work_mem = 123'],
]

const settings = ['standard_conforming_strings', 'client_encoding', 'datestyle', 'timezone']
const shown = [
  'intervalstyle',
  'transform_null_equals',
  'array_nulls',
  'backslash_quote',
  'timezone_abbreviations',
  ...settings,
]
const readSettings = raw.query(`select ${shown.map((one) => `current_setting('${one}')`).join()}`)

/** Destroys no unnamed statement. */
const change = (sql: string): Buffer[] =>
  sql === ''
    ? []
    : [
        raw.parse('change', sql),
        raw.bind({ statement: 'change' }),
        raw.execute(),
        raw.closeMessage('statement', 'change'),
      ]
const use = (statement: string, text: string): Buffer[] => [
  raw.bind({ statement, portal: 'p', values: text.includes('$1') ? ['1'] : [] }),
  raw.execute('p'),
]
const sync = raw.sync()
const rollback = [...change('rollback'), sync]

type Script = (name: string, text: string, before: string, after: string) => readonly Buffer[][]

/** What goes in one segment; between two of them somebody else has the server. */
const scripts: Readonly<Record<string, Script>> = {
  'between transactions': (name, text, before, after) => [
    [...change(before), sync],
    [raw.parse(name, text), sync],
    [...change(after), sync],
    [...use(name, text), sync],
    [...use(name, text), sync, ...use(name, text), sync],
  ],
  'in a transaction': (name, text, before, after) => [
    [...change(before), sync],
    [raw.parse(name, text), sync],
    [...change('begin'), sync, ...change(after), sync, ...use(name, text), sync, ...rollback],
    [...use(name, text), sync],
    [...change('begin'), ...change(after), sync, ...use(name, text), ...change('commit'), sync],
    [...use(name, text), sync],
    [...change('begin'), sync, ...use(name, text), sync, ...change(before), sync, ...rollback],
  ],
  'in one segment': (name, text, before, after) => [
    // What is not reported is asked for at the end of a segment.
    ...(before.includes('conforming') ? [] : [[...change(before), sync]]),
    [...change(before), sync, raw.parse(name, text), sync, ...change(after), sync],
    [...use(name, text), sync, ...change(before), sync, ...use(name, text), sync],
    [...change(after), sync, ...use(name, text), sync],
  ],
  'in one batch': (name, text, before, after) => [
    [...change(before), sync],
    [raw.parse(name, text), sync],
    [...change(after), ...use(name, text), sync],
    [...use(name, text), ...change(before), ...use(name, text), ...change(after), sync],
    [...use(name, text), sync],
  ],
}

describe.each(Object.keys(scripts))('%s', (way) => {
  test.each(meanings)('%s, parsed under "%s", used under "%s"', async (text, before, after) => {
    const other = await pooled.client('transaction')
    const client = await pooled.client('transaction')
    const direct = await RawClient.loggedIn(pooled.direct())
    const ask = async (one: RawClient, messages: readonly Buffer[]) => {
      await one.send(Buffer.concat(messages))
      const readies = messages.filter((bytes) => 'QS'.includes(bytes.toString('latin1', 0, 1)))
      const replies = await one.untilReadies(readies.length)
      // Whether a report comes again says nothing of what a statement means.
      return replies.filter(({ type }) => type !== 'S').map(describeReply)
    }
    try {
      for (const name of ['named', '']) {
        const script = scripts[way] as Script
        for (const segment of [...script(name, text, before, after), [readSettings]]) {
          expect(await ask(client, segment)).toEqual(await ask(direct, segment))
          await ask(other, [raw.parse('', 'select 1'), raw.parse('it', 'select 2'), sync])
          await ask(other, [raw.closeMessage('statement', 'it'), sync])
        }
        for (const one of [client, direct]) {
          await ask(one, [raw.query('discard all')])
        }
      }
      const direct2 = await RawClient.loggedIn(pooled.direct())
      const afresh = [raw.parse('s', text), ...use('s', text), sync]
      expect(await ask(other, afresh)).toEqual(await ask(direct2, afresh))
      direct2.close()
    } finally {
      direct.close()
    }
  })
})
