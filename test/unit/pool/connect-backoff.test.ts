import { expect, test } from 'vitest'
import { ConnectBackoff, waitOut } from '../../../pooler/pool/connect-backoff.ts'
import { ManualClock } from '../../support/manual-clock.ts'

/** Without jitter: the longest wait that there may be. */
function newBackoff() {
  const clock = new ManualClock()
  return { clock, backoff: new ConnectBackoff(clock, () => 1) }
}

test('the wait doubles with each failure from 100 ms to 5 s', () => {
  const { clock, backoff } = newBackoff()
  const waits: number[] = []
  for (let failure = 1; failure <= 8; failure += 1) {
    backoff.failed()
    waits.push(backoff.waitMs)
    clock.advance(backoff.waitMs)
  }
  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000])
})

test('jitter takes away up to half of it', () => {
  const clock = new ManualClock()
  const backoff = new ConnectBackoff(clock, () => 0)
  backoff.failed()
  expect(backoff.waitMs).toBe(50)
})

test('attempts that fail together are one failure', () => {
  const { clock, backoff } = newBackoff()
  for (let server = 0; server < 15; server += 1) backoff.failed()
  expect(backoff.failures).toBe(1)
  expect(backoff.waitMs).toBe(100)
  clock.advance(100)
  for (let server = 0; server < 15; server += 1) backoff.failed()
  expect(backoff.waitMs).toBe(200)
})

test('a success anywhere lets everybody go on', async () => {
  const { clock, backoff } = newBackoff()
  for (let failure = 1; failure <= 6; failure += 1) {
    backoff.failed()
    clock.advance(backoff.waitMs)
  }
  backoff.failed()
  const gone: string[] = []
  const waiting = [1, 2].map((number) => backoff.ready().then(() => gone.push(`${number}`)))
  expect(gone).toEqual([])
  backoff.succeeded()
  clock.advance(100)
  await Promise.all(waiting)
  expect(gone.length).toBe(2)
  expect(clock.timerCount).toBe(0)
  backoff.failed()
  expect(backoff.waitMs).toBe(100)
})

test('whoever waits goes by the upstream as it is now, not by the one that has gone', async () => {
  const { clock, backoff: old } = newBackoff()
  for (let failure = 1; failure <= 8; failure += 1) {
    old.failed()
    if (failure < 8) clock.advance(old.waitMs)
  }
  let current = old
  let isOver = false
  const waiting = waitOut(() => current, clock).then(() => {
    isOver = true
  })
  clock.advance(100)
  await Promise.resolve()
  expect(isOver).toBe(false)
  current = new ConnectBackoff(clock)
  clock.advance(100)
  await waiting
  expect(old.waitMs).toBeGreaterThan(4000)
})
