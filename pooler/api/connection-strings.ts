// What a person pastes to connect with a token. There is no token in it: it would stay in the history
// of a shell; clients ask for it, or take it from PGPASSWORD.
import type { Tenant } from '../tenant/tenant.ts'
import type { ApiSettings } from './api-deps.ts'

export interface ConnectionStrings {
  readonly transaction: string
  readonly session: string
  readonly direct: string | null
}

const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i
/** libpq reads no `+` as a blank. */
const tokenOption = 'options=-c%20jit%3Don'

export function connectionStrings(
  { ref, dbDatabase }: Pick<Tenant, 'ref' | 'dbDatabase'>,
  role: string,
  settings: ApiSettings,
): ConnectionStrings {
  const { poolerHost, poolerDomain, transactionPort, sessionPort } = settings
  const user = encodeURIComponent(`${role}.${ref}`)
  const database = encodeURIComponent(dbDatabase)
  const pooled = (port: number) =>
    `postgres://${user}@${poolerHost}:${port}/${database}?sslmode=require&${tokenOption}`
  const hasDirect = poolerDomain !== null && dnsLabel.test(ref)
  return {
    transaction: pooled(transactionPort),
    session: pooled(sessionPort),
    direct: hasDirect
      ? `postgres://${encodeURIComponent(role)}@db.${ref}.${poolerDomain}:${sessionPort}/${database}?sslmode=require`
      : null,
  }
}
