// One pool: servers of one key, and the clients that wait for them. generic-pool owns creation,
// the check of life, eviction of the idle and destruction; waiting, hand-over and backoff are ours.
// A server that was busy a moment ago stays borrowed from the library and is handed on directly,
// last in, first out, so that a transaction costs no promise.
import genericPool from 'generic-pool'
import { assert } from '../../shared/assert.ts'
import { PoolerError } from '../../shared/errors.ts'
import { newReportId } from '../../shared/ids.ts'
import type { ServerLink } from '../relay/server-link.ts'
import { mutedSink } from '../relay/server-sink.ts'
import type { Refusal, ServerSource, ServerWaiter } from '../relay/server-source.ts'
import { ConnectBackoff } from './connect-backoff.ts'
import { IdleWatcher } from './idle-watcher.ts'
import type { PoolKey } from './pool-key.ts'
import type { PoolOptions } from './pool-options.ts'
import type { ServerCloseReason, ServerConnection } from './server-connection.ts'
import { ServerEvictor } from './server-evictor.ts'
import {
  FailedOpen,
  PoolClosed,
  type PoolMember,
  ServerFactory,
  trustedIdleMs,
} from './server-factory.ts'
import { ServerOpenError } from './server-open-error.ts'
import { resetServer, rollbackServer } from './server-reset.ts'
import { cancelServer, stopServer } from './server-stop.ts'
import { WaitingLine } from './waiting-line.ts'

/** A rollback of a client that left may take so long before the server is discarded instead. */
const rollbackTimeoutMs = 1000
const evictionPeriodMs = 1000
/** Above any pool_size: the real bound is counted in slots, because it may change while we run. */
const libraryMax = 100_000

export class Pool implements ServerSource {
  readonly key: PoolKey
  readonly #options: PoolOptions
  readonly #factory: ServerFactory
  readonly #library: genericPool.Pool<PoolMember>
  readonly #line: WaitingLine
  /** After failures that are this role's own (password, database), not the upstream's. */
  readonly #backoff: ConnectBackoff
  /** All open servers, whatever their state. */
  readonly #servers = new Set<ServerConnection>()
  /** Idle and ready to be handed on; the last one was used last. */
  readonly #warm: ServerConnection[] = []
  readonly #heldByPeople = new Set<ServerConnection>()
  #acquiring = 0
  #lastFailure: ServerOpenError | null = null
  #isClosed = false

