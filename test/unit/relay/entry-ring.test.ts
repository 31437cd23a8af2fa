import { expect, test } from 'vitest'
import { EntryRing } from '../../../pooler/relay/entry-ring.ts'

test('entries leave in the order in which they came, at any fill and through every growth', () => {
  const ring = new EntryRing()
  const model: number[] = []
  for (let step = 1; step < 20_000; step += 1) {
    if (step % 5 < 3) {
      ring.push(step % 512)
      model.push(step % 512)
    } else {
      expect(ring.head).toBe(model[0])
      ring.shift()
      model.shift()
    }
    expect(ring.size).toBe(model.length)
  }
  expect(model.map((_, index) => ring.at(index))).toEqual(model)
})

test('every flag of an entry survives', () => {
  const ring = new EntryRing()
  ring.push(511)
  expect(ring.head).toBe(511)
})

test('an empty ring has no head, also after it was cleared', () => {
  const ring = new EntryRing()
  expect(ring.head).toBe(0)
  for (let entry = 1; entry < 40; entry += 1) ring.push(entry)
  ring.clear()
  expect(ring.head).toBe(0)
  expect(ring.size).toBe(0)
  ring.push(9)
  expect(ring.head).toBe(9)
})

test('it has an end', () => {
  const ring = new EntryRing()
  const pushMany = () => {
    for (let count = 0; count <= 262_144; count += 1) ring.push(1)
  }
  expect(pushMany).toThrow('no more replies than the relay lets through')
})
