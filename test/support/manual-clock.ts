import type { Clock, Timer } from '../../shared/clock.ts'

interface ManualTimer extends Timer {
  dueMs: number
  readonly periodMs: number | null
  readonly run: () => void
}

/** A clock that stands still until a test moves it. Timers run in the order in which they are due. */
export class ManualClock implements Clock {
  #monotonicMs = 0
  #wallMs: number
  readonly #timers = new Set<ManualTimer>()

  constructor(wallMs = Date.UTC(2026, 0, 1)) {
    this.#wallMs = wallMs
  }

  /** Timers that have neither run nor been cancelled. */
  get timerCount(): number {
    return this.#timers.size
  }

  wallMs(): number {
    return this.#wallMs
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#add(delayMs, null, run)
  }

  every(periodMs: number, run: () => void): Timer {
    return this.#add(periodMs, periodMs, run)
  }

  /** Lets time pass on both clocks and runs what becomes due on the way. */
  advance(ms: number): void {
    const endMs = this.#monotonicMs + ms
    for (;;) {
      const next = this.#nextDue(endMs)
      if (next === null) break
      this.#pass(Math.max(0, next.dueMs - this.#monotonicMs))
      if (next.periodMs === null) this.#timers.delete(next)
      else next.dueMs += next.periodMs
      next.run()
    }
    this.#pass(endMs - this.#monotonicMs)
  }

  /** The event loop was held up: time passes, and timers run late, all at the end. */
  stall(ms: number): void {
    this.#pass(ms)
    this.advance(0)
  }

  /** Somebody set the wall clock; monotonic time does not notice. */
  jumpWall(ms: number): void {
    this.#wallMs += ms
  }

  #pass(ms: number): void {
    this.#monotonicMs += ms
    this.#wallMs += ms
  }

  #add(delayMs: number, periodMs: number | null, run: () => void): Timer {
    const timer: ManualTimer = {
      dueMs: this.#monotonicMs + delayMs,
      periodMs,
      run,
      cancel: () => this.#timers.delete(timer),
    }
    this.#timers.add(timer)
    return timer
  }

  #nextDue(endMs: number): ManualTimer | null {
    let next: ManualTimer | null = null
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (next === null || timer.dueMs < next.dueMs)) next = timer
    }
    return next
  }
}
