// SHOW of what there is: projects, roles, settings, memory, version.
import { columnsOf } from './admin-answer.ts'
import type { ShowTable } from './show-table.ts'

const yesNo = (is: boolean): string => (is ? 'yes' : 'no')

export const setupTables: Readonly<Record<string, ShowTable>> = {
  tenants: {
    help: 'projects that this process knows: those with clients since its start',
    columns: columnsOf(
      'ref name parent host port:int4 database pool_size:int4 max_clients:int4 clients:int4 ' +
        'servers:int4 temporary_access banned paused disabled',
    ),
    rows: (view) =>
      view
        .tenants()
        .map((tenant) => [
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
    rows: (view) =>
      view
        .tenants()
        .map((tenant) => [
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
    rows: (view) =>
      view
        .tenants()
        .flatMap((tenant) =>
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
    rows: (view) =>
      view.settings().map(({ name, value, fallback }) => [name, value, fallback, 'no']),
  },
  lists: {
    help: 'how many there are of everything',
    columns: columnsOf('list items:int4'),
    rows: (view) => {
      const tenants = view.tenants()
      const servers = view.servers()
      const used = servers.filter(({ state }) => state !== 'idle').length
      return [
        ['databases', tenants.length],
        ['users', tenants.reduce((sum, { roles }) => sum + roles.length, 0)],
        ['pools', view.pools().length],
        ['used_clients', view.clients().length],
        ['login_clients', view.clientsBeforeLogin],
        ['free_servers', servers.length - used],
        ['used_servers', used],
      ]
    },
  },
  mem: {
    help: 'memory of the process in bytes',
    columns: columnsOf('name memtotal:int8'),
    rows: () => Object.entries(process.memoryUsage()),
  },
  state: {
    help: 'whether it is active, paused or draining',
    columns: columnsOf('key value'),
    rows: (view) => [
      ['active', yesNo(!view.isDraining && !view.isPaused)],
      ['paused', yesNo(view.isPaused)],
      ['draining', yesNo(view.isDraining)],
    ],
  },
  version: {
    help: 'the version of Latchkey',
    columns: columnsOf('version'),
    rows: (view) => [[`Latchkey ${view.version}`]],
  },
}
