// One pool: servers of one key, and the clients that wait for them. generic-pool owns creation,
// the check of life, eviction of the idle and destruction; waiting, hand-over and backoff are ours.
// A server that was busy a moment ago stays borrowed from the library and is handed on directly,
// last in, first out, so that a transaction costs no promise.
import { assert } from '../../shared/assert.ts'
import type { PoolCounters } from '../metrics/counters.ts'
import type { StatementOptions } from '../relay/client-statements.ts'
import type { Lane } from '../relay/lanes.ts'
import type { SchemaVersion } from '../relay/schema-version.ts'
import { SequenceUse } from '../relay/sequence-values.ts'
import type { ServerLink } from '../relay/server-link.ts'
import { mutedSink, type ServerSink } from '../relay/server-sink.ts'
import type { Refusal, ServerSource, ServerWaiter } from '../relay/server-source.ts'
import type { IdleServer } from './budget.ts'
import { IdleWatcher, type OnIdleServerGone } from './idle-watcher.ts'
import { NotificationHub } from './notification-hub.ts'
import type { PoolKey } from './pool-key.ts'
import type { PoolOptions } from './pool-options.ts'
import { checkoutTimedOut, poolClosed, tooManyWaiters } from './pool-refusals.ts'
import { ReturnedServers } from './returned-servers.ts'
import type { ServerCloseReason, ServerConnection } from './server-connection.ts'
import { cancelForClient, isCancelUnderWay } from './server-stop.ts'
import { ServerSupply } from './server-supply.ts'
import { SilentServers } from './silent-servers.ts'
import { SoonRefused } from './soon-refused.ts'
import { tellLongWaiters } from './wait-notice.ts'
import { WaitingLine } from './waiting-line.ts'
import { WarmServers } from './warm-servers.ts'

export class Pool implements ServerSource {
  readonly key: PoolKey
  readonly lane: Lane
  readonly schema: SchemaVersion
  readonly sequences = new SequenceUse()
  readonly counters: PoolCounters
  /** Listens for clients in transaction mode. */
  readonly hub: NotificationHub
  readonly #options: PoolOptions
  readonly #supply: ServerSupply
  readonly #returned: ReturnedServers
  readonly #silent: SilentServers
  readonly #line: WaitingLine
  /** All open servers, whatever their state. */
  readonly #servers = new Set<ServerConnection>()
  /** Idle and ready to be handed on. */
  readonly #warm: WarmServers
  readonly #heldByPeople = new Set<ServerConnection>()
  readonly #refusedSoon = new SoonRefused()
  #isClosed = false
  #isPaused = false

