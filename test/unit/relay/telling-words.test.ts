import { expect, test } from 'vitest'
import { mayMatter, mayMatterIn } from '../../../pooler/relay/telling-words.ts'
import { SeededRandom } from '../../support/seeded-random.ts'

const isSeenIn = (text: string): boolean => {
  // In the midst of others: neither what stands before nor what stands behind counts.
  const before = 'set '
  const bytes = Buffer.from(`${before}${text} set`, 'latin1')
  return mayMatterIn(bytes, before.length, before.length + text.length)
}

test('bytes that matter are found in any case and place, where the text as a whole has them', () => {
  for (const text of [
    'SET x = 1',
    'select 1;reset all',
    "'a'Listen c",
    'create\nTEMP table',
    'f(',
  ]) {
    expect(isSeenIn(text), text).toBe(true)
  }
})

test('texts that hold none of the words are told without making a string', () => {
  const texts = ['', 's', 'se', 'SELECT a FROM b WHERE c = 12345;', 'offset 3', 'x_set', 'reseat 7']
  for (const text of texts.slice(0, -1)) expect(isSeenIn(text), text).toBe(false)
  // Only like one of them: the careful side.
  expect([isSeenIn('reseat 7'), mayMatter('reseat 7')]).toEqual([true, false])
})

test('whatever the pattern finds, the bytes have', () => {
  const random = new SeededRandom(3)
  const parts = [
    'set',
    'RESET',
    'Temp',
    'temporary',
    'hold',
    'listen',
    'prepare',
    'execute',
    'discard',
    'do',
    'u&"',
  ]
  const others = ['(', ' ', '_', '0', 'é', 'a', '\0', '"', ';', 'sel', 'deallocate', '$']
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: 1 + random.int(4) }, () =>
      random.pick([...parts, ...others]),
    ).join('')
    if (mayMatter(text)) expect(isSeenIn(text), text).toBe(true)
  }
})
