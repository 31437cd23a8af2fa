import { expect, test } from 'vitest'
import { bucketBoundsSeconds, Histogram } from '../../../pooler/metrics/histogram.ts'
import { Tally } from '../../../pooler/metrics/tally.ts'

test('bounds double from 100 µs and print short', () => {
  expect(bucketBoundsSeconds.slice(0, 6).map(String)).toEqual([
    '0.0001',
    '0.0002',
    '0.0004',
    '0.0008',
    '0.0016',
    '0.0032',
  ])
  expect(bucketBoundsSeconds.at(-1)).toBe(104.8576)
})

test.each([
  [0, 0],
  [0.1, 0],
  [0.1001, 1],
  [0.2, 1],
  [51.2, 9],
  [104_857.6, 20],
  [200_000, 21],
])('%d ms falls into bucket %d: a bound belongs to the bucket below it', (ms, at) => {
  const histogram = new Histogram()
  histogram.observeMs(ms)
  expect(histogram.counts[at]).toBe(1)
  expect(histogram.counts.reduce((sum, count) => sum + count)).toBe(1)
  expect(histogram.sumSeconds).toBe(ms / 1000)
})

test('a tally stays bounded whatever it is given', () => {
  const tally = new Tally()
  for (let index = 0; index < 10_000; index += 1) tally.count(`name-${index}`)
  expect([...tally.entries()].length).toBeLessThanOrEqual(101)
  expect(tally.of('name-0')).toBe(1)
  expect(tally.of('other')).toBe(9_900)
  tally.count('name-0', 2)
  expect(tally.of('name-0')).toBe(3)
})
