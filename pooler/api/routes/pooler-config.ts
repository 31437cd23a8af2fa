// Where applications connect: one object for each mode, as `config/database/pooler` of the public
// API gives them.
import type { z } from 'zod'
import { maxClientsOf, poolSizeOf, type Tenant } from '../../tenant/tenant.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps, ApiSettings } from '../api-deps.ts'
import { projectOf } from '../authorize.ts'
import { refParams, refusals } from '../schemas/common.ts'
import { poolerConfigAnswer } from '../schemas/people.ts'

type ModeConfig = z.infer<typeof poolerConfigAnswer>[number]

export function poolerConfigRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/projects/:ref/config/database/pooler',
    {
      config: { permission: 'database_jit_read' },
      schema: { params: refParams, response: { 200: poolerConfigAnswer, ...refusals } },
    },
    async (request) => {
      const { tenant } = projectOf(request)
      return [
        modeConfig(tenant, deps.settings, 'transaction'),
        modeConfig(tenant, deps.settings, 'session'),
      ]
    },
  )
}

function modeConfig(
  tenant: Tenant,
  settings: ApiSettings,
  mode: 'transaction' | 'session',
): ModeConfig {
  const role = usualRole(tenant)
  const user = `${role}.${tenant.ref}`
  const port = mode === 'transaction' ? settings.transactionPort : settings.sessionPort
  const address = `${settings.poolerHost}:${port}/${encodeURIComponent(tenant.dbDatabase)}`
  return {
    identifier: tenant.ref,
    database_type: tenant.parentRef === null ? 'PRIMARY' : 'BRANCH',
    is_using_scram_auth: true,
    db_user: user,
    db_host: settings.poolerHost,
    db_port: port,
    db_name: tenant.dbDatabase,
    connection_string: `postgresql://${encodeURIComponent(user)}:[YOUR-PASSWORD]@${address}${tenant.enforceSsl ? '?sslmode=require' : ''}`,
    default_pool_size: poolSizeOf(tenant, role),
    max_client_conn: maxClientsOf(tenant, role),
    pool_mode: mode,
  }
}

/** The role that an application most likely means; the manager is nobody's to use. */
function usualRole(tenant: Tenant): string {
  const roles = [...tenant.roles.values()].filter((row) => !row.isManager)
  const usual = roles.find((row) => row.role === 'postgres') ?? roles[0]
  return usual?.role ?? 'postgres'
}
