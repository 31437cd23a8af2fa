// Counts, for each source, look-ups of projects that do not exist: each costs the metadata a query, and
// anybody may ask. What is in memory is found for everybody.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../shared/clock.ts'
import { PoolerError } from '../../shared/errors.ts'

/** A fleet whose projects were deleted asks for the same names, which are remembered. */
const guessesMax = 100
const windowMs = 10_000
/** Sources that guess at once. */
const sourcesMax = 10_000

interface Guesses {
  count: number
  readonly untilMs: number
}

export class GuessThrottle {
  readonly #clock: Clock
  readonly #sources = new LRUCache<string, Guesses>({ max: sourcesMax })

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * In front of a look-up. Throws EUNKNOWNPROJECTS. Those under way do not count: the clients of a
   * thousand projects that come back at once from behind one address are no guesses.
   */
  check(source: string): void {
    const guesses = this.#sources.get(source)
    const leftMs = (guesses?.untilMs ?? 0) - this.#clock.monotonicMs()
    if (guesses === undefined || leftMs <= 0 || guesses.count < guessesMax) return
    const seconds = Math.ceil(leftMs / 1000)
    throw new PoolerError('EUNKNOWNPROJECTS', { values: { limit: guessesMax, seconds } })
  }

  /** There was no such project. */
  onMiss(source: string): void {
    const nowMs = this.#clock.monotonicMs()
    const guesses = this.#sources.get(source)
    if (guesses === undefined || guesses.untilMs <= nowMs) {
      this.#sources.set(source, { count: 1, untilMs: nowMs + windowMs })
    } else {
      guesses.count++
    }
  }
}
