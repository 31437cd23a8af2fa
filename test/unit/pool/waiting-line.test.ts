import { beforeEach, expect, test } from 'vitest'
import { WaitingLine } from '../../../pooler/pool/waiting-line.ts'
import type { ServerWaiter } from '../../../pooler/relay/server-source.ts'
import { nextClientId } from '../../../shared/ids.ts'
import { ManualClock } from '../../support/manual-clock.ts'

let clock: ManualClock
let line: WaitingLine
let expired: { waiter: ServerWaiter; ms: number; atMs: number }[]

beforeEach(() => {
  clock = new ManualClock()
  expired = []
  line = new WaitingLine({
    waitersMax: 100,
    clock,
    onExpired: (waiter, ms) => void expired.push({ waiter, ms, atMs: clock.monotonicMs() }),
  })
})

const waiter = (person: string | null = null): ServerWaiter => ({
  clientId: nextClientId(),
  person,
  asides: null,
  onServer() {},
  onNoServer() {},
})

function wait(timeoutMs: number, person: string | null = null): ServerWaiter {
  const one = waiter(person)
  line.add(one, clock.monotonicMs(), timeoutMs)
  return one
}

test('each is told when its own time is up, whoever came first', () => {
  const startMs = clock.monotonicMs()
  const patient = wait(1000)
  clock.advance(10)
  const hasty = wait(100)
  const person = wait(500, 'ada')
  clock.advance(99)
  expect(expired).toEqual([])
  clock.advance(1)
  expect(expired.map((one) => one.waiter)).toEqual([hasty])
  clock.advance(2000)
  expect(expired.map((one) => one.waiter)).toEqual([hasty, person, patient])
  expect(expired.map(({ ms }) => ms)).toEqual([100, 500, 1000])
  expect(expired.map(({ atMs }) => atMs - startMs)).toEqual([110, 510, 1000])
  expect(line.size).toBe(0)
})

test('who has gone, or waits again, is not told of the first wait', () => {
  const one = wait(100)
  expect(line.next(true)?.waiter).toBe(one)
  clock.advance(60)
  line.add(one, clock.monotonicMs(), 100)
  clock.advance(60)
  expect(expired).toEqual([])
  expect(line.remove(one)).toBe(true)
  expect(line.remove(one)).toBe(false)
  clock.advance(1000)
  expect(expired).toEqual([])
})

test('many whose time is up one after the other are told within a few milliseconds of it', () => {
  const startMs = clock.monotonicMs()
  for (let index = 0; index < 50; index++) {
    wait(1000)
    clock.advance(1)
  }
  clock.advance(2000)
  expect(expired).toHaveLength(50)
  for (const [index, { atMs }] of expired.entries()) {
    const lateMs = atMs - startMs - index - 1000
    expect(lateMs).toBeGreaterThanOrEqual(0)
    expect(lateMs).toBeLessThanOrEqual(5)
  }
})

test('one who waits in one line is not taken out of another', () => {
  const other = new WaitingLine({ waitersMax: 1, clock, onExpired() {} })
  const one = wait(100)
  expect(other.remove(one)).toBe(false)
  expect(line.size).toBe(1)
})

test('who is told may wait again at once', () => {
  line = new WaitingLine({
    waitersMax: 100,
    clock,
    onExpired: (again, ms) => {
      expired.push({ waiter: again, ms, atMs: clock.monotonicMs() })
      if (expired.length < 3) line.add(again, clock.monotonicMs(), 50)
    },
  })
  line.add(waiter(), clock.monotonicMs(), 50)
  clock.advance(1000)
  expect(expired).toHaveLength(3)
})

test('who leaves, or waits anew, because of another one whose time is up is not told', () => {
  const [first, gone, again] = [waiter(), waiter(), waiter()]
  line = new WaitingLine({
    waitersMax: 100,
    clock,
    onExpired: (one, ms) => {
      expired.push({ waiter: one, ms, atMs: clock.monotonicMs() })
      if (expired.length > 1) return
      expect(line.remove(gone)).toBe(true)
      expect(line.remove(again)).toBe(true)
      line.add(again, clock.monotonicMs(), 1000)
    },
  })
  for (const one of [first, gone, again]) line.add(one, clock.monotonicMs(), 100)
  clock.advance(500)
  expect(expired.map((one) => one.waiter)).toEqual([first])
  expect(line.size).toBe(1)
  clock.advance(1000)
  expect(expired.map((one) => one.waiter)).toEqual([first, again])
})
