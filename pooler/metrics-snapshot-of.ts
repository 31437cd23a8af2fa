import type { ClientSession } from './client/client-session.ts'
import type { DataPlane } from './data-plane.ts'
import type { CounterBook } from './metrics/counter-book.ts'
import type {
  ControlSnapshot,
  MetricsSnapshot,
  PoolSnapshot,
  TenantSnapshot,
} from './metrics/snapshot.ts'
import type { PoolEntry } from './pool/pool-registry.ts'
import { serverMoves } from './pool/server-state.ts'
import { clientMoves } from './relay/client-state.ts'
import { pinReasons } from './relay/pin-reasons.ts'

const clientStates = ['login', ...Object.keys(clientMoves)]
const serverStates = Object.keys(serverMoves)

/** What the metrics show of this moment: sizes of live sets, and the live counters themselves. */
export function metricsSnapshotOf(
  data: DataPlane,
  counters: CounterBook,
  control: ControlSnapshot,
): MetricsSnapshot {
  return {
    pools: [...data.pools.entries()].map(poolSnapshotOf),
    budgets: [...data.budgets.tenants()].filter(({ limit }) => Number.isFinite(limit)),
    tenants: [...counters.entries()].map(
      ([tenantRef, one]): TenantSnapshot => ({ tenantRef, counters: one }),
    ),
    counters: counters.process,
    connectionsBeforeLogin: data.quota.beforeLoginCount,
    isDraining: data.isDraining,
    ...control,
  }
}

function poolSnapshotOf({ key, pool, clients }: PoolEntry): PoolSnapshot {
  return {
    ...key,
    clientsByState: countStates(clientStates, clients),
    serversByState: countStates(serverStates, pool.servers),
    pinnedByReason: countPins(clients as ReadonlySet<ClientSession>),
    serversMax: pool.size,
    waiters: pool.waiters,
    oldestWaiterMs: pool.oldestWaiterMs,
    backoffMs: pool.backoffMs,
    listeningClients: pool.hub.clients,
    listenedChannels: pool.hub.channels,
    listeningConnections: pool.hub.isConnected ? 1 : 0,
    counters: pool.counters,
  }
}

function countPins(clients: Iterable<ClientSession>): Readonly<Record<string, number>> {
  const counts = Object.fromEntries(pinReasons.map((reason) => [reason, 0]))
  for (const { relay } of clients) {
    const reason = relay === null || relay.server === null ? null : relay.session.pinnedBy
    if (reason !== null) counts[reason] = (counts[reason] ?? 0) + 1
  }
  return counts
}

function countStates(
  states: readonly string[],
  members: Iterable<{ readonly state: string }>,
): Readonly<Record<string, number>> {
  const counts = Object.fromEntries(states.map((state) => [state, 0]))
  for (const { state } of members) counts[state] = (counts[state] ?? 0) + 1
  return counts
}
