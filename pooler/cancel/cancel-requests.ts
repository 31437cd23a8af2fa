// CancelRequests of clients. Never answered, whatever comes of them; bounded for each source, so
// that keys cannot be guessed in bulk nor servers be flooded with cancel connections.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../shared/clock.ts'
import type { CancelKeys } from './cancel-keys.ts'

/** A person's Ctrl-C or a pool of drivers that time out stay far below; guessing 2^63 keys does not. */
const requestsPerWindowMax = 100
const windowMs = 1000
/** Sources remembered; the one forgotten first begins anew. */
const sourcesMax = 10_000

/** A cancel is given up after less: a connection to the server, a request, its end. */
export const cancelWithinMs = 20_000

/** Fulfilled when the cancel has gone through, or nobody knows the key; never rejects. */
export type CancelElsewhere = (processId: number, secret: Buffer) => Promise<void>

export class CancelRequests {
  readonly #keys: CancelKeys
  readonly #windows: LRUCache<string, { requests: number; sinceMs: number }>
  readonly #clock: Clock
  readonly #elsewhere: CancelElsewhere

  /** `elsewhere` is asked for keys that are not known here. */
  constructor(keys: CancelKeys, clock: Clock, elsewhere: CancelElsewhere = async () => {}) {
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
    if (!this.#isOver(source)) await this.pass(processId, secret)
  }

  /** As `handle`, for another process of ours, which has looked at the source. */
  async pass(processId: number, secret: Buffer): Promise<void> {
    const target = this.#keys.find(processId, secret)
    await (target === null ? this.#elsewhere(processId, secret) : target.cancel())
  }

  #isOver(source: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    const window = this.#windows.get(source)
    if (window === undefined || nowMs - window.sinceMs >= windowMs) {
      this.#windows.set(source, { requests: 1, sinceMs: nowMs })
      return false
    }
    window.requests++
    return window.requests > requestsPerWindowMax
  }
}
