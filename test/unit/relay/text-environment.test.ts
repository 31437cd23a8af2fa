import { describe, expect, test } from 'vitest'
import { profileOf } from '../../../pooler/relay/session-settings.ts'
import { environmentOf, foreignSettings } from '../../../pooler/relay/text-environment.ts'

const profile = (values: Record<string, string>) => profileOf(new Map(Object.entries(values)))
const usual = profile({ standard_conforming_strings: 'on', timezone: 'UTC' })
const keyUnder = (text: string, values: Record<string, string>) =>
  environmentOf(text, profile(values)).key

describe('a text is another statement under other settings that it is read by', () => {
  test.each([
    ["select 'a\\b'", 'backslash_quote', 'off'],
    ["select U&'!0041' uescape '!'", 'backslash_quote', 'off'],
    ["select '2020-01-01'::date", 'datestyle', 'German'],
    ['select $$1$$::money', 'lc_monetary', 'C'],
    ["select '12:00 EST'::timetz", 'timezone_abbreviations', 'Australia'],
    ["select '{}'::int[]", 'array_nulls', 'off'],
    ['select a = NULL', 'transform_null_equals', 'on'],
    ["set local kit.note = 'a\\b'", 'backslash_quote', 'off'],
  ])('%s by %s', (text, name, value) => {
    expect(keyUnder(text, { [name]: value })).not.toBe(keyUnder(text, {}))
  })

  test.each([
    'select $1, $2',
    "select 'open'",
    'select v from t where a is null',
    "set local work_mem = '8MB'",
    "CREATE UNIQUE INDEX CONCURRENTLY on t (a) where b = '2020-01-01'",
    "alter table t add c date default '2020-01-01'",
  ])('%s', (text) => {
    expect(environmentOf(text, usual)).toBe(usual.environment)
    expect(
      foreignSettings(usual.environment, {
        settings: usual,
        mayBeOthers: true,
        hasTemporary: false,
      }),
    ).toBe(null)
  })
})

test('what it was read by is lent where other settings are in force, or may be', () => {
  const environment = environmentOf("select '1 day'", usual)
  const others = profile({ timezone: 'Asia/Tokyo' })
  expect(
    foreignSettings(environment, { settings: usual, mayBeOthers: false, hasTemporary: false }),
  ).toBe(null)
  for (const inForce of [
    { settings: others, mayBeOthers: false, hasTemporary: false },
    { settings: usual, mayBeOthers: true, hasTemporary: false },
  ]) {
    expect(foreignSettings(environment, inForce)).toContainEqual(['timezone', 'UTC'])
    expect(foreignSettings(environment, inForce)).toContainEqual(['datestyle', ''])
  }
})
