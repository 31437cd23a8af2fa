// SHOW of what is going on: pools, clients, servers, figures. Columns that PgBouncer has bear its names
// and come first; `database` is the project's ref there, since that is what its users connect to.
import { columnsOf } from './admin-answer.ts'
import { momentText, type ShowTable } from './show-table.ts'
import { noRates, type StatsRow, sumByTenant } from './stats-rates.ts'

const microseconds = (ms: number): number => Math.round(ms * 1000)

export const trafficTables: Readonly<Record<string, ShowTable>> = {
  pools: {
    help: 'clients and servers of each pool by state, and the oldest wait',
    columns: columnsOf(
      'database user cl_active:int4 cl_waiting:int4 cl_active_cancel_req:int4 ' +
        'cl_waiting_cancel_req:int4 sv_active:int4 sv_active_cancel:int4 sv_being_canceled:int4 ' +
        'sv_idle:int4 sv_used:int4 sv_tested:int4 sv_login:int4 maxwait:int4 maxwait_us:int4 ' +
        'pool_mode db_name pool_size:int4 backoff_ms:int4 paused',
    ),
    needs: ['pools'],
    rows: ({ pools }) =>
      pools.map((pool) => [
        pool.tenantRef,
        pool.role,
        pool.clientsActive,
        pool.clientsWaiting,
        0,
        0,
        pool.serversActive,
        0,
        pool.serversBeingCanceled,
        pool.serversIdle,
        0,
        pool.serversWorking,
        pool.serversLogin,
        Math.floor(pool.oldestWaiterMs / 1000),
        microseconds(pool.oldestWaiterMs % 1000),
        pool.mode,
        pool.database,
        pool.size,
        Math.round(pool.backoffMs),
        pool.isPaused ? 'yes' : 'no',
      ]),
  },
  clients: {
    help: 'each client, from the moment it connects',
    columns: columnsOf(
      'type user database state addr port:int4 connect_time request_time link:int8 tls ' +
        'application_name id:int8 db_name pool_mode person pinned_by worker:int4',
    ),
    needs: ['clients'],
    rows: ({ clients }) =>
      clients.map((client) => [
        'C',
        client.role,
        client.tenantRef,
        client.state,
        client.address,
        client.port,
        momentText(client.connectedAtMs),
        momentText(client.lastActiveAtMs),
        client.serverId,
        client.isTls ? 'yes' : 'no',
        client.applicationName,
        client.id,
        client.database,
        client.mode,
        client.person,
        client.pinnedBy,
        client.worker,
      ]),
  },
  servers: {
    help: 'each connection to a database',
    columns: columnsOf(
      'type user database state addr port:int4 connect_time close_needed:int4 link:int8 ' +
        'remote_pid:int4 prepared_statements:int4 id:int8 db_name pool_mode worker:int4',
    ),
    needs: ['servers'],
    rows: ({ servers }) =>
      servers.map((server) => [
        'S',
        server.role,
        server.tenantRef,
        server.state,
        server.address,
        server.port,
        momentText(server.openedAtMs),
        server.isClosing ? 1 : 0,
        server.clientId,
        server.processId,
        server.preparedStatements,
        server.id,
        server.database,
        server.mode,
        server.worker,
      ]),
  },
  pins: {
    help: 'clients in transaction mode that keep their server, and why',
    columns: columnsOf(
      'client_id:int8 user database db_name addr pinned_by server_id:int8 worker:int4',
    ),
    needs: ['clients'],
    rows: ({ clients }) =>
      clients
        .filter(({ pinnedBy }) => pinnedBy !== null)
        .map((client) => [
          client.id,
          client.role,
          client.tenantRef,
          client.database,
          client.address,
          client.pinnedBy,
          client.serverId,
          client.worker,
        ]),
  },
  stats: {
    help: 'figures of each project since its pools were made, and averages of the last minute',
    columns: columnsOf(
      'database total_xact_count:int8 total_query_count:int8 total_received:int8 total_sent:int8 ' +
        'total_wait_time:int8 total_server_assignment_count:int8 avg_xact_count:int8 ' +
        'avg_query_count:int8 avg_recv:int8 avg_sent:int8 avg_wait_time:int8',
    ),
    needs: ['totals', 'rates'],
    rows: ({ totals, rates }) => {
      const averages = averagesIn(rates)
      return sumByTenant(totals).map((row) => [
        row.tenantRef,
        row.transactions,
        row.queries,
        row.bytesFromClients,
        row.bytesToClients,
        microseconds(row.waitMs),
        row.checkouts,
        ...averages(row.tenantRef),
      ])
    },
  },
  stats_averages: {
    help: 'averages of the last minute, per second; of waits, per transaction, in microseconds',
    columns: columnsOf(
      'database xact_count:int8 query_count:int8 bytes_received:int8 bytes_sent:int8 wait_time:int8',
    ),
    needs: ['totals', 'rates'],
    rows: ({ totals, rates }) => {
      const averages = averagesIn(rates)
      return sumByTenant(totals).map(({ tenantRef }) => [tenantRef, ...averages(tenantRef)])
    },
  },
}

function averagesIn(rates: readonly StatsRow[]): (tenantRef: string) => number[] {
  const byTenant = new Map(rates.map((row) => [row.tenantRef, row]))
  return (tenantRef) => {
    const row = byTenant.get(tenantRef) ?? noRates
    return [
      row.transactions,
      row.queries,
      row.bytesFromClients,
      row.bytesToClients,
      microseconds(row.waitMs),
    ]
  }
}
