import { describe, expect, test } from 'vitest'
import { normalizedText } from '../../../pooler/relay/normalized-text.ts'
import { outlineOf } from '../../../pooler/relay/sql-outline.ts'
import { mayMatter } from '../../../pooler/relay/telling-words.ts'
import { type TextVerdict, verdictOf, verdictOfBytes } from '../../../pooler/relay/text-verdict.ts'
import type { SeededRandom } from '../../support/seeded-random.ts'
import { seededRounds } from '../../support/seeded-rounds.ts'

function normalized(text: string): string | null {
  const bytes = Buffer.from(`Q${text}\0behind`, 'latin1')
  return normalizedText(bytes, 1, 1 + text.length)
}

describe('without its values', () => {
  test.each([
    ['UPDATE t SET a = a + 17 WHERE b = 1.5e10;', 'UPDATE t SET a = a + 0 WHERE b = 0.0;'],
    [
      'select a1, $2, t$3 from "T 4" where b in (1, 22,333)',
      'select a1, $2, t$3 from "T 4" where b in (0)',
    ],
    ["insert into t values ('a', 'it''s', 1, '', 2)", "insert into t values ('', 0, '', 0)"],
    ["select 'é', 'ü'", "select ''"],
    ['select a /* trace: 00-4bf92f */ from t', 'select a   from t'],
    [
      "select set_config('app.user', '42', true), f(1, 2)",
      "select set_config('app.user', '', true), f(0, 0)",
    ],
    ["select 'it is set', 'holder of it'", "select 'it is set', 'holder of it'"],
    [
      'insert into t values (1) on conflict do nothing',
      'insert into t values (0) on conflict do nothing',
    ],
    ['', ''],
  ])('%s', (text, expected) => {
    expect(normalized(text)).toBe(expected)
  })

  test.each([
    ['a backslash', String.raw`select 'a\'b'`],
    ['a letter outside of strings that is not ASCII', 'select é'],
    ['a string in dollars', 'select $$a$$, $a$b$a$'],
    ['a line comment', 'select 1 -- one'],
    ['a comment in a comment', 'select /* a /* b */ c */ 1'],
    ['a comment with a word of ours', 'select /* reset */ 1'],
    ['a string without end', "select 'a"],
    ['a name without end', 'select "a'],
    ['a comment without end', 'select /* a'],
    ['a name of ours in quotes', `select "set_config"('a', 'b', false)`],
    ['a block of code', "do 'begin perform f(); end'"],
    ['a block of code behind another statement', "select 1 ; /* a */ DO 'begin end'"],
    ['a NUL', 'select \0 1'],
    ['more than is kept', `select ${'a, '.repeat(2000)}b`],
    ['a long string with a word of ours', `select 'set ${'x'.repeat(3000)}'`],
    ['a long name', `select "${'x'.repeat(3000)}"`],
  ])('%s: it is taken as it is', (_what, text) => {
    expect(normalized(text)).toBe(null)
  })

  test('a long value does not keep a text from being known', () => {
    expect(normalized(`insert into t values ('${'x'.repeat(100_000)}')`)).toBe(
      "insert into t values ('')",
    )
  })
})

const pieces =
  `select insert update set reset discard all temp temporary hold listen prepare execute deallocate
  default time zone local lastval() currval('s') nextval('s') create table t ( ) , ; = 1 22 -3 1.5 a.b "N" a1 $1
  $2 $$ $a$ 'a' 'it''s' '' 'set' 'temp x' 'a reset' 'pg_temp' 'lastval' 'é' E'a' U&"a" U&'a' e'\\n' \\ ' " -- /* */ /*a*/
  /*set*/ set_config( set_config('a.b', 'x', false) set_config('a.b', 'y', true) pg_catalog.set_config($1,$2,true)
  "set_config"('a','b',false) my_function( count( do language plpgsql 'begin set work_mem = 1; end' as role work_mem
  session authorization transaction isolation level begin commit pg_temp_12 pg_temp.x é 1a 0x1F _1 true null`.split(
    /\s+/,
  )
const separators = ['', ' ', ' ', ' ', '\n', ', ']

function randomText(random: SeededRandom): string {
  const count = 1 + random.int(12)
  return Array.from({ length: count }, () => random.pick(pieces) + random.pick(separators)).join('')
}

/** A semicolon in a string ends no statement, which the text alone does not show: 'own' or 'earlier'. */
const comparable = (verdict: TextVerdict) => ({
  ...verdict,
  asksSequences: verdict.asksSequences !== null,
})

test('what is known of a text is what is known of it without its values', async () => {
  const sums = await seededRounds('normalized texts', 20, async (random) => {
    let known = 0
    for (let index = 0; index < 1000; index++) {
      const text = randomText(random)
      // Parentheses in strings alone are not seen without them; and no SQL has one behind a number.
      const outline = outlineOf(text).text
      if (!mayMatter(outline) || /\d\w*\s*\(/.test(outline)) continue
      const bytes = Buffer.from(text, 'latin1')
      expect(comparable(verdictOfBytes(bytes, 0, bytes.length)), text).toEqual(
        comparable(verdictOf(text)),
      )
      if (normalized(text) !== null) known++
    }
    return { known }
  })
  expect(sums.known).toBeGreaterThan(1000)
})
