import { expect, test } from 'vitest'
import { type Deadline, DeadlineQueue } from '../../../shared/deadline-queue.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { SeededRandom } from '../../support/seeded-random.ts'

function newQueue() {
  const clock = new ManualClock()
  const queue = new DeadlineQueue(clock)
  const told: string[] = []
  const set = (name: string, delayMs: number) =>
    queue.set({ onDeadline: () => told.push(name) }, delayMs)
  return { clock, queue, told, set }
}

test('deadlines come in the order in which they are due, none early', () => {
  const { clock, told, set } = newQueue()
  set('late', 300)
  set('soon', 100)
  set('between', 200)
  clock.advance(99)
  expect(told).toEqual([])
  clock.advance(1)
  expect(told).toEqual(['soon'])
  clock.advance(1_000)
  expect(told).toEqual(['soon', 'between', 'late'])
})

test('a lifted deadline never comes', () => {
  const { clock, queue, told, set } = newQueue()
  const lifted = set('lifted', 100)
  set('kept', 100)
  queue.lift(lifted)
  queue.lift(lifted)
  expect(queue.size).toBe(1)
  clock.advance(1_000)
  expect(told).toEqual(['kept'])
  expect(queue.size).toBe(0)
})

test('lifting one that has come changes nothing', () => {
  const { clock, queue, set } = newQueue()
  const first = set('first', 1)
  set('second', 500)
  clock.advance(10)
  queue.lift(first)
  expect(queue.size).toBe(1)
})

test('any number of deadlines share one timer, and none is left when all are lifted', () => {
  const { clock, queue, set } = newQueue()
  const deadlines = Array.from({ length: 1_000 }, (_item, index) => set('x', 1_000 - index))
  expect(clock.timerCount).toBe(1)
  for (const deadline of deadlines) queue.lift(deadline)
  expect(clock.timerCount).toBe(0)
  expect(queue.size).toBe(0)
})

test('a deadline set from within another comes too', () => {
  const { clock, queue, told, set } = newQueue()
  queue.set({ onDeadline: () => set('from within', 50) }, 100)
  clock.advance(149)
  expect(told).toEqual([])
  clock.advance(1)
  expect(told).toEqual(['from within'])
})

test('one owner whose time is up may lift those that are due with it', () => {
  const { clock, queue, told, set } = newQueue()
  let other: Deadline | null = null
  queue.set(
    {
      onDeadline: () => {
        if (other !== null) queue.lift(other)
      },
    },
    100,
  )
  other = set('other', 100)
  clock.advance(200)
  expect(told).toEqual([])
  expect(clock.timerCount).toBe(0)
})

test('after a stall all that is due comes at once', () => {
  const { clock, told, set } = newQueue()
  set('a', 10)
  set('b', 20)
  set('c', 1_000)
  clock.stall(500)
  expect(told).toEqual(['a', 'b'])
})

test('a wall clock that jumps neither hastens nor delays', () => {
  const { clock, told, set } = newQueue()
  set('a', 100)
  clock.jumpWall(86_400_000)
  clock.advance(99)
  expect(told).toEqual([])
  clock.jumpWall(-86_400_000)
  clock.advance(1)
  expect(told).toEqual(['a'])
})

test.each([5, 6, 7])('each comes exactly once, at its time or lifted before (seed %d)', (seed) => {
  const { clock, queue } = newQueue()
  const random = new SeededRandom(seed)
  const open = new Map<Deadline, number>()
  let lateMs = 0
  for (let step = 0; step < 3_000; step += 1) {
    const delayMs = random.int(500)
    const owner = {
      onDeadline: () => {
        expect(open.delete(deadline)).toBe(true)
        lateMs = Math.max(lateMs, Math.abs(clock.monotonicMs() - deadline.dueMs))
      },
    }
    const deadline = queue.set(owner, delayMs)
    open.set(deadline, delayMs)
    if (random.chance(0.7)) {
      const candidates = [...open.keys()]
      const lifted = random.pick(candidates)
      open.delete(lifted)
      queue.lift(lifted)
    }
    if (random.chance(0.2)) clock.advance(random.int(20))
    expect(queue.size).toBe(open.size)
  }
  clock.advance(1_000)
  expect(open.size).toBe(0)
  // A delay of 0 is due on the next turn, which is 1 ms later on this clock.
  expect(lateMs).toBeLessThanOrEqual(1)
})
