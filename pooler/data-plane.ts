// The part of the process that clients and servers meet in: ports, connections, pools, cancels.
// What it needs to know of projects and people is handed in.
import { randomBytes } from 'node:crypto'
import type { Clock, Timer } from '../shared/clock.ts'
import { PoolerError } from '../shared/errors.ts'
import type { Log } from '../shared/log.ts'
import { Roster } from '../shared/roster.ts'
import { ConnectionQuota, quotaLimitsFor } from './accept/connection-quota.ts'
import { Listener } from './accept/listener.ts'
import { readOpenFilesMax, shareOpenFiles } from './accept/open-files.ts'
import type { ServerCertificates } from './accept/server-certificates.ts'
import type { Authenticator } from './auth/authenticate.ts'
import type { Credentials } from './auth/credentials.ts'
import { CancelKeys } from './cancel/cancel-keys.ts'
import { type CancelElsewhere, CancelRequests } from './cancel/cancel-requests.ts'
import { ClientConnection } from './client/client-connection.ts'
import { ClientCounts } from './client/client-counts.ts'
import type { ClientServices } from './client/client-services.ts'
import { RefusalLog } from './client/refusal-log.ts'
import type { AdminServices } from './client/serve-admin.ts'
import { StartupSettings } from './client/startup-settings.ts'
import type { InheritedSockets } from './config/inherited-sockets.ts'
import type { Config } from './config/settings.ts'
import { FrontDoor } from './front-door.ts'
import type { CounterBook } from './metrics/counter-book.ts'
import type { PoolCounters } from './metrics/counters.ts'
import { OverdueClients } from './overdue-clients.ts'
import { ConnectBackoff } from './pool/connect-backoff.ts'
import { Pool } from './pool/pool.ts'
import { PoolHolds } from './pool/pool-holds.ts'
import type { PoolKey } from './pool/pool-key.ts'
import { type Opening, PoolRegistry } from './pool/pool-registry.ts'
import { type NewBudget, ServerBudgets } from './pool/server-budgets.ts'
import { Upstream } from './pool/upstream.ts'
import type { UpstreamAddresses } from './pool/upstream-address.ts'
import { poolLimitsOf } from './pool-limits-of.ts'
import type { EaseReads } from './relay/eased-reads.ts'
import { Lane } from './relay/lanes.ts'
import type { Relay } from './relay/relay.ts'
import { SchemaVersion } from './relay/schema-version.ts'
import { StatementCatalog } from './relay/statement-catalog.ts'
import type { OpenTransport } from './relay/transport.ts'
import type { ListenerMode } from './startup/identify-tenant.ts'
import { minPoolSizeOf, poolSizeOf, type Tenant } from './tenant/tenant.ts'
import type { TenantCache } from './tenant/tenant-cache.ts'

export interface DataPlaneOptions {
  readonly config: Config
  readonly version: string
  readonly clock: Clock
  readonly log: Log
  readonly certificates: ServerCertificates | null
  /** PEM of GLOBAL_UPSTREAM_CA_PATH. */
  readonly globalCa: string | null
  /** Sockets that listen already. */
  readonly inherited: InheritedSockets
  /** undefined: with no address guarded but what no project may have. */
  readonly addresses?: UpstreamAddresses
  readonly tenants: Pick<TenantCache, 'find' | 'peek' | 'version' | 'hold' | 'release'>
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  readonly credentials: Pick<Credentials, 'forServer'>
  readonly counters: CounterBook
  /** Asked when an operator comes: it sees the data plane itself. */
  readonly admin: () => AdminServices | null
  readonly openTransport: OpenTransport
  readonly easeReads: EaseReads
  /** null: this process is alone. */
  readonly workers: OtherWorkers | null
  /** Of a process that is alone: asked for keys that are not known here. */
  readonly cancelElsewhere?: CancelElsewhere | undefined
}

/** The other workers of this machine, as the data plane of one sees them. */
export interface OtherWorkers {
  /** This one's place, 0 to `of` - 1. */
  readonly slot: number
  readonly of: number
  readonly newBudget: NewBudget
  readonly cancel: CancelElsewhere
  /** Connections that they have. */
  clients(): number
  /** The clients of this project here are others than before. */
  onClientsChanged(tenantRef: string): void
  /** A client of this process has changed the schema of this database. */
  onSchemaChanged(tenantRef: string, database: string): void
}

