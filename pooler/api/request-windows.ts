// Counts requests per key in windows of a fixed length. Says what is left; refusing is the caller's.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../shared/clock.ts'

interface Window {
  readonly startMs: number
  count: number
}

export interface WindowState {
  readonly count: number
  readonly resetSeconds: number
}

export interface RequestWindowsOptions {
  readonly clock: Clock
  readonly windowMs: number
  /** Keys held at once; the longest unseen one is forgotten first, which can only be lenient. */
  readonly keysMax: number
}

export class RequestWindows {
  readonly #clock: Clock
  readonly #windowMs: number
  readonly #windows: LRUCache<string, Window>

  constructor(options: RequestWindowsOptions) {
    this.#clock = options.clock
    this.#windowMs = options.windowMs
    this.#windows = new LRUCache({ max: options.keysMax })
  }

  /** Counts one request and tells how many the key has made in its window, this one included. */
  add(key: string): WindowState {
    const window = this.#current(key) ?? this.#open(key)
    window.count += 1
    return this.#stateOf(window)
  }

  /** The same without counting. */
  look(key: string): WindowState {
    const window = this.#current(key)
    return window === null ? { count: 0, resetSeconds: 0 } : this.#stateOf(window)
  }

  #current(key: string): Window | null {
    const window = this.#windows.get(key)
    if (window === undefined) return null
    return this.#clock.monotonicMs() - window.startMs < this.#windowMs ? window : null
  }

  #open(key: string): Window {
    const window = { startMs: this.#clock.monotonicMs(), count: 0 }
    this.#windows.set(key, window)
    return window
  }

  #stateOf(window: Window): WindowState {
    const leftMs = window.startMs + this.#windowMs - this.#clock.monotonicMs()
    return { count: window.count, resetSeconds: Math.max(1, Math.ceil(leftMs / 1000)) }
  }
}
