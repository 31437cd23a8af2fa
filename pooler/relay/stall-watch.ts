import type { Transport } from './transport.ts'

/** Notices a reader that takes nothing: asked from a tick, compares with what it saw before. */
export class StallWatch {
  readonly #transport: Transport
  #bytes = -1
  #sinceMs = 0

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Monotonic ms for which nothing has been taken, as far as ticks can tell; 0: it is not stalling. */
  stalledMs(nowMs: number): number {
    if (!this.#transport.isBlocked) {
      this.#bytes = -1
      return 0
    }
    const bytes = this.#transport.untakenBytes
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#sinceMs = nowMs
    }
    return nowMs - this.#sinceMs
  }
}
