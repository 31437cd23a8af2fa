// All time that tests must steer comes from here: wall time for ends that people set, monotonic
// time for durations, so that a clock that jumps neither closes nor keeps a connection.
// The global `performance` is a getter, and costs twice the call.
import { performance } from 'node:perf_hooks'

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds since 1970, for expiry of rules, tokens and passwords. */
  wallMs(): number
  /** Milliseconds from any fixed start, never going back, for time limits. */
  monotonicMs(): number
  /** Calls `run` once. At most 2^31-1 ms; longer waits belong on a tick. Does not keep the process up. */
  after(delayMs: number, run: () => void): Timer
  /** Calls `run` again and again. Does not keep the process up. */
  every(periodMs: number, run: () => void): Timer
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  every(periodMs, run) {
    const timer = setInterval(run, periodMs)
    timer.unref()
    return { cancel: () => clearInterval(timer) }
  },
}

/** Resolves after `delayMs`. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve)
  })
}

const longestMs = 2 ** 31 - 1

/** Keeps the process up, whatever else there is to wait for, until the returned function is called. */
export function keepProcessUp(): () => void {
  const timer = setInterval(() => {}, longestMs)
  return () => clearInterval(timer)
}
