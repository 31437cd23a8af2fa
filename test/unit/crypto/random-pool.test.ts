import { expect, test } from 'vitest'
import { pooledRandomBytes } from '../../../shared/crypto/random-pool.ts'

test('draws are as long as asked for and differ, also over the end of the pool', () => {
  const draws = Array.from({ length: 1000 }, () => pooledRandomBytes(18))
  expect(draws.every(({ length }) => length === 18)).toBe(true)
  expect(new Set(draws.map((draw) => draw.toString('hex'))).size).toBe(1000)
})

test('what has been drawn stays as it is', () => {
  const first = pooledRandomBytes(256)
  const before = first.toString('hex')
  for (let count = 0; count < 100; count++) pooledRandomBytes(256)
  expect(first.toString('hex')).toBe(before)
})

test('more than a small need is refused', () => {
  expect(() => pooledRandomBytes(257)).toThrow('small')
})
