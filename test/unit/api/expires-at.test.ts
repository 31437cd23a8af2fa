import { describe, expect, test } from 'vitest'
import { endOfRule, endOfToken } from '../../../pooler/api/expires-at.ts'
import { readEpoch } from '../../../shared/epoch.ts'

const nowMs = Date.UTC(2026, 5, 1)
const nowSeconds = nowMs / 1000
const days = 86_400

describe('expires_at', () => {
  test('is seconds below 1e11 and milliseconds from there on', () => {
    expect(readEpoch(1_800_000_000)).toBe(1_800_000_000_000)
    expect(readEpoch(1_800_000_000_000)).toBe(1_800_000_000_000)
    expect(readEpoch(99_999_999_999)).toBe(99_999_999_999_000)
    expect(readEpoch(1e11)).toBe(1e11)
  })

  test('is cut to whole seconds, so that an answer sent back means the same', () => {
    expect(readEpoch(1_800_000_000.9)).toBe(1_800_000_000_000)
    expect(readEpoch(1_800_000_000_999)).toBe(1_800_000_000_000)
  })

  test.each([nowSeconds, nowSeconds - 1, 0, -1, nowMs])(
    'of a rule at or before now is refused: %d',
    (value) => {
      expect(() => endOfRule(value, nowMs, 'here')).toThrow('in the past')
    },
  )

  test('of a rule may be 90 days ahead and not a second more, in both units', () => {
    const last = nowSeconds + 90 * days
    expect(endOfRule(last, nowMs, 'here')).toBe(last * 1000)
    expect(endOfRule(last * 1000, nowMs, 'here')).toBe(last * 1000)
    expect(() => endOfRule(last + 1, nowMs, 'here')).toThrow('more than 90 days ahead')
    expect(() => endOfRule((last + 1) * 1000, nowMs, 'here')).toThrow('more than 90 days ahead')
  })

  test('names the unit that was read in a refusal, with the date', () => {
    expect(() => endOfRule(1_700_000_000, nowMs, 'roles.0.expires_at')).toThrow(
      'roles.0.expires_at: 1700000000 (read as epoch seconds, 2023-11-14T22:13:20.000Z)',
    )
    expect(() => endOfRule(nowMs + 91 * days * 1000, nowMs, 'here')).toThrow(
      'read as epoch milliseconds',
    )
  })

  test('of absurd size is a refusal and not a crash', () => {
    expect(() => endOfRule(1e300, nowMs, 'here')).toThrow('more than 90 days ahead')
    expect(() => endOfRule(-1e300, nowMs, 'here')).toThrow('in the past')
    expect(() => endOfToken(1e300, nowMs, 'here')).toThrow('more than 366 days ahead')
  })

  test('of a token may be a year ahead, a leap year too, and not a second more', () => {
    const last = nowSeconds + 366 * days
    expect(endOfToken(last, nowMs, 'here')).toBe(last * 1000)
    expect(() => endOfToken(last + 1, nowMs, 'here')).toThrow('more than 366 days ahead')
  })
})
