// What the metrics ask of the rest of the process at scrape time. Numbers by state are the sizes of
// the sets that hold them, counters are the live objects themselves.
import type { DecisionTimes, PoolCounters, ProcessCounters, TenantCounters } from './counters.ts'

/** Of all pools that one set of labels stands for. */
export interface PoolSnapshot {
  readonly tenantRef: string
  /** Role and database of a login that succeeded. */
  readonly role: string
  readonly database: string
  readonly mode: 'transaction' | 'session' | 'direct'
  /** Every state of the table, also with 0, so that a series does not end where a state empties. */
  readonly clientsByState: Readonly<Record<string, number>>
  readonly serversByState: Readonly<Record<string, number>>
  /** Clients that keep their server beyond a transaction; every reason, also with 0. */
  readonly pinnedByReason: Readonly<Record<string, number>>
  /** pool_size, of all of them together. */
  readonly serversMax: number
  readonly waiters: number
  /** How long the waiter that came first has waited; 0 without waiters. */
  readonly oldestWaiterMs: number
  /** Present wait before the upstream is dialled again; 0 when it is well. */
  readonly backoffMs: number
  /** Clients whose channels are on the shared connection, the channels, and whether it is open. */
  readonly listeningClients: number
  readonly listenedChannels: number
  readonly listeningConnections: number
  readonly counters: PoolCounters
}

export interface TenantSnapshot {
  /** Of a project that exists: a ref that was merely asked for is a client's word. */
  readonly tenantRef: string
  readonly counters: TenantCounters
}

/** Of a project with `max_server_connections`. */
export interface BudgetSnapshot {
  readonly tenantRef: string
  readonly limit: number
  readonly used: number
  readonly wanted: number
}

export interface MetricsSnapshot extends ControlSnapshot {
  readonly pools: Iterable<PoolSnapshot>
  readonly budgets: Iterable<BudgetSnapshot>
  readonly tenants: Iterable<TenantSnapshot>
  readonly counters: ProcessCounters
  /** Sockets that have not logged in yet. */
  readonly connectionsBeforeLogin: number
  readonly isDraining: boolean
}

/** What the control plane has of it. */
export interface ControlSnapshot {
  readonly tokenDecisions: DecisionTimes
  /** Sessions of people. */
  readonly liveSessions: number
  /** Stored secrets by what they are and the key that they lie under; null: not counted yet. */
  readonly sealed: Readonly<Record<string, Readonly<Record<string, number>>>> | null
}
