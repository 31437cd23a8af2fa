// Logged-in clients of each tenant and role, against their limits. Those of other workers count too,
// as they have told: a limit may be passed by those who come within one telling.
import { PoolerError } from '../../shared/errors.ts'
import { maxClientsOf, type Tenant } from '../tenant/tenant.ts'

interface Counts {
  all: number
  readonly byRole: Map<string, number>
}

/** As one worker tells another. */
export interface ToldCounts {
  readonly all: number
  readonly byRole: Readonly<Record<string, number>>
}

export class ClientCounts {
  readonly #tenants = new Map<string, Counts>()
  /** By tenant, then by worker: only those with clients. */
  readonly #elsewhere = new Map<string, Map<number, ToldCounts>>()
  readonly #onChange: (tenantRef: string) => void

  /** `onChange` is told of each tenant whose counts have changed here. */
  constructor(onChange: (tenantRef: string) => void = () => {}) {
    this.#onChange = onChange
  }

  /** In this process. */
  of(tenantRef: string): number {
    return this.#tenants.get(tenantRef)?.all ?? 0
  }

  ofRole(tenantRef: string, role: string): number {
    return this.#tenants.get(tenantRef)?.byRole.get(role) ?? 0
  }

  /** Other workers have clients of this role. */
  isElsewhere(tenantRef: string, role: string): boolean {
    for (const { byRole } of this.#elsewhere.get(tenantRef)?.values() ?? []) {
      if (Object.hasOwn(byRole, role)) return true
    }
    return false
  }

  /** Tenants that have clients here. */
  get tenantRefs(): IterableIterator<string> {
    return this.#tenants.keys()
  }

  told(tenantRef: string): ToldCounts {
    const counts = this.#tenants.get(tenantRef)
    return { all: counts?.all ?? 0, byRole: Object.fromEntries(counts?.byRole ?? []) }
  }

  noteElsewhere(worker: number, tenantRef: string, told: ToldCounts): void {
    const workers = this.#elsewhere.get(tenantRef) ?? new Map<number, ToldCounts>()
    if (told.all === 0) workers.delete(worker)
    else workers.set(worker, told)
    if (workers.size === 0) this.#elsewhere.delete(tenantRef)
    else this.#elsewhere.set(tenantRef, workers)
  }

  forgetElsewhere(worker: number): void {
    for (const ref of [...this.#elsewhere.keys()]) {
      this.noteElsewhere(worker, ref, { all: 0, byRole: {} })
    }
  }

  /** Throws EMAXCONN or EMAXCONNTENANT when one more client would be too many. */
  check(tenant: Tenant, role: string): void {
    const { ref } = tenant
    let all = this.of(ref)
    let ofRole = this.ofRole(ref, role)
    for (const told of this.#elsewhere.get(ref)?.values() ?? []) {
      all += told.all
      if (Object.hasOwn(told.byRole, role)) ofRole += told.byRole[role] ?? 0
    }
    const roleLimit = maxClientsOf(tenant, role)
    if (ofRole >= roleLimit) {
      throw new PoolerError('EMAXCONN', { values: { limit: roleLimit, role } })
    }
    const tenantLimit = tenantLimitOf(tenant)
    if (all >= tenantLimit) {
      throw new PoolerError('EMAXCONNTENANT', { values: { limit: tenantLimit, ref } })
    }
  }

  /** Checks again and counts the client in; the returned function counts it out, once. */
  enter(tenant: Tenant, role: string): () => void {
    this.check(tenant, role)
    const { ref } = tenant
    const counts = this.#tenants.get(ref) ?? { all: 0, byRole: new Map<string, number>() }
    this.#tenants.set(ref, counts)
    counts.all++
    counts.byRole.set(role, (counts.byRole.get(role) ?? 0) + 1)
    this.#onChange(ref)
    let isIn = true
    return () => {
      if (!isIn) return
      isIn = false
      counts.all--
      const left = (counts.byRole.get(role) ?? 1) - 1
      if (left === 0) counts.byRole.delete(role)
      else counts.byRole.set(role, left)
      if (counts.all === 0) this.#tenants.delete(ref)
      this.#onChange(ref)
    }
  }
}

/** A role may be given more than the tenant's default; then the tenant has room for that role. */
function tenantLimitOf(tenant: Tenant): number {
  let limit = tenant.defaultMaxClients
  for (const { maxClients } of tenant.roles.values()) limit = Math.max(limit, maxClients ?? 0)
  return limit
}
