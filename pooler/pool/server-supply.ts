// Where a pool's servers come from and go to: generic-pool behind a factory of ours, with backoff in
// front and the true cause of a failure behind. Who gets them is the pool's business.
import genericPool from 'generic-pool'
import { PoolerError } from '../../shared/errors.ts'
import { newReportId } from '../../shared/ids.ts'
import type { Refusal } from '../relay/server-source.ts'
import type { BudgetMember, IdleServer } from './budget.ts'
import { ConnectBackoff } from './connect-backoff.ts'
import type { PoolOptions } from './pool-options.ts'
import type { ServerCloseReason, ServerConnection } from './server-connection.ts'
import { serverEvictorBy } from './server-evictor.ts'
import {
  FailedOpen,
  NotWanted,
  PoolClosed,
  type PoolMember,
  ServerFactory,
} from './server-factory.ts'
import { ServerOpenError } from './server-open-error.ts'

export interface SupplyEvents {
  /** Waiters that could take a server now. */
  readonly wanted: () => number
  /** See BudgetMember. */
  readonly waitingSinceMs: (place: number) => number | null
  readonly oldestIdle: (openedBeforeMs: number) => IdleServer | null
  /** A server to be offered; new, or idle for long and found alive. */
  readonly onServer: (server: ServerConnection) => void
  /** All that are open. */
  readonly servers: ReadonlySet<ServerConnection>
  /** Waiting does not help: everybody who waits is told. */
  readonly onRefusal: (refusal: Refusal) => void
  /** A server starts to close; its reason is set. */
  readonly onClosing: (server: ServerConnection) => void
  /** A server has left the library's hands, so another may be asked for. */
  readonly onRoom: () => void
}

const evictionPeriodMs = 1000
/** Above any pool_size: the real bound is counted in slots, because it may change while we run. */
const libraryMax = 100_000

export class ServerSupply implements BudgetMember {
  readonly #options: PoolOptions
  readonly #events: SupplyEvents
  readonly #factory: ServerFactory
  readonly #library: EvictingPool
  /** After failures that are this role's own (password, database, its limits), not the upstream's. */
  readonly #backoff: ConnectBackoff
  /** After failures to open servers that nobody waits for: they are nobody else's concern. */
  readonly #keepBackoff: ConnectBackoff
  /** Waiting will not help: the minimum is left alone until something has changed. */
  #isMinimumGivenUp = false
  readonly #known = new WeakSet<ServerConnection>()
  #acquiring = 0
  #lastFailure: ServerOpenError | null = null
  #isClosed = false

  constructor(options: PoolOptions, events: SupplyEvents) {
    this.#options = options
    this.#events = events
    this.#factory = new ServerFactory(options, this, events.onClosing)
    for (const budget of options.budgets) budget.join(this)
    this.#backoff = new ConnectBackoff(options.clock, options.random)
    this.#keepBackoff = new ConnectBackoff(options.clock, options.random)
    this.#library = openLibrary(this.#factory, options, () => this.#missing < 0)
  }

  /** Servers as Postgres counts them: being opened, open, or not closed yet. */
  get slots(): number {
    return this.#factory.slots
  }

  /** Of these, the ones that stay. */
  get open(): number {
    return this.slots - this.closing
  }

  get opening(): number {
    return this.#factory.opening
  }

  get closing(): number {
    return this.#factory.closing
  }

  /** What keeps the pool from opening a server, as far as known; null: nothing does. */
  get hindrance(): string | null {
    const shortOf = this.#factory.shortOf
    if (shortOf !== null) return `no room for another server (${shortOf})`
    return this.#lastFailure?.message ?? null
  }

  waitingSinceMs(place: number): number | null {
    return this.#events.waitingSinceMs(place)
  }

  oldestIdle(openedBeforeMs: number): IdleServer | null {
    return this.#events.oldestIdle(openedBeforeMs)
  }

