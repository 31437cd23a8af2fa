// Which pools an operator means: all, those of a project, or those of one of its roles.
import type { PoolKey } from './pool-key.ts'

export interface PoolTarget {
  /** null: all projects. */
  readonly tenantRef: string | null
  /** null: all roles. */
  readonly role: string | null
  /** null: all databases. */
  readonly database: string | null
}

type Named = Pick<PoolKey, 'tenantRef' | 'role' | 'database'>

export const everything: PoolTarget = { tenantRef: null, role: null, database: null }

export function isMeant(target: PoolTarget, key: Named): boolean {
  return (
    (target.tenantRef === null || target.tenantRef === key.tenantRef) &&
    (target.role === null || target.role === key.role) &&
    (target.database === null || target.database === key.database)
  )
}

/** True when whatever `inner` means is meant by `outer` too. */
export function contains(outer: PoolTarget, inner: PoolTarget): boolean {
  return (
    (outer.tenantRef === null || outer.tenantRef === inner.tenantRef) &&
    (outer.role === null || outer.role === inner.role) &&
    (outer.database === null || outer.database === inner.database)
  )
}

/** As people write it: `shop`, `app_rw.shop`, `app_rw.shop/db`. */
export function targetText({ tenantRef, role, database }: PoolTarget): string {
  if (tenantRef === null) return 'everything'
  const user = role === null ? tenantRef : `${role}.${tenantRef}`
  return database === null ? user : `${user}/${database}`
}