  constructor(options: PoolOptions) {
    this.key = options.key
    this.lane = options.lane
    this.schema = options.schema
    this.counters = options.counters
    this.#options = options
    this.hub = new NotificationHub(options)
    this.#line = new WaitingLine({
      waitersMax: options.waitersMax,
      clock: options.clock,
      onExpired: (waiter, ms) => {
        const values = { ms, size: this.size, waiters: this.waiters }
        waiter.onNoServer(checkoutTimedOut(values, this.#supply.hindrance))
      },
    })
    this.#silent = new SilentServers(options)
    this.#returned = new ReturnedServers(options, {
      onClean: (server) => this.#settle(server),
      onSpent: (server, reason) => this.#drop(server, reason),
    })
    this.#warm = new WarmServers({
      clock: options.clock,
      idleTimeoutMs: options.times.serverIdleTimeoutMs,
      onUnfit: (server, reason) => this.#drop(server, reason),
      onCold: (server) => this.#supply.release(server),
    })
    this.#supply = new ServerSupply(options, {
      wanted: () => this.#wanted(),
      waitingSinceMs: (place) => this.#waitingSinceMs(place),
      oldestIdle: (openedBeforeMs) => this.#oldestIdle(openedBeforeMs),
      servers: this.#servers,
      onServer: (server) => this.#onSupplied(server),
      onRefusal: (refusal) => this.#refuseAll(refusal),
      onClosing: (server) => this.#onServerClosing(server),
      onRoom: () => this.#demand(),
    })
  }

  get servers(): ReadonlySet<ServerConnection> {
    return this.#servers
  }

  /** For relays of transaction pools. */
  get statements(): StatementOptions {
    return this.#options.statements
  }

  /** pool_size, as it is now. */
  get size(): number {
    return this.#options.limits().size
  }

  /** Postgres counts no connection of ours. */
  get isEmpty(): boolean {
    return this.slots === 0 && this.hub.isAtRest
  }

  get waiters(): number {
    return this.#line.size
  }

  get oldestWaiterMs(): number {
    return this.#line.oldestMs(this.#options.clock.monotonicMs())
  }

  get backoffMs(): number {
    return this.#supply.backoffMs
  }

  /** Servers as Postgres counts them: being opened, open, or not closed yet. */
  get slots(): number {
    return this.#supply.slots
  }

  /** ParameterStatus values and spellings of a live server; null while there is none. */
  get reports(): Pick<ServerLink, 'baseline' | 'spelling'> | null {
    for (const server of this.#servers) if (server.isUsable) return server
    return null
  }

  checkout(waiter: ServerWaiter): ServerLink | null {
    // Whoever may go has gone then; people who wait for their share keep nobody from a free server.
    if (this.#line.size > 0 && !this.#isClosed) this.#demand()
    const mayTake = !this.#isClosed && !this.#isPaused && this.#wanted() === 0
    if (mayTake && this.#mayServe(waiter)) {
      const server = this.#warm.take()
      if (server !== null) {
        this.#options.counters.checkouts.observeMs(0)
        return this.#join(server, waiter)
      }
    }
    const { clock, limits, waitersMax } = this.#options
    if (this.#isClosed) this.#refusedSoon.add(waiter, poolClosed())
    else if (this.#line.isFull) this.#refusedSoon.add(waiter, tooManyWaiters(waitersMax))
    else {
      this.#line.add(waiter, clock.monotonicMs(), limits().checkoutTimeoutMs)
      this.#demand()
    }
    return null
  }

  withdraw(waiter: ServerWaiter): void {
    this.#refusedSoon.withdraw(waiter)
    this.#line.remove(waiter)
  }

  checkin(link: ServerLink): void {
    this.#returned.checkin(this.#takeBack(link))
  }

  rollback(link: ServerLink): void {
    this.#returned.rollback(this.#takeBack(link))
  }

  abort(link: ServerLink): void {
    this.#returned.abort(this.#takeBack(link))
  }

  endAccess(link: ServerLink): void {
    this.#returned.endAccess(this.#takeBack(link))
  }

  discard(link: ServerLink, reason: 'lost' | 'broken'): void {
    this.#drop(this.#takeBack(link), reason)
  }

  async cancel(link: ServerLink): Promise<void> {
    const server = link as ServerConnection
    if (isCancelUnderWay(server)) return
    await cancelForClient(server, this.#options.upstream, this.#options.clock)
      .then((isClosed) => {
        if (!isClosed) server.isRetired = true
        server.onSettled?.()
      })
      .catch((error: unknown) => {
        this.#options.log.error({ err: error, serverId: server.id }, 'server after a cancel')
      })
  }

  /** Servers of before are closed at their next checkin, idle ones and those that just come at once. */
  retireServers(): void {
    this.#supply.retire()
    this.hub.retire()
    this.#retire()
  }

  /** Postgres is shutting down there, and waits for the servers that it has. */
  leaveAddress(address: string): void {
    this.#supply.leaveAddress(address)
    this.hub.leaveAddress(address)
    this.#retire(address)
  }

  /** Clients wait, and servers are closed as they become free. */
  pause(): void {
    this.#isPaused = true
    this.#supply.pause()
    this.hub.park()
    this.#retire()
  }

  resume(): void {
    this.#isPaused = false
    this.#supply.resume()
    this.hub.unpark()
    this.#demand()
  }

  /** Its project has changed: what kept servers from being opened may be gone, its size another. */
  onProjectChanged(): void {
    this.#supply.onProjectChanged()
    this.hub.retryNow()
    this.#demand()
  }

  /** Once a second: what has been idle for long is the library's from then on. */
  onTick(nowMs: number): void {
    this.hub.onTick(nowMs)
    this.#warm.onTick(nowMs)
    if (!this.#isPaused) this.#supply.keepMinimum()
    tellLongWaiters(this.#line, nowMs, this.#options, this.#supply)
    this.#silent.onTick(this.#servers, nowMs)
  }

  /** No checkout succeeds any more; waiters are refused. Fulfilled when all servers are closed. */
  async close(refusal: Refusal): Promise<void> {
    this.#isClosed = true
    this.#refuseAll(refusal)
    for (const server of this.#warm.takeAll()) this.#drop(server, 'pool_closed')
    for (const server of this.#servers) server.isRetired = true
    await Promise.all([this.#supply.close(), this.hub.close()])
  }

  #retire(address: string | null = null): void {
    for (const server of this.#servers) {
      if (address === null || server.address === address) server.isRetired = true
    }
    for (const server of this.#warm.takeRetired()) this.#drop(server, 'retired')
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
    if (this.#heldByPeople.size > 0) this.#heldByPeople.delete(server)
    const { counters } = this.#options
    counters.transactions += server.tracker.transactions
    counters.queries += server.tracker.queries
    server.tracker.transactions = 0
    server.tracker.queries = 0
    return server
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
    else if (!server.isBetweenMessages) this.#drop(server, 'broken')
    else if (this.#isClosed) this.#drop(server, 'pool_closed')
    else if (server.isOver(nowMs)) this.#drop(server, server.isRetired ? 'retired' : 'lifetime')
    else if (this.#isPaused || this.#supply.open > this.size) this.#drop(server, 'retired')
    else {
      if (server.state !== 'idle') server.moveTo('idle')
      server.idleSinceMs = nowMs
      if (this.#isWantedElsewhere(server)) {
        this.#drop(server, 'made_room')
        return
      }
      const next = this.#line.next(this.#mayServePeople())
      if (next === null) {
        server.handTo(this.#watcherOf(server))
        this.#warm.push(server)
        return
      }
      this.#options.counters.checkouts.observeMs(nowMs - next.sinceMs)
      next.waiter.onServer(this.#join(server, next.waiter))
    }
  }

  /** Waiters that a server may be handed to. */
  #wanted(): number {
    return this.#isPaused ? 0 : this.#line.eligible(this.#mayServePeople())
  }

  #waitingSinceMs(place: number): number | null {
    return this.#isPaused ? null : this.#line.sinceMsAt(place, this.#mayServePeople())
  }

  #isWantedElsewhere(server: ServerConnection): boolean {
    if (!this.#supply.isContended) return false
    return this.#supply.isWantedElsewhere(server, this.#waitingSinceMs(0))
  }

  /** Idle servers are given up from the one that was used longest ago: the library's before ours. */
  #oldestIdle(openedBeforeMs: number): IdleServer | null {
    if (this.#wanted() > 0) return null
    let oldest = this.#warm.oldestOpenedBefore(openedBeforeMs)
    for (const server of this.#servers) {
      if (server.state !== 'idle' || this.#supply.isOnLoan(server)) continue
      if (oldest === undefined || server.idleSinceMs < oldest.idleSinceMs) oldest = server
    }
    if (oldest === undefined) return null
    const server = oldest
    return { idleSinceMs: server.idleSinceMs, giveUp: (reason) => this.#giveUp(server, reason) }
  }

  #giveUp(server: ServerConnection, reason: ServerCloseReason = 'made_room'): void {
    if (this.#warm.remove(server)) this.#drop(server, reason)
    else this.#supply.evict(server, reason)
  }

  #drop(server: ServerConnection, reason: ServerCloseReason): void {
    this.#supply.drop(server, reason)
  }

  #refuseAll(refusal: Refusal): void {
    for (const waiter of this.#line.clear()) waiter.onNoServer(refusal)
  }

  #onServerClosing(server: ServerConnection): void {
    const { counters, log } = this.#options
    const reason = server.closeReason as ServerCloseReason
    this.#servers.delete(server)
    counters.serversClosedByReason.count(reason)
    log.debug({ serverId: server.id, reason }, 'server closed')
  }

  /** Hands on what is idle, then asks for more. */
  #demand(): void {
    if (this.#isPaused) return
    while (this.#wanted() > 0) {
      const server = this.#warm.take()
      if (server === null) break
      this.#offer(server)
    }
    this.#supply.demand()
  }

  #onSupplied(server: ServerConnection): void {
    this.#servers.add(server)
    this.#offer(server)
  }

  #mayServe(waiter: ServerWaiter): boolean {
    return waiter.person === null || this.#mayServePeople()
  }

  #mayServePeople(): boolean {
    const held = this.#heldByPeople.size
    return held === 0 || held < Math.floor(this.#options.limits().size * this.#options.peopleShare)
  }

  #watcherOf(server: ServerConnection): ServerSink {
    server.watcher ??= new IdleWatcher(server, this.#onIdleServerGone)
    return server.watcher
  }

  readonly #onIdleServerGone: OnIdleServerGone = (server, reason) => {
    this.#warm.remove(server)
    if (this.#supply.isOnLoan(server)) this.#drop(server, reason)
    else server.isRetired = true
  }
}
