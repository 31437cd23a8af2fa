import type { Tenant } from '../tenant/tenant.ts'

/** Told where a login as `role` will find no secret to open a server with. */
export function storedSecretWarnings(tenant: Tenant, role: string): readonly string[] {
  if (tenant.jitUpstream === 'token' || hasSecret(tenant, role)) return []
  return [
    `${role}: no password of this role is stored, so people get in only while the pooler remembers a login of the role with its password; store one with PUT /api/tenants/${tenant.ref}`,
  ]
}

/** Told where rules are given or read that a login does not go by. */
export function authoriserWarnings(tenant: Tenant): readonly string[] {
  if (tenant.jitApiUrl === null) return []
  return [
    'an outside authoriser (jit_api_url) decides who comes in: rules here have no say while it is set',
  ]
}

function hasSecret(tenant: Tenant, role: string): boolean {
  const row = tenant.roles.get(role)
  return row !== undefined && row.password !== null
}
