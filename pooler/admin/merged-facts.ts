// The facts of several workers as one: rows that tell of the same thing are summed, rows of a
// connection or a process say whose they are.
import { poolKeyText } from '../pool/pool-key.ts'
import type { AdminFacts, AllFacts, OfWorker, PoolRow, TenantRow } from './admin-view.ts'
import { type StatsRow, sumRates } from './stats-rates.ts'

export interface WorkerFacts {
  /** Its place among the workers. */
  readonly worker: number
  readonly facts: AdminFacts
}

export function mergeFacts(parts: readonly WorkerFacts[]): AllFacts {
  const all = <Name extends keyof AdminFacts>(name: Name): AdminFacts[Name][number][] =>
    parts.flatMap(({ facts }) => [...facts[name]])
  const named = <Row>(rowsOf: (facts: AdminFacts) => readonly Row[]): OfWorker<Row>[] =>
    parts.flatMap(({ facts, worker }) => rowsOf(facts).map((row) => ({ ...row, worker })))
  return {
    pools: mergeBy(all('pools'), poolIdentity, addPools),
    clients: named(({ clients }) => clients),
    servers: named(({ servers }) => servers),
    totals: all('totals'),
    rates: mergeBy<StatsRow>(all('rates'), ({ tenantRef }) => tenantRef, sumRates),
    tenants: mergeBy(all('tenants'), ({ ref }) => ref, addTenants),
    processes: named(({ processes }) => processes),
  }
}

/** In the order in which they first came; `identity` null: a thing of its own. */
function mergeBy<Row>(
  rows: readonly Row[],
  identity: (row: Row) => string | null,
  add: (one: Row, other: Row) => Row,
): Row[] {
  const merged = new Map<string | Row, Row>()
  for (const row of rows) {
    const key = identity(row) ?? row
    const before = merged.get(key)
    merged.set(key, before === undefined ? row : add(before, row))
  }
  return [...merged.values()]
}

/** A direct pool is one client's. */
const poolIdentity = (row: PoolRow): string | null =>
  row.mode === 'direct' ? null : poolKeyText(row)

const addPools = (one: PoolRow, other: PoolRow): PoolRow => ({
  ...one,
  clientsActive: one.clientsActive + other.clientsActive,
  clientsWaiting: one.clientsWaiting + other.clientsWaiting,
  serversActive: one.serversActive + other.serversActive,
  serversIdle: one.serversIdle + other.serversIdle,
  serversWorking: one.serversWorking + other.serversWorking,
  serversBeingCanceled: one.serversBeingCanceled + other.serversBeingCanceled,
  serversLogin: one.serversLogin + other.serversLogin,
  // The limit is one over all of them.
  size: Math.max(one.size, other.size),
  oldestWaiterMs: Math.max(one.oldestWaiterMs, other.oldestWaiterMs),
  backoffMs: Math.max(one.backoffMs, other.backoffMs),
  isPaused: one.isPaused || other.isPaused,
})

const addTenants = (one: TenantRow, other: TenantRow): TenantRow => {
  const clientsOf = (role: string): number =>
    other.roles.find((each) => each.role === role)?.clients ?? 0
  return {
    ...one,
    clients: one.clients + other.clients,
    servers: one.servers + other.servers,
    isDisabled: one.isDisabled || other.isDisabled,
    isPaused: one.isPaused || other.isPaused,
    roles: one.roles.map((each) => ({ ...each, clients: each.clients + clientsOf(each.role) })),
  }
}
