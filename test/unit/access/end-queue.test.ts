import { expect, test } from 'vitest'
import { EndQueue } from '../../../pooler/access/end-queue.ts'
import { SeededRandom } from '../../support/seeded-random.ts'

test('nothing is due before its time, and everything at it', () => {
  const queue = new EndQueue<string>()
  queue.put('a', 100)
  expect(queue.take(99)).toBeNull()
  expect(queue.take(100)).toBe('a')
  expect(queue.take(1000)).toBeNull()
})

test('an item has one place: the last one', () => {
  const queue = new EndQueue<string>()
  queue.put('a', 100)
  queue.put('a', 300)
  queue.put('b', 200)
  expect(queue.take(250)).toBe('b')
  expect(queue.take(250)).toBeNull()
  queue.put('a', 50)
  expect(queue.take(250)).toBe('a')
  expect(queue.take(1000)).toBeNull()
})

test('whatever is put, replaced and deleted, items come out in the order of their time', () => {
  const random = new SeededRandom(20261122)
  const queue = new EndQueue<number>()
  const expected = new Map<number, number>()
  for (let step = 0; step < 20_000; step++) {
    const item = random.int(300)
    if (random.int(5) === 0) {
      queue.delete(item)
      expected.delete(item)
    } else {
      const dueMs = random.int(1_000_000)
      queue.put(item, dueMs)
      expected.set(item, dueMs)
    }
    expect(queue.size).toBe(expected.size)
  }
  const taken: number[] = []
  for (let nowMs = 0; nowMs <= 1_000_000; nowMs += 500) {
    for (let item = queue.take(nowMs); item !== null; item = queue.take(nowMs)) taken.push(item)
  }
  const inOrder = [...expected].sort((one, other) => one[1] - other[1]).map(([item]) => item)
  expect(taken.map((item) => expected.get(item))).toEqual(inOrder.map((item) => expected.get(item)))
  expect(queue.size).toBe(0)
})
