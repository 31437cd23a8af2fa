// Remembers answers of a store: bounded, each for its time, one look-up at a time per key. An answer
// that was asked for before a change never counts as one from after it, also when it comes late.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../shared/clock.ts'

export interface LookUpCacheOptions<Value> {
  readonly entriesMax: number
  readonly clock: Clock
  /** How long an answer may be used; 0: not at all. */
  readonly ttlMsOf: (value: Value) => number
}

interface Entry<Value> {
  readonly value: Value
  readonly goodUntilMs: number
}

export class LookUpCache<Value> {
  readonly #options: LookUpCacheOptions<Value>
  readonly #entries: LRUCache<string, Entry<Value>>
  /** Bounded by the logins and requests in flight, each of which waits for one. */
  readonly #flights = new Map<string, Promise<Value>>()

  constructor(options: LookUpCacheOptions<Value>) {
    this.#options = options
    this.#entries = new LRUCache({ max: options.entriesMax })
  }

  /** From memory, or looked up; rejects as the look-up does, and remembers no failure. */
  async find(key: string, load: () => Promise<Value>): Promise<Value> {
    const value = this.peek(key)
    if (value !== undefined) return value
    return this.#flights.get(key) ?? this.#load(key, load)
  }

  /** From memory alone. */
  peek(key: string): Value | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && this.#nowMs() < entry.goodUntilMs ? entry.value : undefined
  }

  /** Look-ups under way answer those who wait already, and nobody after them. */
  forget(key: string): void {
    this.#entries.delete(key)
    this.#flights.delete(key)
  }

  forgetWhere(isMeant: (value: Value, key: string) => boolean): void {
    for (const [key, entry] of this.#entries.entries()) {
      if (isMeant(entry.value, key)) this.#entries.delete(key)
    }
    // What a look-up under way will bring is not known yet.
    this.#flights.clear()
  }

  forgetAll(): void {
    this.#entries.clear()
    this.#flights.clear()
  }

  async #load(key: string, load: () => Promise<Value>): Promise<Value> {
    const flight = load()
    this.#flights.set(key, flight)
    try {
      const value = await flight
      const ttlMs = this.#options.ttlMsOf(value)
      if (this.#flights.get(key) === flight && ttlMs > 0) {
        this.#entries.set(key, { value, goodUntilMs: this.#nowMs() + ttlMs })
      }
      return value
    } finally {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs()
  }
}
