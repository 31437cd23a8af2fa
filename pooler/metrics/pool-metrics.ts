// Names, help texts and labels of what pools and projects count. Labels are bounded: tenant, role,
// mode and database of pools that exist, and names from unions of ours; never a person or address.

import { pinReasons } from '../relay/pin-reasons.ts'
import type { PoolCounters } from './counters.ts'
import { histogramSamples, type Labels, type Metric, type Sample } from './metric.ts'
import type { BudgetSnapshot, PoolSnapshot, TenantSnapshot } from './snapshot.ts'
import type { Tally } from './tally.ts'

export function poolMetrics(pools: readonly PoolSnapshot[]): Metric[] {
  const { gauge, counter } = metricsOf(pools)
  return [
    perPool('gauge', 'pooler_clients', 'Clients after login, by state.', pools, (pool, labels) =>
      byKey(pool.clientsByState, 'state', labels),
    ),
    perPool('gauge', 'pooler_servers', 'Server connections, by state.', pools, (pool, labels) =>
      byKey(pool.serversByState, 'state', labels),
    ),
    gauge(
      'pooler_servers_max',
      'Server connections that the pool may open.',
      (pool) => pool.serversMax,
    ),
    gauge('pooler_waiters', 'Clients that wait for a server.', (pool) => pool.waiters),
    gauge(
      'pooler_oldest_waiter_seconds',
      'How long the client that came first has waited for a server.',
      (pool) => pool.oldestWaiterMs / 1000,
    ),
    gauge(
      'pooler_backoff_seconds',
      'Wait before the upstream is dialled again; 0 when it is well.',
      (pool) => pool.backoffMs / 1000,
    ),
    perPool(
      'histogram',
      'pooler_checkout_seconds',
      'From asking for a server to having one.',
      pools,
      ({ counters }, labels) =>
        histogramSamples('pooler_checkout_seconds', labels, counters.checkouts),
    ),
    counter('pooler_transactions_total', 'Transactions served.', (it) => it.transactions),
    counter('pooler_queries_total', 'Queries served.', (it) => it.queries),
    counter(
      'pooler_client_received_bytes_total',
      'Bytes received from clients after login.',
      (it) => it.bytesFromClients,
    ),
    counter(
      'pooler_client_sent_bytes_total',
      'Bytes sent to clients after login.',
      (it) => it.bytesToClients,
    ),
    counter('pooler_servers_opened_total', 'Server connections opened.', (it) => it.serversOpened),
    counter(
      'pooler_server_open_failures_total',
      'Server connections that could not be opened.',
      (it) => it.serverOpenFailures,
    ),
    perPool(
      'counter',
      'pooler_servers_closed_total',
      'Server connections closed, by reason.',
      pools,
      ({ counters }, labels) => byName(counters.serversClosedByReason, 'reason', labels),
    ),
    ...sessionMetrics(pools),
    ...listeningMetrics(pools),
  ]
}

/** Of what clients in transaction mode leave on servers. */
function sessionMetrics(pools: readonly PoolSnapshot[]): Metric[] {
  const { counter } = metricsOf(pools)
  return [
    perPool(
      'gauge',
      'pooler_pinned_clients',
      'Clients that keep their server beyond a transaction, by reason.',
      pools,
      (pool, labels) => byKey(pool.pinnedByReason, 'reason', labels),
    ),
    perPool(
      'counter',
      'pooler_pins_total',
      'Servers that stayed with their client when its transaction was over, by reason.',
      pools,
      ({ counters }, labels) => {
        const counts = pinReasons.map((reason) => [reason, counters.pins.of(reason)])
        return byKey(Object.fromEntries(counts), 'reason', labels)
      },
    ),
    counter(
      'pooler_prepared_statement_hits_total',
      'Uses of named statements that the server had.',
      (it) => it.statementHits,
    ),
    counter(
      'pooler_prepared_statement_misses_total',
      'Uses of named statements that the server had to be sent.',
      (it) => it.statementMisses,
    ),
    counter(
      'pooler_prepared_statement_evictions_total',
      'Named statements closed on a server because it had too many.',
      (it) => it.statementEvictions,
    ),
    counter(
      'pooler_prepared_statement_repairs_total',
      'Batches run again because a table had changed under a named statement.',
      (it) => it.statementRepairs,
    ),
  ]
}

