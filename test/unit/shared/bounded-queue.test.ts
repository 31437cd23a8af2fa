import { expect, test } from 'vitest'
import { BoundedQueue, type Place } from '../../../shared/bounded-queue.ts'
import { SeededRandom } from '../../support/seeded-random.ts'

function queueOf(...items: readonly string[]) {
  const queue = new BoundedQueue<string>(items.length)
  const places = items.map((item) => queue.push(item))
  return { queue, places: places.filter((place) => place !== null) }
}

test('items leave in the order in which they came', () => {
  const { queue } = queueOf('a', 'b', 'c')
  expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([
    'a',
    'b',
    'c',
    undefined,
  ])
})

test('a full queue takes nothing, and takes again when one has left', () => {
  const { queue, places } = queueOf('a', 'b')
  expect(queue.isFull).toBe(true)
  expect(queue.push('c')).toBeNull()
  expect([...queue]).toEqual(['a', 'b'])
  queue.remove(places[1]!)
  expect(queue.push('c')).not.toBeNull()
  expect([...queue]).toEqual(['a', 'c'])
})

test('a queue of none is always full', () => {
  expect(new BoundedQueue<string>(0).push('a')).toBeNull()
})

test.each([0, 1, 2])('item %d of three can leave from where it stands, once', (at) => {
  const { queue, places } = queueOf('a', 'b', 'c')
  expect(queue.remove(places[at]!)).toBe(true)
  expect(queue.remove(places[at]!)).toBe(false)
  expect([...queue]).toEqual(['a', 'b', 'c'].filter((_item, index) => index !== at))
  expect(queue.size).toBe(2)
})

test('an item that was served cannot be removed afterwards', () => {
  const { queue, places } = queueOf('a', 'b')
  queue.shift()
  expect(queue.remove(places[0]!)).toBe(false)
  expect(queue.size).toBe(1)
})

test("a place in one queue removes nothing from another's", () => {
  const { places } = queueOf('a')
  const { queue: other } = queueOf('b')
  expect(other.remove(places[0]!)).toBe(false)
  expect(other.size).toBe(1)
})

test('the item at hand may be removed while iterating', () => {
  const { queue, places } = queueOf('a', 'b', 'c')
  const seen: string[] = []
  for (const item of queue) {
    seen.push(item)
    queue.remove(places[seen.length - 1]!)
  }
  expect(seen).toEqual(['a', 'b', 'c'])
  expect(queue.size).toBe(0)
})

test.each([1, 2, 3, 4])('it behaves as an array does under any mix of calls (seed %d)', (seed) => {
  const random = new SeededRandom(seed)
  const queue = new BoundedQueue<number>(20)
  const model: Place<number>[] = []
  for (let step = 0; step < 5_000; step += 1) {
    const choice = random.int(3)
    if (choice === 0) {
      const place = queue.push(step)
      expect(place === null).toBe(model.length === 20)
      if (place !== null) model.push(place)
    } else if (choice === 1) {
      expect(queue.shift()).toBe(model.shift()?.item)
    } else if (model.length > 0) {
      const [place] = model.splice(random.int(model.length), 1)
      expect(queue.remove(place!)).toBe(true)
    }
    expect(queue.size).toBe(model.length)
    expect(queue.peek()).toBe(model[0]?.item)
  }
  expect([...queue]).toEqual(model.map((place) => place.item))
})
