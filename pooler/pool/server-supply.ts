// Where a pool's servers come from and go to: generic-pool behind a factory of ours, with backoff in
// front and the true cause of a failure behind. Who gets them is the pool's business.
import genericPool from 'generic-pool'
import { PoolerError } from '../../shared/errors.ts'
import { newReportId } from '../../shared/ids.ts'
import type { Refusal } from '../relay/server-source.ts'
import { ConnectBackoff } from './connect-backoff.ts'
import type { PoolOptions } from './pool-options.ts'
import type { ServerCloseReason, ServerConnection } from './server-connection.ts'
import { serverEvictorBy } from './server-evictor.ts'
import { FailedOpen, PoolClosed, type PoolMember, ServerFactory } from './server-factory.ts'
import { ServerOpenError } from './server-open-error.ts'

export interface SupplyEvents {
  /** Waiters that could take a server now. */
  readonly wanted: () => number
  /** A server to be offered; new, or idle for long and found alive. */
  readonly onServer: (server: ServerConnection) => void
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

export class ServerSupply {
  readonly #options: PoolOptions
  readonly #events: SupplyEvents
  readonly #factory: ServerFactory
  readonly #library: genericPool.Pool<PoolMember>
  /** After failures that are this role's own (password, database), not the upstream's. */
  readonly #backoff: ConnectBackoff
  readonly #known = new WeakSet<ServerConnection>()
  #acquiring = 0
  #lastFailure: ServerOpenError | null = null
  #isClosed = false

  constructor(options: PoolOptions, events: SupplyEvents) {
    this.#options = options
    this.#events = events
    this.#factory = new ServerFactory(options, events.onClosing)
    this.#backoff = new ConnectBackoff(options.clock, options.random)
    this.#library = openLibrary(this.#factory, options)
  }

  /** Servers as Postgres counts them: being opened, open, or not closed yet. */
  get slots(): number {
    return this.#factory.slots
  }

  get backoffMs(): number {
    return Math.max(this.#backoff.waitMs, this.#options.upstreamBackoff.waitMs)
  }

  /** Why the last attempt to open a server failed; null when it did not. */
  get lastFailure(): ServerOpenError | null {
    return this.#lastFailure
  }

  /** Tries at once again: the credentials or the upstream have changed. */
  retryNow(): void {
    this.#backoff.succeeded()
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

  /** Opens nothing any more. Fulfilled when all servers are closed. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#factory.close()
    await this.#library.drain()
    await this.#library.clear()
  }

  async #acquire(): Promise<void> {
    try {
      await this.#backoff.ready()
      const member = await this.#library.acquire()
      this.#acquiring--
      if (member instanceof FailedOpen) this.#onOpenFailed(member)
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
      this.#backoff.succeeded()
      this.#options.upstreamBackoff.succeeded()
    }
    this.#events.onServer(server)
  }

  #onOpenFailed(failed: FailedOpen): void {
    void this.#library.destroy(failed).catch(this.#onLibraryError)
    const failure = failed.cause
    if (failure instanceof PoolClosed) return
    const { counters, log, upstreamBackoff } = this.#options
    counters.serverOpenFailures++
    if (!(failure instanceof ServerOpenError)) {
      this.#onLibraryError(failure)
      const values = { id: newReportId() }
      this.#events.onRefusal(new PoolerError('EINTERNAL', { values, cause: failure }))
      return
    }
    this.#lastFailure = failure
    const { kind, message: reason } = failure
    log.warn({ kind, reason }, 'server could not be opened')
    if (failure.kind === 'transient') {
      upstreamBackoff.failed()
      return
    }
    this.#backoff.failed()
    const isAboutUs = failure.poolerError.code === 'EUPSTREAMAUTH'
    this.#events.onRefusal(
      isAboutUs ? failure.poolerError : (failure.postgres ?? failure.poolerError),
    )
  }

  readonly #onLibraryError = (error: unknown): void => {
    this.#options.log.error({ err: error }, 'pool')
  }
}

function openLibrary(
  factory: ServerFactory,
  { clock, times }: PoolOptions,
): genericPool.Pool<PoolMember> {
  const { Pool: Library, Deque, PriorityQueue } = genericPool as unknown as LibraryParts
  return new Library(serverEvictorBy(clock), Deque, PriorityQueue, factory, {
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
  ) => genericPool.Pool<PoolMember>
  readonly Deque: unknown
  readonly PriorityQueue: unknown
}
