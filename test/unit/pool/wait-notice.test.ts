import { beforeEach, expect, test } from 'vitest'
import type { Pool } from '../../../pooler/pool/pool.ts'
import type { ServerWaiter } from '../../../pooler/relay/server-source.ts'
import { nextClientId } from '../../../shared/ids.ts'
import { parseErrorFields } from '../../../shared/protocol/error-response.ts'
import { makePool, poolTimes } from '../../support/make-pool.ts'
import { ManualClock } from '../../support/manual-clock.ts'

let clock: ManualClock
let told: string[]
beforeEach(() => {
  clock = new ManualClock()
  told = []
})

/** Its servers never open. */
const pool = (queryWaitNotifyMs = 5000) =>
  makePool({
    clock,
    limits: () => ({ size: 1, checkoutTimeoutMs: 60_000 }),
    upstream: {
      open: () => new Promise(() => {}),
      cancel: async () => {},
      terminate: async () => {},
      probe: async () => ({ kind: 'unknown' }),
      listen: async () => {},
    },
    times: { ...poolTimes, queryWaitNotifyMs },
  })

function wait(one: Pool, name: string, person: string | null = null): ServerWaiter {
  const waiter: ServerWaiter = {
    clientId: nextClientId(),
    person,
    onServer() {},
    onNoServer() {},
    asides: {
      notify: (notice) =>
        void told.push(`${name}: ${parseErrorFields(notice.subarray(5)).message}`),
    },
  }
  one.checkout(waiter)
  return waiter
}

function pass(one: Pool, seconds: number): void {
  for (let second = 0; second < seconds; second++) {
    clock.advance(1000)
    one.onTick(clock.monotonicMs())
  }
}

const text = (place: number, of: number) =>
  `waiting for a server for 5 s: place ${place} of ${of} in the queue (pool size 1)`

test('who has waited for the time is told once, with the place over both lines', () => {
  const one = pool()
  wait(one, 'app')
  pass(one, 1)
  wait(one, 'ada', 'ada')
  pass(one, 1)
  const gone = wait(one, 'gone')
  wait(one, 'late')
  pass(one, 3)
  expect(told).toEqual([`app: ${text(1, 4)}`])
  one.withdraw(gone)
  pass(one, 10)
  expect(told.slice(1)).toEqual([`ada: ${text(2, 3)}`, `late: ${text(3, 3)}`])
})

test('who is served or leaves before is told nothing, and with 0 nobody is', () => {
  const one = pool()
  one.withdraw(wait(one, 'gone'))
  pass(one, 10)
  const other = pool(0)
  wait(other, 'app')
  pass(other, 100)
  expect(told).toEqual([])
})

test('a wait needs no timer of its own for it', () => {
  const one = pool()
  const before = clock.timerCount
  for (let count = 0; count < 50; count++) wait(one, 'app')
  expect(clock.timerCount - before).toBeLessThanOrEqual(1)
})
