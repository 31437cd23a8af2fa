// What a project says about who may knock at all, in the order that 2-wire.md gives. Told in clear,
// before login.
import { PoolerError } from '../../shared/errors.ts'
import { isAllowed } from '../accept/address-filter.ts'
import { isBanned, type Tenant } from '../tenant/tenant.ts'

export interface Visitor {
  readonly address: string
  /** A real TLS connection; loopback is none here. */
  readonly isTls: boolean
  readonly nowMs: number
}

/** Throws EBANNED, ESSLREQUIRED or EADDRNOTALLOWED. */
export function checkTenant(tenant: Tenant, visitor: Visitor): void {
  const { ref } = tenant
  if (tenant.ban !== null && isBanned(tenant, visitor.nowMs)) {
    throw new PoolerError('EBANNED', { values: { ref, reason: tenant.ban.reason } })
  }
  if (tenant.enforceSsl && !visitor.isTls) {
    throw new PoolerError('ESSLREQUIRED', { values: { reason: `project "${ref}" enforces it` } })
  }
  if (!isAllowed(tenant.allowList, visitor.address)) {
    throw new PoolerError('EADDRNOTALLOWED', { values: { address: visitor.address, ref } })
  }
}