  /** True while a budget has claims that it cannot grant. */
  get isContended(): boolean {
    for (const budget of this.#options.budgets) if (budget.isContended) return true
    return false
  }

  /**
   * True when a server that has come back should be closed for the sake of another pool.
   * `nextSinceMs`: since when the first in our own line waits; null: nobody does.
   */
  isWantedElsewhere({ openedAtMs }: ServerConnection, nextSinceMs: number | null): boolean {
    for (const budget of this.#options.budgets) {
      if (budget.isWantedElsewhere(this, openedAtMs, nextSinceMs)) return true
    }
    return false
  }

  get backoffMs(): number {
    return Math.max(this.#backoff.waitMs, this.#options.upstreamBackoff().waitMs)
  }

  /** Tries at once again: the credentials or the upstream have changed. */
  retryNow(): void {
    this.#backoff.succeeded()
    this.#keepBackoff.succeeded()
    this.#isMinimumGivenUp = false
  }

  /** What is being opened is another's from here on: asked for anew, at once. */
  retire(): void {
    this.#factory.attempts.giveUp()
    this.retryNow()
  }

  leaveAddress(address: string): void {
    this.#factory.attempts.leaveAddress(address)
  }

  /** Nothing is opened, and nothing that is being opened comes. */
  pause(): void {
    this.#factory.attempts.hold()
  }

  resume(): void {
    this.#factory.attempts.release()
    this.retryNow()
  }

  /** Its size may be another: beyond it idle servers go now, and others when they come back. */
  onProjectChanged(): void {
    this.retryNow()
    this.#factory.retryNow()
    for (let left = this.open - this.#options.limits().size; left > 0; left--) {
      this.#events.oldestIdle(Number.POSITIVE_INFINITY)?.giveUp('retired')
    }
  }

  /** Asks the library for as many servers as are wanted, may be had, and are not asked for yet. */
  demand(): void {
    const { size } = this.#options.limits()
    while (
      !this.#isClosed &&
      this.#acquiring < this.#events.wanted() &&
      this.#library.borrowed + this.#acquiring < size
    ) {
      this.#acquiring++
      void this.#acquire()
    }
  }

  /** Once a second: opens what is missing to the minimum, where nobody else needs the room. */
  keepMinimum(): void {
    if (this.#isClosed || this.#isMinimumGivenUp || this.#acquiring > 0) return
    if (this.backoffMs > 0 || this.#keepBackoff.waitMs > 0) return
    const room = this.#options.budgets.map(({ spare }) => spare)
    for (let left = Math.min(this.#missing, ...room); left > 0; left--) {
      this.#acquiring++
      void this.#acquire(true)
    }
  }

  /** Servers that should be opened to have the minimum; negative: there are more. */
  get #missing(): number {
    const { limits, minSize } = this.#options
    return Math.min(minSize(), limits().size) - this.open
  }

  /** True while the server is in the pool's hands, or a client's; false while it is the library's. */
  isOnLoan(server: ServerConnection): boolean {
    return this.#library.isBorrowedResource(server)
  }

  /** The server has been idle for long: checking and closing it is the library's from here on. */
  release(server: ServerConnection): void {
    void this.#library.release(server).catch(this.#onLibraryError)
  }

  /** Closes a server that is on loan. The reason given first counts. */
  drop(server: ServerConnection, reason: ServerCloseReason): void {
    if (server.state === 'closing' || server.state === 'closed') return
    void server.close(reason)
    void this.#library
      .destroy(server)
      .catch(this.#onLibraryError)
      .then(() => this.#events.onRoom())
  }

  /** Closes a server that is the library's. */
  evict(server: ServerConnection, reason: ServerCloseReason): void {
    void server.close(reason)
    this.#library._evict()
  }

  /** Opens nothing any more. Fulfilled when all servers are closed. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#factory.close()
    await this.#library.drain()
    await this.#library.clear()
    for (const budget of this.#options.budgets) budget.leave(this)
  }

  async #acquire(isForMinimum = false): Promise<void> {
    try {
      await this.#backoff.ready()
      // The library would refuse it, and nobody waits any more.
      if (this.#isClosed) return
      const member = await this.#library.acquire()
      this.#acquiring--
      if (member instanceof FailedOpen) this.#onOpenFailed(member, isForMinimum)
      else this.#onOpened(member)
    } catch (error) {
      this.#acquiring--
      this.#onLibraryError(error)
    }
    this.#events.onRoom()
  }

  #onOpened(server: ServerConnection): void {
    if (!this.#known.has(server)) {
      this.#known.add(server)
      this.#options.counters.serversOpened++
      this.#lastFailure = null
      this.retryNow()
      this.#options.upstreamBackoff().succeeded()
    }
    this.#events.onServer(server)
  }

  #onOpenFailed(failed: FailedOpen, isForMinimum: boolean): void {
    void this.#library.destroy(failed).catch(this.#onLibraryError)
    const failure = failed.cause
    if (failure instanceof PoolClosed || failure instanceof NotWanted) return
    const { counters, log, upstreamBackoff, onUpstreamClosing } = this.#options
    counters.serverOpenFailures++
    if (!(failure instanceof ServerOpenError)) {
      this.#onLibraryError(failure)
      const values = { id: newReportId() }
      this.#events.onRefusal(new PoolerError('EINTERNAL', { values, cause: failure }))
      return
    }
    this.#lastFailure = failure
    const { kind, message: reason, closingAddress } = failure
    if (closingAddress !== null) onUpstreamClosing(closingAddress)
    if (isForMinimum && this.#events.wanted() === 0) {
      log.debug({ kind, reason }, 'server could not be opened, and nobody waits for it')
      this.#keepBackoff.failed()
      this.#isMinimumGivenUp = kind === 'permanent'
      return
    }
    log.warn({ kind, reason }, 'server could not be opened')
    const backoff =
      failure.kind === 'transient' && failure.concernsAll ? upstreamBackoff() : this.#backoff
    backoff.failed()
    if (failure.kind === 'transient' || this.#isServed) return
    const isAboutUs = failure.poolerError.code === 'EUPSTREAMAUTH'
    this.#events.onRefusal(
      isAboutUs ? failure.poolerError : (failure.postgres ?? failure.poolerError),
    )
  }

  /** Whoever waits may get a server without another being opened. */
  get #isServed(): boolean {
    const { key, clock } = this.#options
    // In other modes servers come back when their clients leave, and that may be never.
    if (key.mode !== 'transaction') return false
    const nowMs = clock.monotonicMs()
    for (const server of this.#events.servers) {
      if (server.isUsable && !server.isOver(nowMs)) return true
    }
    return false
  }

  readonly #onLibraryError = (error: unknown): void => {
    this.#options.log.error({ err: error }, 'pool')
  }
}

function openLibrary(
  factory: ServerFactory,
  { clock, times }: PoolOptions,
  isSpare: () => boolean,
): EvictingPool {
  const { Pool: Library, Deque, PriorityQueue } = genericPool as unknown as LibraryParts
  return new Library(serverEvictorBy(clock, isSpare), Deque, PriorityQueue, factory, {
    min: 0,
    max: libraryMax,
    fifo: false,
    autostart: false,
    testOnBorrow: true,
    evictionRunIntervalMillis: evictionPeriodMs,
    numTestsPerEvictionRun: libraryMax,
    idleTimeoutMillis: times.serverIdleTimeoutMs,
  })
}

/** The evictor's round can be had at once, though by no public name. */
interface EvictingPool extends genericPool.Pool<PoolMember> {
  _evict(): void
}

/** Exported by generic-pool and documented there, but missing from its type declarations. */
interface LibraryParts {
  readonly Pool: new (
    ...parts: [
      ReturnType<typeof serverEvictorBy>,
      unknown,
      unknown,
      ServerFactory,
      genericPool.Options,
    ]
  ) => EvictingPool
  readonly Deque: unknown
  readonly PriorityQueue: unknown
}
