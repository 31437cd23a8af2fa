// Asks a project's own database, over an auxiliary connection, as a role whose password is stored:
// the manager where there is one.
import { PoolerError } from '../shared/errors.ts'
import type { ProjectQuery } from './access/assignable-roles.ts'
import type { DataPlane } from './data-plane.ts'
import type { Tenant } from './tenant/tenant.ts'

const applicationName = 'latchkey (roles)'

/** `dataPlane` is asked for at each query: the two planes are built one after the other. */
export function projectQueryOver(dataPlane: () => DataPlane): ProjectQuery {
  return async (tenant, sql, params) => {
    const upstream = dataPlane().upstreamOf(() => tenant, askingRoleOf(tenant), tenant.dbDatabase)
    const { rows, error } = await upstream.ask(sql, params.map(String), applicationName)
    if (error !== null) throw error
    // Every question of ours has one column.
    return rows.map(([facts]) => ({ facts }))
  }
}

/** server_version_num of the project's database; null: it cannot be asked. */
export async function serverVersionOf(
  dataPlane: DataPlane,
  tenant: Tenant,
): Promise<number | null> {
  try {
    const ask = projectQueryOver(() => dataPlane)
    const [row] = await ask(tenant, "SELECT pg_catalog.current_setting('server_version_num')", [])
    const version = Number(row?.facts)
    return Number.isInteger(version) ? version : null
  } catch {
    return null
  }
}

/** Throws EUPSTREAMAUTH when no role's password is stored. */
function askingRoleOf(tenant: Tenant): string {
  const roles = [...tenant.roles.values()].filter((role) => role.password !== null)
  const asking = roles.find((role) => role.isManager) ?? roles[0]
  if (asking !== undefined) return asking.role
  throw new PoolerError('EUPSTREAMAUTH', {
    values: { ref: tenant.ref, role: '?' },
    detail: 'no password of a role is stored, so the database cannot be asked',
  })
}