const tickMs = 100
const housekeepingEveryTicks = 10
/** Backoffs of upstreams that nobody dials any more are forgotten beyond this many. */
const upstreamsMax = 10_000

export class DataPlane {
  readonly connections = new Roster<ClientConnection>()
  readonly pools: PoolRegistry
  readonly clientCounts: ClientCounts
  readonly cancelKeys = new CancelKeys()
  readonly cancelRequests: CancelRequests
  readonly holds = new PoolHolds()
  readonly quota: ConnectionQuota
  readonly budgets: ServerBudgets
  readonly #options: DataPlaneOptions
  readonly #services: ClientServices
  readonly #frontDoor: FrontDoor
  readonly #listeners: readonly Listener[]
  readonly #backoffs = new Map<string, ConnectBackoff>()
  readonly #ticker: { nowMs: number }
  /** Of this process: statements' names on servers come from it. */
  readonly #statementSecret = randomBytes(32)
  #timer: Timer | null = null
  #isDraining = false
  /** At the last look. What they had sent while this process stood still has been read since. */
  #rested: ReadonlySet<Relay> = new Set()
  #isRefusing = false
  /** Above MEMORY_SOFT_LIMIT: no further logins. */
  #isOverMemory = false

  constructor(options: DataPlaneOptions) {
    const { config, clock } = options
    this.#options = options
    this.#ticker = { nowMs: wholeMs(clock) }
    const shares = shareOpenFiles(readOpenFilesMax(), config.clientsMax)
    const { workers } = options
    this.clientCounts = new ClientCounts(workers?.onClientsChanged)
    this.quota = new ConnectionQuota(
      quotaLimitsFor(shares.clientsMax),
      workers === null ? undefined : () => config.clientsMax - workers.clients(),
    )
    this.budgets = new ServerBudgets(shares.serversMax, clock, workers?.newBudget)
    this.pools = new PoolRegistry({
      createPool: (...pool) => this.#createPool(...pool),
      poolsPerTenantMax: config.poolsPerTenantMax,
      poolIdleTimeoutMs: config.poolIdleTimeoutMs,
      isUsedElsewhere: (ref, role) => this.clientCounts.isElsewhere(ref, role),
      onTenantEntered: (ref) => options.tenants.hold(ref),
      onTenantLeft: (ref) => options.tenants.release(ref),
      clock,
    })
    const elsewhere = workers?.cancel ?? options.cancelElsewhere
    this.cancelRequests = new CancelRequests(this.cancelKeys, clock, elsewhere)
    this.#services = {
      ...options,
      holds: this.holds,
      clientCounts: this.clientCounts,
      startupSettings: new StartupSettings(clock, config.serverResetTimeoutMs),
      pools: this.pools,
      cancelKeys: this.cancelKeys,
      cancelRequests: this.cancelRequests,
      refusalLog: new RefusalLog(clock, options.log),
      connections: this.connections,
      ticker: this.#ticker,
      isDraining: () => this.#isRefusing,
    }
    this.#frontDoor = new FrontDoor({
      ...options,
      quota: this.quota,
      isOverMemory: () => this.#isOverMemory,
      onNewcomer: (newcomer, admission) => {
        void new ClientConnection(newcomer, admission, this.#services).run()
      },
    })
    this.#listeners = [this.#listener('transaction'), this.#listener('session')]
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  portOf(mode: ListenerMode): number | null {
    return this.#listeners[mode === 'transaction' ? 0 : 1]?.port ?? null
  }

  /** Throws ListenError; what was opened before it is closed again. */
  async start(): Promise<void> {
    try {
      for (const listener of this.#listeners) await listener.listen()
    } catch (error) {
      this.stopAccepting()
      throw error
    }
    const { config, tenants, clock } = this.#options
    const parts = housekeepingEveryTicks
    const clients = new OverdueClients({ connections: this.connections, tenants, config, parts })
    let ticks = 0
    this.#timer = clock.every(tickMs, () => {
      this.#ticker.nowMs = wholeMs(clock)
      clients.onTick(this.#ticker.nowMs)
      if (++ticks % housekeepingEveryTicks === 0) this.#keepHouse()
    })
  }

  /** Told to load balancers; clients are still taken. */
  announceDraining(): void {
    this.#isDraining = true
  }

  /** Newcomers are told EDRAINING from here on. */
  beginDraining(): void {
    this.#isDraining = true
    this.#isRefusing = true
  }

  stopAccepting(): void {
    for (const listener of this.#listeners) listener.stopAccepting()
  }

  descriptorOf(mode: ListenerMode): number | null {
    return this.#listeners[mode === 'transaction' ? 0 : 1]?.descriptor ?? null
  }

  /** Clients at rest are told; those in a transaction when it is over. */
  endIdleClients(): void {
    for (const connection of this.connections) {
      const relay = connection.session?.relay
      if (relay === undefined || relay === null) connection.end(new PoolerError('EDRAINING'))
      else if (relay.isAtRest) relay.fail(shuttingDown())
    }
  }

  /**
   * Clients that have been at rest for `restMs`, and were at the look before, are told: whoever connects
   * for one query has left by then.
   */
  endRestedClients(restMs: number): void {
    const sinceMs = this.#options.clock.monotonicMs() - restMs
    const rested = new Set<Relay>()
    for (const { session } of this.connections) {
      const relay = session?.relay
      if (relay?.isAtRest !== true || relay.lastActiveMs > sinceMs) continue
      if (this.#rested.has(relay)) relay.fail(shuttingDown())
      else rested.add(relay)
    }
    this.#rested = rested
  }

  /** Pools pause and resume as `holds` says now. */
  applyHolds(): void {
    for (const { key, pool } of this.pools.entries()) {
      if (this.holds.isPaused(key)) pool.pause()
      else pool.resume()
    }
  }

  /** A project that ends: whoever is in it is told, what they run is stopped, its pools are closed. */
  async endClientsOf(tenantRef: string, error: PoolerError): Promise<void> {
    for (const connection of this.connections) {
      if (connection.tenantRef === tenantRef) connection.endAccess(error)
    }
    await this.pools.closeTenant(tenantRef, error)
  }

  endAllClients(error: PoolerError): void {
    for (const connection of this.connections) connection.end(error)
  }

  async stop(): Promise<void> {
    this.stopAccepting()
    this.#timer?.cancel()
    this.endAllClients(new PoolerError('EDRAINING'))
    await this.pools.close(new PoolerError('EDRAINING'))
  }

  /** The auxiliary way to a project's database, as one of its roles. */
  upstreamOf(
    tenant: () => Tenant,
    role: string,
    database: string,
    opening: Opening = { startup: new Map(), secret: null },
  ): Upstream {
    const { config, clock, globalCa, credentials, addresses } = this.#options
    const stored = () => credentials.forServer(tenant(), role)
    const own = opening.secret === null ? null : { password: opening.secret }
    return new Upstream({
      tenant,
      role,
      database,
      startup: opening.startup,
      credentials: () => own ?? stored(),
      isTokenPassed: own !== null,
      // A token may be over when what it opened has to be ended.
      auxiliaryCredentials: () => stored() ?? own,
      serverConnectTimeoutMs: config.serverConnectTimeoutMs,
      serverLoginTimeoutMs: config.serverLoginTimeoutMs,
      globalCa,
      addresses,
      clock,
    })
  }

  /** Once a second. */
  #keepHouse(): void {
    const { config } = this.#options
    this.pools.onTick()
    this.budgets.onTick()
    this.#isOverMemory =
      config.memorySoftLimit > 0 && process.memoryUsage.rss() > config.memorySoftLimit
  }

  #listener(mode: ListenerMode): Listener {
    const { config, log } = this.#options
    const isTransaction = mode === 'transaction'
    return new Listener({
      mode,
      host: config.proxyHost,
      port: isTransaction ? config.proxyPortTransaction : config.proxyPortSession,
      fd: this.#options.inherited[mode] ?? null,
      portSetting: isTransaction ? 'PROXY_PORT_TRANSACTION' : 'PROXY_PORT_SESSION',
      onSocket: (socket) => this.#frontDoor.onSocket(socket, mode),
      onAcceptFault: (error) => log.warn({ err: error }, 'a connection could not be accepted'),
    })
  }

  #createPool(key: PoolKey, opening: Opening, counters: PoolCounters): Pool {
    const { config, clock, log, tenants, workers } = this.#options
    // A project that is gone stays what it was for this pool.
    const first = tenants.peek(key.tenantRef)
    // Deleted while its client logged in.
    if (first === null) throw new PoolerError('ENOTFOUND', { values: { ref: key.tenantRef } })
    let known = first
    let version = tenants.version
    // Asked at each transaction.
    const tenant = (): Tenant => {
      if (version === tenants.version) return known
      version = tenants.version
      known = tenants.peek(key.tenantRef) ?? known
      return known
    }
    const isOwn = key.tokenName !== undefined
    const schema = this.#schemaOf(key)
    const pool = new Pool({
      key,
      upstream: this.upstreamOf(tenant, key.role, key.database, opening),
      limits: poolLimitsOf(key, tenant),
      minSize: () =>
        isOwn || key.mode === 'direct' ? 0 : partOf(minPoolSizeOf(tenant(), key.role), workers),
      times: config,
      budgets: this.budgets.of(key, {
        pool: () => poolSizeOf(tenant(), key.role),
        tenant: () => tenant().maxServerConnections ?? Number.POSITIVE_INFINITY,
      }),
      waitersMax: config.poolWaitersMax,
      // With nobody beside them there is nothing to share.
      peopleShare: isOwn ? 1 : config.jitPoolShare / (workers?.of ?? 1),
      upstreamBackoff: () => this.#backoffOf(tenant()),
      onUpstreamClosing: (address) => this.#leaveUpstream(address, tenant().dbPort),
      openTransport: this.#options.openTransport,
      lane: this.pools.laneOf(key.tenantRef) ?? new Lane(),
      schema,
      counters,
      statements: {
        catalog: new StatementCatalog(this.#statementSecret, schema, clock),
        serverStatementsMax: config.serverPreparedStatementsMax,
        clientStatementsMax: config.clientPreparedStatementsMax,
      },
      clock,
      log: log.child({ tenant: key.tenantRef, role: key.role, mode: key.mode }),
      random: Math.random,
    })
    if (this.holds.isPaused(key)) pool.pause()
    return pool
  }

  #schemaOf({ tenantRef, database }: PoolKey): SchemaVersion {
    const { workers } = this.#options
    const known = this.pools.schemaOf(tenantRef, database)
    return known ?? new SchemaVersion(() => workers?.onSchemaChanged(tenantRef, database))
  }

  /** It is one Postgres to all projects that it is an upstream of. */
  #leaveUpstream(address: string, port: number): void {
    for (const { key, pool } of this.pools.entries()) {
      if (this.#options.tenants.peek(key.tenantRef)?.dbPort === port) pool.leaveAddress(address)
    }
  }

  #backoffOf({ dbHost, dbPort }: Tenant): ConnectBackoff {
    const upstream = `${dbHost}:${dbPort}`
    const known = this.#backoffs.get(upstream)
    if (known !== undefined) return known
    if (this.#backoffs.size >= upstreamsMax) this.#backoffs.clear()
    const backoff = new ConnectBackoff(this.#options.clock)
    this.#backoffs.set(upstream, backoff)
    return backoff
  }
}

/** V8 keeps whole numbers in the objects that copy them at each transaction, and others beside them. */
const wholeMs = (clock: Clock): number => Math.floor(clock.monotonicMs())

const shuttingDown = (): PoolerError =>
  new PoolerError('ETERMINATED', { values: { reason: 'the pooler is shutting down' } })

/** This worker's part of what all have together; the parts add up. */
function partOf(whole: number, workers: OtherWorkers | null): number {
  if (workers === null) return whole
  return Math.floor((whole + workers.of - 1 - workers.slot) / workers.of)
}
