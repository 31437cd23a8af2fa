// A pool's limits as its project has them now. Asked for at every transaction, so they are reckoned
// once for each state of the project.
import type { PoolKey } from './pool/pool-key.ts'
import type { PoolLimits } from './pool/pool-options.ts'
import { checkoutTimeoutMsOf, poolSizeOf, type Tenant } from './tenant/tenant.ts'

export function poolLimitsOf({ mode, role }: PoolKey, tenant: () => Tenant): () => PoolLimits {
  let known: Tenant | null = null
  let limits: PoolLimits = { size: 0, checkoutTimeoutMs: 0 }
  return () => {
    const now = tenant()
    if (now === known) return limits
    known = now
    const size = mode === 'direct' ? 1 : poolSizeOf(now, role)
    limits = { size, checkoutTimeoutMs: checkoutTimeoutMsOf(now, role) }
    return limits
  }
}
