// SHOW of what there is: projects, roles, settings, memory, version.
import { columnsOf } from './admin-answer.ts'
import { momentText, type ShowTable } from './show-table.ts'

const yesNo = (is: boolean): string => (is ? 'yes' : 'no')

export const setupTables: Readonly<Record<string, ShowTable>> = {
  tenants: {
    help: 'projects that are known: those with clients since the start',
    columns: columnsOf(
      'ref name parent host port:int4 database pool_size:int4 max_clients:int4 clients:int4 ' +
        'servers:int4 temporary_access banned paused disabled',
    ),
    needs: ['tenants'],
    rows: ({ tenants }) =>
      tenants.map((tenant) => [
        tenant.ref,
        tenant.name,
        tenant.parentRef,
        tenant.host,
        tenant.port,
        tenant.database,
        tenant.poolSize,
        tenant.maxClients,
        tenant.clients,
        tenant.servers,
        yesNo(tenant.hasTemporaryAccess),
        yesNo(tenant.isBanned),
        yesNo(tenant.isPaused),
        yesNo(tenant.isDisabled),
      ]),
  },
  databases: {
    help: 'the same projects as PgBouncer lists its databases',
    columns: columnsOf(
      'name host port:int4 database force_user pool_size:int4 pool_mode max_connections:int4 ' +
        'current_connections:int4 paused:int4 disabled:int4',
    ),
    needs: ['tenants'],
    rows: ({ tenants }) =>
      tenants.map((tenant) => [
        tenant.ref,
        tenant.host,
        tenant.port,
        tenant.database,
        null,
        tenant.poolSize,
        null,
        tenant.maxClients,
        tenant.servers,
        tenant.isPaused ? 1 : 0,
        tenant.isDisabled ? 1 : 0,
      ]),
  },
  users: {
    help: 'roles with limits of their own',
    columns: columnsOf(
      'name database pool_size:int4 max_user_connections:int4 current_connections:int4',
    ),
    needs: ['tenants'],
    rows: ({ tenants }) =>
      tenants.flatMap((tenant) =>
        tenant.roles.map((one) => [
          one.role,
          tenant.ref,
          one.poolSize,
          one.maxClients,
          one.clients,
        ]),
      ),
  },
  config: {
    help: 'settings as they are in force; they change with a restart',
    columns: columnsOf('key value default changeable'),
    needs: [],
    rows: (_facts, view) =>
      view.settings().map(({ name, value, fallback }) => [name, value, fallback, 'no']),
  },
  lists: {
    help: 'how many there are of everything',
    columns: columnsOf('list items:int4'),
    needs: ['tenants', 'pools', 'clients', 'servers', 'processes'],
    rows: ({ tenants, pools, clients, servers, processes }) => {
      const used = servers.filter(({ state }) => state !== 'idle').length
      return [
        ['databases', tenants.length],
        ['users', tenants.reduce((sum, { roles }) => sum + roles.length, 0)],
        ['pools', pools.length],
        ['used_clients', clients.length],
        ['login_clients', processes.reduce((sum, one) => sum + one.clientsBeforeLogin, 0)],
        ['free_servers', servers.length - used],
        ['used_servers', used],
      ]
    },
  },
  mem: {
    help: 'memory of each worker in bytes',
    columns: columnsOf('name memtotal:int8 worker:int4'),
    needs: ['processes'],
    rows: ({ processes }) =>
      processes.flatMap(({ memory, worker }) =>
        Object.entries(memory).map(([name, bytes]) => [name, bytes, worker]),
      ),
  },
  state: {
    help: 'whether it is active, paused or draining',
    columns: columnsOf('key value'),
    needs: ['processes'],
    rows: ({ processes }) => {
      const isPaused = processes.some((one) => one.isPaused)
      const isDraining = processes.some((one) => one.isDraining)
      return [
        ['active', yesNo(!isDraining && !isPaused)],
        ['paused', yesNo(isPaused)],
        ['draining', yesNo(isDraining)],
      ]
    },
  },
  workers: {
    help: 'the processes that serve clients, what they hold, and since when they run',
    columns: columnsOf(
      'worker:int4 pid:int4 clients:int4 servers:int4 memory:int8 start_time state',
    ),
    needs: ['processes', 'clients', 'servers'],
    rows: ({ processes, clients, servers }) =>
      processes.map(({ worker, pid, memory, startedAtMs, isDraining }) => [
        worker,
        pid,
        clients.filter((client) => client.worker === worker).length,
        servers.filter((server) => server.worker === worker).length,
        memory.rss ?? null,
        momentText(startedAtMs),
        isDraining ? 'draining' : 'active',
      ]),
  },
  version: {
    help: 'the version of Latchkey',
    columns: columnsOf('version'),
    needs: [],
    rows: (_facts, view) => [[`Latchkey ${view.version}`]],
  },
}
