// How long to wait before the next attempt to open a server, after attempts that failed: 100 ms,
// doubling to 5 s, with jitter so that pools of one upstream do not all come back at once.
import { type Clock, sleep } from '../../shared/clock.ts'

const firstMs = 100
const longestMs = 5000
const pieceMs = 100

export class ConnectBackoff {
  readonly #clock: Clock
  readonly #random: () => number
  #failures = 0
  #readyAtMs = 0

  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock
    this.#random = random
  }

  /** Rounds of attempts in a row that failed; 0 when the upstream is well as far as known. */
  get failures(): number {
    return this.#failures
  }

  get waitMs(): number {
    return Math.max(0, this.#readyAtMs - this.#clock.monotonicMs())
  }

  ready(): Promise<void> {
    return waitOut(() => this, this.#clock)
  }

  failed(): void {
    // Servers are opened side by side: what fails while a wait is on began before it.
    if (this.waitMs > 0) return
    const fullMs = Math.min(longestMs, firstMs * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 16)
    this.#readyAtMs = this.#clock.monotonicMs() + fullMs * (0.5 + this.#random() / 2)
  }

  succeeded(): void {
    this.#failures = 0
    this.#readyAtMs = 0
  }
}

/** `current`: an upstream that has moved has another backoff. Ends early where `isGivenUp`. */
export async function waitOut(
  current: () => ConnectBackoff,
  clock: Clock,
  isGivenUp: () => boolean = () => false,
): Promise<void> {
  // In pieces, so that a success elsewhere lets everybody go on at once.
  for (let ms = current().waitMs; ms > 0 && !isGivenUp(); ms = current().waitMs) {
    await sleep(clock, Math.min(ms, pieceMs))
  }
}
