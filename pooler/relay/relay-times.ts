import type { ClientPump } from './client-pump.ts'
import type { Transport } from './transport.ts'

/** Since when a client's query has run, and its replies have not been taken; looked at by a tick. */
export class RelayTimes {
  /** Monotonic ms since when the server has owed the reply that it owes first. */
  busySinceMs = 0
  readonly #transport: Transport
  readonly #mayStall: boolean
  readonly #pump: Pick<ClientPump, 'isAtBoundary'>
  #answered = 0
  #untakenBytes = -1
  #stalledSinceMs = 0

  constructor(
    transport: Transport,
    mode: 'transaction' | 'session',
    pump: Pick<ClientPump, 'isAtBoundary'>,
  ) {
    this.#transport = transport
    this.#pump = pump
    // A session's own server waits for nobody else.
    this.#mayStall = mode === 'transaction'
  }

  /** A message goes to a server of which no reply is due. */
  onBusy(nowMs: number): void {
    this.busySinceMs = nowMs
  }

  /** `answered`: messages whose replies have come so far; each reply ends one query and begins the next. */
  onReplies(answered: number, nowMs: number): void {
    if (answered === this.#answered) return
    this.#answered = answered
    this.busySinceMs = nowMs
  }

  /** The client has not sent its message to the end, though it is read: a pooled server waits for it. */
  get isDawdling(): boolean {
    return this.#mayStall && !this.#pump.isAtBoundary && this.#transport.isReading
  }

  /** For how long nothing has been taken, as far as ticks can tell; 0: it is not stalling. */
  stalledMs(nowMs: number): number {
    if (!this.#mayStall || !this.#transport.isBlocked) {
      this.#untakenBytes = -1
      return 0
    }
    const bytes = this.#transport.untakenBytes
    if (bytes !== this.#untakenBytes) {
      this.#untakenBytes = bytes
      this.#stalledSinceMs = nowMs
    }
    return nowMs - this.#stalledSinceMs
  }
}
