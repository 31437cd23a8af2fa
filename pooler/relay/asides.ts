// What a client is told unasked: notices of ours, between two messages; notifications, while it is in
// no transaction.
import type { Clock } from '../../shared/clock.ts'
import { PoolerError } from '../../shared/errors.ts'
import type { ListeningHost } from './listening.ts'
import type { Relay } from './relay.ts'
import type { RelayCounters, RelayOptions } from './relay-options.ts'

export class Asides implements ListeningHost {
  /** What the client was given in BackendKeyData. */
  processId = 0
  readonly #relay: Relay
  readonly #counters: RelayCounters
  readonly #clock: Clock
  #notice: Buffer | null = null

  constructor(relay: Relay, { counters, clock }: RelayOptions) {
    this.#relay = relay
    this.#counters = counters
    this.#clock = clock
  }

  get isDeaf(): boolean {
    return this.#relay.isDeaf
  }

  get serverProcessId(): number | null {
    return this.#relay.server?.processId ?? null
  }

  get isInDoubt(): boolean {
    return this.#relay.session.isInDoubt
  }

  get mayBeTold(): boolean {
    const { isDeaf, server, session, transport } = this.#relay
    if (isDeaf || transport.isBlocked) return false
    if (server === null) return true
    return (
      server.isAtBoundary && server.tracker.isReleasable && !session.isAwaited && !session.isInDoubt
    )
  }

  get mayBeToldAtReady(): boolean {
    const { isDeaf, session, transport } = this.#relay
    return !isDeaf && !transport.isBlocked && !session.isInDoubt
  }

  /** Tells it now, or after the message that is being passed. */
  notify(notice: Buffer): void {
    // The same again, while it cannot be told, is news to nobody.
    if (this.#notice?.includes(notice) === true) return
    this.#notice = this.#notice === null ? notice : Buffer.concat([this.#notice, notice])
    this.pass()
  }

  /** Tells what had to wait, where it may be told now. */
  pass(): void {
    const { listening } = this.#relay.session
    if (this.#notice !== null) this.#passNotice(this.#notice)
    if (listening?.hasQueued === true && this.mayBeTold) listening.tellQueued()
  }

  tellNotification(bytes: Buffer): void {
    const relay = this.#relay
    relay.bytesToClient += bytes.length
    this.#counters.bytesToClients += bytes.length
    this.#counters.notifications++
    relay.transport.write(bytes)
  }

  onMove(): void {
    this.#relay.releaseIfDone()
  }

  onFlooded(limit: number): void {
    this.#relay.fail(new PoolerError('ENOTIFICATIONS', { values: { limit } }))
  }

  after(ms: number, run: () => void): void {
    this.#clock.after(ms, run)
  }

  onFault(error: unknown): void {
    this.#relay.onTransportFault(error)
  }

  #passNotice(notice: Buffer): void {
    const { isDeaf, server, transport } = this.#relay
    if (isDeaf || (server !== null && !server.isAtBoundary)) return
    transport.write(notice)
    this.#notice = null
  }
}
