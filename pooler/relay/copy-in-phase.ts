// Whether a server reads copy data. In copy-in it ignores Sync and Flush; outside of it, the end of
// copy data (src/backend/tcop/postgres.c).

const none = 0
/** The server reads copy data and has not been sent its end. */
const open = 1
/**
 * The end of the copy data has been sent, or a message at which a server that still copies ends the
 * connection. If it answers, the copy was over before it: what follows belongs to no copy.
 */
const ended = 2

export class CopyInPhase {
  #state: number = none
  /** Of the phase begun last. */
  #isStream = false
  /** Syncs that were taken for ignored. */
  #syncsIgnored = 0

  get isOpen(): boolean {
    return this.#state === open
  }

  /** Copy data goes both ways, as in replication: it is no query that comes to an end. */
  get isStream(): boolean {
    return this.#isStream && this.#state !== none
  }

  get isNone(): boolean {
    return this.#state === none
  }

  /** An error now leaves it open which Syncs were ignored. */
  get isUncountable(): boolean {
    return this.#state !== none && this.#syncsIgnored > 0
  }

  begin(isOpen: boolean, syncsIgnored: number, isStream: boolean): void {
    this.#isStream = isStream
    this.#state = isOpen ? open : ended
    this.#syncsIgnored = syncsIgnored
  }

  /** Something that is no copy data has been sent. */
  onOther(): void {
    if (this.#state === open) this.#state = ended
  }

  /** True when the server ignores a Sync that is sent now. */
  ignoresSync(): boolean {
    if (this.#state !== open) return false
    this.#syncsIgnored++
    return true
  }

  end(): void {
    this.#state = none
    this.#syncsIgnored = 0
  }
}