/** Of clients that listen in transaction mode. */
function listeningMetrics(pools: readonly PoolSnapshot[]): Metric[] {
  const { gauge, counter } = metricsOf(pools)
  return [
    gauge(
      'pooler_listening_clients',
      'Clients in transaction mode that listen over the shared connection.',
      (pool) => pool.listeningClients,
    ),
    gauge(
      'pooler_listened_channels',
      'Channels that the shared connection listens to.',
      (pool) => pool.listenedChannels,
    ),
    gauge(
      'pooler_listening_connections',
      'Shared connections that listen, beside the servers of the pool.',
      (pool) => pool.listeningConnections,
    ),
    counter(
      'pooler_notifications_total',
      'Notifications told to clients in transaction mode.',
      (it) => it.notifications,
    ),
  ]
}

/** One value for each pool. */
function metricsOf(pools: readonly PoolSnapshot[]) {
  return {
    gauge: (name: string, help: string, read: (pool: PoolSnapshot) => number): Metric =>
      perPool('gauge', name, help, pools, (pool, labels) => [{ labels, value: read(pool) }]),
    counter: (name: string, help: string, read: (counters: PoolCounters) => number): Metric =>
      perPool('counter', name, help, pools, ({ counters }, labels) => [
        { labels, value: read(counters) },
      ]),
  }
}

/** Of projects that bound their servers over all pools. */
export function budgetMetrics(budgets: readonly BudgetSnapshot[]): Metric[] {
  const gauge = (name: string, help: string, read: (it: BudgetSnapshot) => number): Metric => ({
    type: 'gauge',
    name,
    help,
    *samples() {
      for (const it of budgets) yield { labels: { tenant: it.tenantRef }, value: read(it) }
    },
  })
  return [
    gauge(
      'pooler_tenant_servers_max',
      'Server connections that all pools of a project may have together, where that is bounded.',
      (it) => it.limit,
    ),
    gauge(
      'pooler_tenant_servers',
      'Server connections of such a project, as Postgres counts them.',
      (it) => it.used,
    ),
    gauge(
      'pooler_tenant_servers_wanted',
      'Further server connections that pools of such a project want and have no room for.',
      (it) => it.wanted,
    ),
  ]
}

export function tenantMetrics(tenants: readonly TenantSnapshot[]): Metric[] {
  const perTenant = (
    name: string,
    help: string,
    label: string,
    tallyOf: (tenant: TenantSnapshot) => Tally,
  ): Metric => ({
    type: 'counter',
    name,
    help,
    *samples() {
      for (const tenant of tenants) {
        yield* byName(tallyOf(tenant), label, { tenant: tenant.tenantRef })
      }
    },
  })
  return [
    perTenant(
      'pooler_errors_total',
      'Errors told to clients, by code.',
      'code',
      (tenant) => tenant.counters.errors,
    ),
    perTenant(
      'pooler_refusals_total',
      'Logins refused, by reason.',
      'reason',
      (tenant) => tenant.counters.refusals,
    ),
    perTenant(
      'pooler_clients_left_total',
      'Clients that left after login, by how their connection ended.',
      'reason',
      (tenant) => tenant.counters.clientsLeft,
    ),
    perTenant(
      'pooler_access_ended_total',
      'Sessions of people ended because their access was, by reason.',
      'reason',
      (tenant) => tenant.counters.accessEnds,
    ),
  ]
}

function perPool(
  type: Metric['type'],
  name: string,
  help: string,
  pools: readonly PoolSnapshot[],
  samplesOf: (pool: PoolSnapshot, labels: Labels) => Iterable<Sample>,
): Metric {
  return {
    type,
    name,
    help,
    *samples() {
      for (const pool of pools) {
        const { tenantRef: tenant, role, mode, database } = pool
        yield* samplesOf(pool, { tenant, role, mode, database })
      }
    },
  }
}

function* byKey(
  counts: Readonly<Record<string, number>>,
  label: string,
  labels: Labels,
): Iterable<Sample> {
  for (const [key, value] of Object.entries(counts)) {
    yield { labels: { ...labels, [label]: key }, value }
  }
}

function* byName(tally: Tally, label: string, labels: Labels): Iterable<Sample> {
  for (const [name, value] of tally.entries()) yield { labels: { ...labels, [label]: name }, value }
}
