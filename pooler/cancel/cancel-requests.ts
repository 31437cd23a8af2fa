// CancelRequests of clients. Never answered, whatever comes of them. Wrong ones are bounded for each source,
// so that keys cannot be guessed in bulk; a right one costs its own client's server a connection, one at a time.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../shared/clock.ts'
import type { CancelKeys } from './cancel-keys.ts'

/** Keys of clients that have just left are far fewer; guessing one of 2^63 takes more. */
const wrongPerWindowMax = 100
/** Of one source: they may be keys that others know, and how many of them are wrong is not known yet. */
const askedElsewhereMax = 1000
const windowMs = 1000
/** Sources remembered; the one forgotten first begins anew. */
const sourcesMax = 10_000

/** A cancel is given up after less: a connection to the server, a request, its end. */
export const cancelWithinMs = 20_000

/** True when the cancel has gone through; false where nobody knows the key; never rejects. */
export type CancelElsewhere = (processId: number, secret: Buffer) => Promise<boolean>

interface SourceWindow {
  wrong: number
  sinceMs: number
  /** Now, whenever they came. */
  askedElsewhere: number
}

export class CancelRequests {
  readonly #keys: CancelKeys
  readonly #windows: LRUCache<string, SourceWindow>
  readonly #clock: Clock
  readonly #elsewhere: CancelElsewhere

  /** `elsewhere` is asked for keys that are not known here. */
  constructor(keys: CancelKeys, clock: Clock, elsewhere: CancelElsewhere = async () => false) {
    this.#keys = keys
    this.#clock = clock
    this.#elsewhere = elsewhere
    this.#windows = new LRUCache({ max: sourcesMax })
  }

  /**
   * `source` is the IPv4 address, or the /64 of an IPv6 address. Fulfilled when the cancel has gone
   * through: drivers take the end of the connection for that.
   */
  async handle(processId: number, secret: Buffer, source: string): Promise<void> {
    const target = this.#keys.find(processId, secret)
    if (target !== null) {
      await target.cancel()
      return
    }
    const window = this.#windowOf(source)
    if (window.wrong >= wrongPerWindowMax || window.askedElsewhere >= askedElsewhereMax) return
    window.askedElsewhere++
    const isKnown = await this.#elsewhere(processId, secret)
    window.askedElsewhere--
    if (!isKnown) window.wrong++
  }

  /** As `handle`, for another process of ours, which has looked at the source. */
  readonly pass: CancelElsewhere = async (processId, secret) => {
    const target = this.#keys.find(processId, secret)
    if (target === null) return await this.#elsewhere(processId, secret)
    await target.cancel()
    return true
  }

  #windowOf(source: string): SourceWindow {
    const nowMs = this.#clock.monotonicMs()
    const window = this.#windows.get(source)
    if (window === undefined) {
      const first = { wrong: 0, sinceMs: nowMs, askedElsewhere: 0 }
      this.#windows.set(source, first)
      return first
    }
    if (nowMs - window.sinceMs >= windowMs) {
      window.wrong = 0
      window.sinceMs = nowMs
    }
    return window
  }
}
