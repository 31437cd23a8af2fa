import { expect, test } from 'vitest'
import { RoundOrder } from '../../../bench/support/round-order.ts'
import { SeededRandom } from '../../../bench/support/seeded-random.ts'

const rounds = (items: readonly string[], count: number, seed: number): string[] => {
  const order = new RoundOrder(items, new SeededRandom(seed))
  return Array.from({ length: count }, () => order.next().join(''))
}

const counts = (words: readonly string[]): Map<string, number> => {
  const found = new Map<string, number>()
  for (const word of words) found.set(word, (found.get(word) ?? 0) + 1)
  return found
}

test.each([2, 3, 4, 5, 6, 7])(
  'of %i targets each follows each, and has each place, equally often',
  (size) => {
    const items = 'abcdefg'.slice(0, size).split('')
    const count = size % 2 === 0 ? size : size * 2
    const times = count / size
    for (let seed = 0; seed < 5; seed++) {
      const all = rounds(items, count, seed)
      const pairs = counts(
        all.flatMap((row) => [...row.slice(1)].map((item, at) => row[at] + item)),
      )
      const places = counts(all.flatMap((row) => [...row].map((item, at) => item + at)))
      expect(pairs.size).toBe(size * (size - 1))
      expect(new Set(pairs.values())).toEqual(new Set([times]))
      expect(places.size).toBe(size * size)
      expect(new Set(places.values())).toEqual(new Set([times]))
    }
  },
)

test('the seed decides the order', () => {
  const items = ['a', 'b', 'c', 'd']
  expect(rounds(items, 12, 1)).toEqual(rounds(items, 12, 1))
  expect(rounds(items, 12, 1)).not.toEqual(rounds(items, 12, 2))
})

test('one target alone has every round', () => {
  expect(rounds(['a'], 3, 1)).toEqual(['a', 'a', 'a'])
})
