import type { ClientSession } from './client/client-session.ts'
import type { DataPlane } from './data-plane.ts'
import type { CounterBook } from './metrics/counter-book.ts'
import type {
  ControlSnapshot,
  MetricsSnapshot,
  PoolSnapshot,
  TenantSnapshot,
} from './metrics/snapshot.ts'
import type { Pool } from './pool/pool.ts'
import type { PoolGroup } from './pool/pool-groups.ts'
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
    pools: [...data.pools.groups.all()].map(poolSnapshotOf),
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

function poolSnapshotOf({ key, entries, counters }: PoolGroup): PoolSnapshot {
  const pools = [...entries].map(({ pool }) => pool)
  const clients = [...entries].flatMap((entry) => [
    ...(entry.clients as ReadonlySet<ClientSession>),
  ])
  const sum = (of: (pool: Pool) => number): number =>
    pools.reduce((total, pool) => total + of(pool), 0)
  const greatest = (of: (pool: Pool) => number): number =>
    pools.reduce((most, pool) => Math.max(most, of(pool)), 0)
  return {
    ...key,
    clientsByState: countStates(clientStates, clients),
    serversByState: countStates(
      serverStates,
      pools.flatMap(({ servers }) => [...servers]),
    ),
    pinnedByReason: countPins(clients),
    serversMax: sum(({ size }) => size),
    waiters: sum(({ waiters }) => waiters),
    oldestWaiterMs: greatest(({ oldestWaiterMs }) => oldestWaiterMs),
    backoffMs: greatest(({ backoffMs }) => backoffMs),
    listeningClients: sum(({ hub }) => hub.clients),
    listenedChannels: sum(({ hub }) => hub.channels),
    listeningConnections: sum(({ hub }) => (hub.isConnected ? 1 : 0)),
    counters,
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
