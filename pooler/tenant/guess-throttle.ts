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

  /** A look-up begins; it counts unless what is returned is called. Throws EUNKNOWNPROJECTS. */
  begin(source: string): () => void {
    const nowMs = this.#clock.monotonicMs()
    let guesses = this.#sources.get(source)
    if (guesses === undefined || guesses.untilMs <= nowMs) {
      guesses = { count: 0, untilMs: nowMs + windowMs }
      this.#sources.set(source, guesses)
    }
    if (guesses.count >= guessesMax) {
      const seconds = Math.ceil((guesses.untilMs - nowMs) / 1000)
      throw new PoolerError('EUNKNOWNPROJECTS', { values: { limit: guessesMax, seconds } })
    }
    const counted = guesses
    counted.count++
    return () => {
      counted.count--
    }
  }
}
