// Gives the console the registries of a running process as plain rows.
import type { Clock, Timer } from '../shared/clock.ts'
import type {
  AdminFacts,
  ClientRow,
  FactName,
  PoolRow,
  PoolTotals,
  ProcessRow,
  ServerRow,
  TenantRow,
} from './admin/admin-view.ts'
import { StatsRates, statsPeriodMs } from './admin/stats-rates.ts'
import type { ClientConnection } from './client/client-connection.ts'
import type { ClientSession } from './client/client-session.ts'
import type { DataPlane } from './data-plane.ts'
import type { PoolGroup } from './pool/pool-groups.ts'
import type { PoolEntry } from './pool/pool-registry.ts'
import type { ServerConnection } from './pool/server-connection.ts'
import { isBanned, type Tenant } from './tenant/tenant.ts'
import type { TenantCache } from './tenant/tenant-cache.ts'

export interface AdminFactsParts {
  readonly data: DataPlane
  readonly tenants: Pick<TenantCache, 'entries' | 'peek'>
  readonly clock: Clock
}

/** The facts of this process. */
export class FactsHere {
  readonly #read: { readonly [Name in FactName]: () => AdminFacts[Name] }
  readonly #sampling: Timer

  constructor({ data, tenants, clock }: AdminFactsParts) {
    const startedAtMs = clock.wallMs()
    const wallOf = (monotonicMs: number): number =>
      clock.wallMs() - (clock.monotonicMs() - monotonicMs)
    const totals = () => [...data.pools.groups.all()].map(totalsOf)
    const rates = new StatsRates(totals, clock.monotonicMs())
    this.#sampling = clock.every(statsPeriodMs, () => rates.sample(clock.monotonicMs()))
    this.#read = {
      pools: () => [...data.pools.entries()].map((entry) => poolRowOf(entry, data)),
      clients: () => inOrder(data.connections).map((one) => clientRowOf(one, wallOf)),
      servers: () =>
        [...data.pools.entries()].flatMap((entry) => {
          const holders = holdersOf(entry)
          const port = tenants.peek(entry.key.tenantRef)?.dbPort ?? 0
          return [...entry.pool.servers].map((server) => ({
            ...serverRowOf(entry, server, wallOf),
            port,
            clientId: holders.get(server) ?? null,
          }))
        }),
      totals,
      rates: () => rates.all,
      tenants: () => [...tenants.entries()].map((tenant) => tenantRowOf(tenant, data, clock)),
      processes: () => [processRowOf(data, startedAtMs)],
    }
  }

  /** Facts that are not asked for are empty. */
  read(names: readonly FactName[]): AdminFacts {
    const asked = new Set(names)
    const read = Object.entries(this.#read).map(([name, rows]) => [
      name,
      asked.has(name as FactName) ? rows() : [],
    ])
    return Object.fromEntries(read) as AdminFacts
  }

  /** Averages are taken no more. */
  close(): void {
    this.#sampling.cancel()
  }
}

function processRowOf(data: DataPlane, startedAtMs: number): ProcessRow {
  return {
    pid: process.pid,
    startedAtMs,
    memory: { ...process.memoryUsage() },
    isDraining: data.isDraining,
    isPaused: data.holds.paused.some(({ tenantRef }) => tenantRef === null),
    clientsBeforeLogin: data.quota.beforeLoginCount,
  }
}

function poolRowOf({ key, pool, clients }: PoolEntry, data: DataPlane): PoolRow {
  const states = new Map<string, number>()
  for (const { state } of pool.servers) states.set(state, (states.get(state) ?? 0) + 1)
  const of = (state: string): number => states.get(state) ?? 0
  return {
    ...key,
    clientsActive: clients.size - pool.waiters,
    clientsWaiting: pool.waiters,
    serversActive: of('joined'),
    serversIdle: of('idle'),
    serversWorking: of('working'),
    serversBeingCanceled: of('settling'),
    serversLogin: Math.max(0, pool.slots - pool.servers.size),
    size: pool.size,
    oldestWaiterMs: pool.oldestWaiterMs,
    backoffMs: pool.backoffMs,
    isPaused: data.holds.isPaused(key),
  }
}

/** As they came. */
const inOrder = (connections: Iterable<ClientConnection>): ClientConnection[] =>
  [...connections].sort((one, other) => one.id - other.id)

type WallOf = (monotonicMs: number) => number

function clientRowOf(connection: ClientConnection, wallOf: WallOf): ClientRow {
  const { session } = connection
  const relay = session?.relay ?? null
  const server = (relay?.server ?? null) as ServerConnection | null
  return {
    id: connection.id,
    tenantRef: session?.key.tenantRef ?? connection.tenantRef,
    role: session?.key.role ?? connection.operator,
    database: session?.key.database ?? null,
    mode: session?.key.mode ?? connection.mode,
    state: connection.operator === null ? (session?.state ?? 'connecting') : 'console',
    address: connection.address,
    port: connection.port,
    isTls: connection.isTls,
    applicationName: session?.login.request.settings.get('application_name') ?? '',
    connectedAtMs: wallOf(connection.startedMs),
    lastActiveAtMs: relay === null ? null : wallOf(relay.lastActiveMs),
    person: relay?.person ?? null,
    serverId: server?.id ?? null,
    pinnedBy: relay?.session.pinnedBy ?? null,
  }
}

/** Who holds which server of the pool. */
function holdersOf({ clients }: PoolEntry): ReadonlyMap<unknown, number> {
  const holders = new Map<unknown, number>()
  for (const client of clients as Iterable<ClientSession>) {
    const relay = client.relay
    if (relay?.server != null) holders.set(relay.server, relay.clientId)
  }
  return holders
}

function serverRowOf(
  { key }: PoolEntry,
  server: ServerConnection,
  wallOf: WallOf,
): Omit<ServerRow, 'port' | 'clientId'> {
  return {
    ...key,
    id: server.id,
    state: server.state,
    address: server.address,
    processId: server.processId,
    openedAtMs: wallOf(server.openedAtMs),
    isClosing: server.isRetired,
    preparedStatements: server.statements.size,
  }
}

function totalsOf({ key, counters }: PoolGroup): PoolTotals {
  const { transactions, queries, bytesFromClients, bytesToClients, checkouts } = counters
  return {
    ...key,
    transactions,
    queries,
    bytesFromClients,
    bytesToClients,
    waitMs: checkouts.sumSeconds * 1000,
    checkouts: checkouts.counts.reduce((sum, count) => sum + count, 0),
  }
}

function tenantRowOf(tenant: Tenant, data: DataPlane, clock: Clock): TenantRow {
  const { ref } = tenant
  const servers = [...data.pools.entriesOf(ref)].reduce((sum, { pool }) => sum + pool.slots, 0)
  const counts = data.clientCounts
  return {
    ref,
    name: tenant.name,
    parentRef: tenant.parentRef,
    host: tenant.dbHost,
    port: tenant.dbPort,
    database: tenant.dbDatabase,
    poolSize: tenant.defaultPoolSize,
    maxClients: tenant.defaultMaxClients,
    clients: counts.of(ref),
    servers,
    hasTemporaryAccess: tenant.useJit,
    isBanned: isBanned(tenant, clock.wallMs()),
    isDisabled: data.holds.isDisabled(ref),
    isPaused: data.holds.isPaused({ tenantRef: ref, role: '', database: '' }),
    roles: [...tenant.roles.values()].map((one) => ({
      role: one.role,
      poolSize: one.poolSize,
      maxClients: one.maxClients ?? tenant.defaultMaxClients,
      clients: counts.ofRole(ref, one.role),
    })),
  }
}
