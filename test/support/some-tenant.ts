import type { Tenant } from '../../pooler/tenant/tenant.ts'
import { makeTenant } from './tenants.ts'

/** A tenant as the data plane has it, without a database behind it. */
export const tenantNamed = (ref: string, changes: Partial<Tenant> = {}): Tenant =>
  makeTenant({
    id: `id of ${ref}`,
    ref,
    name: ref,
    dbHost: 'db.example.com',
    defaultPoolSize: 15,
    defaultMaxClients: 1000,
    useJit: true,
    ...changes,
  })