  constructor(options: PoolOptions) {
    this.key = options.key
    this.#options = options
    this.#factory = new ServerFactory(options, (server) => this.#onServerClosing(server))
    this.#backoff = new ConnectBackoff(options.clock, options.random)
    this.#line = new WaitingLine({
      waitersMax: options.waitersMax,
      deadlines: options.deadlines,
      onExpired: (waiter, waitedMs) => waiter.onNoServer(this.#checkoutTimeout(waitedMs)),
    })
    this.#library = openLibrary(this.#factory, options.times.serverIdleTimeoutMs)
  }

  get servers(): ReadonlySet<ServerConnection> {
    return this.#servers
  }

  get waiters(): number {
    return this.#line.size
  }

  get oldestWaiterMs(): number {
    const sinceMs = this.#line.oldestSinceMs
    return sinceMs === null ? 0 : this.#options.clock.monotonicMs() - sinceMs
  }

  get backoffMs(): number {
    return Math.max(this.#backoff.waitMs, this.#options.upstreamBackoff.waitMs)
  }

  /** Servers as Postgres counts them: being opened, open, or not closed yet. */
  get slots(): number {
    return this.#factory.slots
  }

  /** ParameterStatus values and spellings of a live server; null while there is none. */
  get reports(): Pick<ServerLink, 'baseline' | 'spelling'> | null {
    for (const server of this.#servers) if (server.isUsable) return server
    return null
  }

  checkout(waiter: ServerWaiter): ServerLink | null {
    if (!this.#isClosed && this.#line.size === 0 && this.#mayServe(waiter)) {
      const server = this.#takeWarm()
      if (server !== null) {
        this.#options.counters.checkouts.observeMs(0)
        return this.#join(server, waiter)
      }
    }
    const refusal = this.#refusalAtOnce()
    if (refusal !== null) process.nextTick(() => waiter.onNoServer(refusal))
    else {
      const { clock, limits } = this.#options
      this.#line.add(waiter, clock.monotonicMs(), limits().checkoutTimeoutMs)
      this.#demand()
    }
    return null
  }

  withdraw(waiter: ServerWaiter): void {
    this.#line.remove(waiter)
  }

  checkin(link: ServerLink): void {
    const server = this.#takeBack(link)
    if (server.dirtyBy !== null || this.key.mode === 'session') this.#reset(server)
    else this.#settle(server)
  }

  rollback(link: ServerLink): void {
    const server = this.#takeBack(link)
    if (this.key.mode === 'session' || server.dirtyBy !== null) {
      this.#reset(server)
      return
    }
    server.moveTo('working')
    void rollbackServer(server, rollbackTimeoutMs, this.#options.clock).then((isClean) => {
      if (isClean) this.#settle(server)
      else this.#drop(server, 'reset_failed')
    })
  }

  abort(link: ServerLink): void {
    const server = this.#takeBack(link)
    server.moveTo('working')
    void cancelServer(server, this.#options.upstream, this.#options.clock).then(() => {
      this.#drop(server, 'client_left')
    })
  }

  endAccess(link: ServerLink): void {
    const server = this.#takeBack(link)
    server.moveTo('working')
    void stopServer(server, this.#options.upstream, this.#options.clock).then((isClean) => {
      if (isClean) this.#reset(server)
      else this.#drop(server, 'access_ended')
    })
  }

  discard(link: ServerLink, reason: 'lost' | 'broken'): void {
    this.#drop(this.#takeBack(link), reason)
  }

  cancel(link: ServerLink): void {
    const server = link as ServerConnection
    // One at a time for each server: a second one would cancel the same statement.
    if (server.cancelsInFlight > 0) return
    void cancelServer(server, this.#options.upstream, this.#options.clock).then((isClosed) => {
      if (!isClosed) server.isRetired = true
      server.onSettled?.()
    })
  }

  /** Servers of before are closed at their next checkin, idle ones at once. */
  retireServers(): void {
    this.#backoff.succeeded()
    for (const server of this.#servers) server.isRetired = true
    for (const server of this.#warm.splice(0)) this.#drop(server, 'retired')
  }

  /** Tries at once again: the credentials or the upstream have changed. */
  retryNow(): void {
    this.#backoff.succeeded()
  }

  /** Once a second: what has been idle for long is the library's from then on. */
  onTick(nowMs: number): void {
    while (this.#warm.length > 0) {
      const server = this.#warm[0] as ServerConnection
      const isOver = server.isOver(nowMs)
      if (!isOver && nowMs - server.idleSinceMs < trustedIdleMs) break
      this.#warm.shift()
      if (isOver) this.#drop(server, 'lifetime')
      else void this.#library.release(server).catch(this.#onLibraryError)
    }
  }

  /** No checkout succeeds any more; waiters are refused. Fulfilled when all servers are closed. */
  async close(refusal: Refusal): Promise<void> {
    this.#isClosed = true
    this.#factory.close()
    for (const waiter of this.#line.clear()) waiter.onNoServer(refusal)
    for (const server of this.#warm.splice(0)) this.#drop(server, 'pool_closed')
    for (const server of this.#servers) server.isRetired = true
    await this.#library.drain()
    await this.#library.clear()
  }

  #takeWarm(): ServerConnection | null {
    const nowMs = this.#options.clock.monotonicMs()
    for (let server = this.#warm.pop(); server !== undefined; server = this.#warm.pop()) {
      if (!server.isUsable) this.#drop(server, 'lost')
      else if (server.isOver(nowMs)) this.#drop(server, 'lifetime')
      else return server
    }
    return null
  }

  #join(server: ServerConnection, waiter: ServerWaiter): ServerLink {
    assert(server.state === 'idle', 'only an idle server is joined to a client')
    server.moveTo('joined')
    if (waiter.person !== null) this.#heldByPeople.add(server)
    return server
  }

  #takeBack(link: ServerLink): ServerConnection {
    const server = link as ServerConnection
    assert(server.state === 'joined', 'a server comes back from the client that held it')
    server.handTo(mutedSink)
    this.#heldByPeople.delete(server)
    const { counters } = this.#options
    counters.transactions += server.tracker.transactions
    counters.queries += server.tracker.queries
    server.tracker.transactions = 0
    server.tracker.queries = 0
    return server
  }

  #reset(server: ServerConnection): void {
    server.moveTo('working')
    const { times, clock } = this.#options
    void resetServer(server, times.serverResetTimeoutMs, clock).then((isClean) => {
      if (isClean) this.#settle(server)
      else this.#drop(server, 'reset_failed')
    })
  }

  /** A clean server: to the next waiter, unless a cancel for it is still under way. */
  #settle(server: ServerConnection): void {
    if (server.cancelsInFlight > 0) {
      server.moveTo('settling')
      server.handTo(this.#watcherOf(server))
      server.onSettled = () => {
        server.onSettled = null
        if (server.state === 'settling') this.#offer(server)
      }
      return
    }
    this.#offer(server)
  }

  #offer(server: ServerConnection): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (!server.isUsable) this.#drop(server, 'lost')
    else if (this.#isClosed) this.#drop(server, 'pool_closed')
    else if (server.isOver(nowMs)) this.#drop(server, server.isRetired ? 'retired' : 'lifetime')
    else if (this.#factory.slots > this.#options.limits().size) this.#drop(server, 'retired')
    else {
      if (server.state !== 'idle') server.moveTo('idle')
      server.idleSinceMs = nowMs
      server.handTo(this.#watcherOf(server))
      const next = this.#line.next(this.#mayServePeople)
      if (next === null) {
        this.#warm.push(server)
        return
      }
      this.#options.counters.checkouts.observeMs(nowMs - next.sinceMs)
      next.waiter.onServer(this.#join(server, next.waiter))
    }
  }

  #drop(server: ServerConnection, reason: ServerCloseReason): void {
    if (server.state === 'closing' || server.state === 'closed') return
    // The reason given first counts; the library's destroy only waits for the same promise.
    void server.close(reason)
    void this.#library
      .destroy(server)
      .catch(this.#onLibraryError)
      .then(() => this.#demand())
  }

  #onServerClosing(server: ServerConnection): void {
    const { counters, log } = this.#options
    const reason = server.closeReason as ServerCloseReason
    this.#servers.delete(server)
    counters.serversClosedByReason.count(reason)
    log.debug({ serverId: server.id, reason }, 'server closed')
  }

  /** Asks the library for as many servers as could be used now and are not asked for yet. */
  #demand(): void {
    while (this.#line.eligible(this.#mayServePeople) > 0) {
      const server = this.#takeWarm()
      if (server === null) break
      this.#offer(server)
    }
    const { size } = this.#options.limits()
    while (
      !this.#isClosed &&
      this.#acquiring < this.#line.eligible(this.#mayServePeople) &&
      this.#library.borrowed + this.#acquiring < size
    ) {
      this.#acquiring++
      void this.#supply()
    }
  }

  async #supply(): Promise<void> {
    try {
      await this.#backoff.ready()
      const member = await this.#library.acquire()
      this.#acquiring--
      if (member instanceof FailedOpen) this.#onOpenFailed(member)
      else this.#onSupplied(member)
    } catch (error) {
      this.#acquiring--
      this.#onLibraryError(error)
    }
    this.#demand()
  }

  #onSupplied(server: ServerConnection): void {
    if (!this.#servers.has(server)) {
      this.#servers.add(server)
      this.#options.counters.serversOpened++
      this.#lastFailure = null
      this.#backoff.succeeded()
      this.#options.upstreamBackoff.succeeded()
    }
    this.#offer(server)
  }

  #onOpenFailed(failed: FailedOpen): void {
    void this.#library.destroy(failed).catch(this.#onLibraryError)
    const failure = failed.cause
    if (failure instanceof PoolClosed) return
    this.#options.counters.serverOpenFailures++
    if (!(failure instanceof ServerOpenError)) {
      this.#onLibraryError(failure)
      const bug = new PoolerError('EINTERNAL', { values: { id: newReportId() }, cause: failure })
      for (const waiter of this.#line.clear()) waiter.onNoServer(bug)
      return
    }
    this.#lastFailure = failure
    this.#options.log.warn({ err: failure }, 'server could not be opened')
    if (failure.kind === 'transient') {
      this.#options.upstreamBackoff.failed()
      return
    }
    this.#backoff.failed()
    const isAboutUs = failure.poolerError.code === 'EUPSTREAMAUTH'
    const refusal = isAboutUs ? failure.poolerError : (failure.postgres ?? failure.poolerError)
    for (const waiter of this.#line.clear()) waiter.onNoServer(refusal)
  }

  #mayServe(waiter: ServerWaiter): boolean {
    return waiter.person === null || this.#mayServePeople
  }

  get #mayServePeople(): boolean {
    const most = Math.max(1, Math.floor(this.#options.limits().size * this.#options.peopleShare))
    return this.#heldByPeople.size < most
  }

  #watcherOf(server: ServerConnection): IdleWatcher {
    server.watcher ??= new IdleWatcher({
      onIdleServerGone: (reason) => this.#onIdleServerGone(server, reason),
    })
    return server.watcher
  }

  #onIdleServerGone(server: ServerConnection, reason: 'lost' | 'broken'): void {
    const index = this.#warm.indexOf(server)
    if (index !== -1) this.#warm.splice(index, 1)
    if (this.#library.isBorrowedResource(server)) this.#drop(server, reason)
    else server.isRetired = true
  }

  #refusalAtOnce(): Refusal | null {
    if (this.#isClosed) {
      return new PoolerError('ETERMINATED', { values: { reason: 'the pool was closed' } })
    }
    if (!this.#line.isFull) return null
    return new PoolerError('EMAXWAITERS', { values: { limit: this.#options.waitersMax } })
  }

  #checkoutTimeout(waitedMs: number): PoolerError {
    const { size } = this.#options.limits()
    return new PoolerError('ECHECKOUTTIMEOUT', {
      values: { ms: waitedMs, size, waiters: this.#line.size },
      ...(this.#lastFailure === null ? {} : { detail: this.#lastFailure.message }),
    })
  }

  readonly #onLibraryError = (error: unknown): void => {
    this.#options.log.error({ err: error }, 'pool')
  }
}

function openLibrary(
  factory: ServerFactory,
  serverIdleTimeoutMs: number,
): genericPool.Pool<PoolMember> {
  const { Pool: Library, Deque, PriorityQueue } = genericPool as unknown as LibraryParts
  return new Library(ServerEvictor, Deque, PriorityQueue, factory, {
    min: 0,
    max: libraryMax,
    fifo: false,
    autostart: false,
    testOnBorrow: true,
    evictionRunIntervalMillis: evictionPeriodMs,
    numTestsPerEvictionRun: libraryMax,
    idleTimeoutMillis: serverIdleTimeoutMs,
  })
}

/** Exported by generic-pool and documented there, but missing from its type declarations. */
interface LibraryParts {
  readonly Pool: new (
    ...parts: [typeof ServerEvictor, unknown, unknown, ServerFactory, genericPool.Options]
  ) => genericPool.Pool<PoolMember>
  readonly Deque: unknown
  readonly PriorityQueue: unknown
}
