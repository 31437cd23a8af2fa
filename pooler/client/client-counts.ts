// Logged-in clients of each tenant and role, against their limits.
import { PoolerError } from '../../shared/errors.ts'
import { maxClientsOf, type Tenant } from '../tenant/tenant.ts'

interface Counts {
  all: number
  readonly byRole: Map<string, number>
}

export class ClientCounts {
  readonly #tenants = new Map<string, Counts>()

  of(tenantRef: string): number {
    return this.#tenants.get(tenantRef)?.all ?? 0
  }

  ofRole(tenantRef: string, role: string): number {
    return this.#tenants.get(tenantRef)?.byRole.get(role) ?? 0
  }

  /** Throws EMAXCONN or EMAXCONNTENANT when one more client would be too many. */
  check(tenant: Tenant, role: string): void {
    const counts = this.#tenants.get(tenant.ref)
    const roleLimit = maxClientsOf(tenant, role)
    if ((counts?.byRole.get(role) ?? 0) >= roleLimit) {
      throw new PoolerError('EMAXCONN', { values: { limit: roleLimit, role } })
    }
    const tenantLimit = tenantLimitOf(tenant)
    if ((counts?.all ?? 0) >= tenantLimit) {
      throw new PoolerError('EMAXCONNTENANT', { values: { limit: tenantLimit, ref: tenant.ref } })
    }
  }

  /** Checks again and counts the client in; the returned function counts it out, once. */
  enter(tenant: Tenant, role: string): () => void {
    this.check(tenant, role)
    const counts = this.#tenants.get(tenant.ref) ?? { all: 0, byRole: new Map<string, number>() }
    this.#tenants.set(tenant.ref, counts)
    counts.all++
    counts.byRole.set(role, (counts.byRole.get(role) ?? 0) + 1)
    let isIn = true
    return () => {
      if (!isIn) return
      isIn = false
      counts.all--
      const left = (counts.byRole.get(role) ?? 1) - 1
      if (left === 0) counts.byRole.delete(role)
      else counts.byRole.set(role, left)
      if (counts.all === 0) this.#tenants.delete(tenant.ref)
    }
  }
}

/** A role may be given more than the tenant's default; then the tenant has room for that role. */
function tenantLimitOf(tenant: Tenant): number {
  let limit = tenant.defaultMaxClients
  for (const { maxClients } of tenant.roles.values()) limit = Math.max(limit, maxClients ?? 0)
  return limit
}
