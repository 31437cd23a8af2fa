// The machine's own time, whose wall clock a test moves on: an end that is hours away while somebody logs
// in, however long that takes, is then in the past at once. Time limits go on as they are.
import { type Clock, systemClock } from '../../shared/clock.ts'

export class SteeredClock implements Clock {
  #aheadMs = 0
  readonly monotonicMs = systemClock.monotonicMs
  readonly after = systemClock.after
  readonly every = systemClock.every

  wallMs(): number {
    return systemClock.wallMs() + this.#aheadMs
  }

  /** To this moment, of those that are ahead. */
  moveTo(wallMs: number): void {
    this.#aheadMs = Math.max(this.#aheadMs, wallMs - systemClock.wallMs())
  }

  /** To the machine's own again. */
  reset(): void {
    this.#aheadMs = 0
  }
}
