// What the data plane knows of a project. Read whole from the store, frozen, replaced on change.
import type { Secret } from '../../shared/secret.ts'

export type IpVersion = 'auto' | 'v4' | 'v6'
export type UpstreamTlsMode = 'disable' | 'require' | 'verify-ca' | 'verify-full'

export interface Ban {
  readonly reason: string
  readonly sinceMs: number
  /** null: until lifted. At the exact instant it still holds. */
  readonly untilMs: number | null
}

export interface TenantRole {
  readonly role: string
  /** The manager runs auth_query. */
  readonly isManager: boolean
  readonly poolSize: number
  /** Servers that a pool of this role keeps open. */
  readonly minPoolSize: number
  readonly checkoutTimeoutMs: number
  /** null: the tenant's default. 0: nobody. */
  readonly maxClients: number | null
  /** null where the tenant's auth_query answers for the role and no password is stored. */
  readonly password: Secret<string> | null
  /** One is stored, but neither VAULT_ENC_KEY nor the one before opens it. */
  readonly isPasswordUnopened: boolean
}

export interface Tenant {
  readonly id: string
  readonly ref: string
  readonly name: string
  /** The ref of the project that this one is a branch of. */
  readonly parentRef: string | null
  readonly dbHost: string
  readonly dbPort: number
  readonly dbDatabase: string
  readonly ipVersion: IpVersion
  readonly upstreamTls: UpstreamTlsMode
  /** PEM of the authority that signs the upstream's certificate; null: GLOBAL_UPSTREAM_CA_PATH, else the system's. */
  readonly upstreamCa: string | null
  readonly sniHostname: string | null
  readonly enforceSsl: boolean
  /** True: passwords are stored per role. False: auth_query, run as the manager. */
  readonly requireUser: boolean
  readonly authQuery: string | null
  readonly defaultPoolSize: number
  readonly defaultMinPoolSize: number
  /** Servers of all its pools together; null: no limit but the pools' own. */
  readonly maxServerConnections: number | null
  readonly defaultMaxClients: number
  /** 0: off. */
  readonly clientIdleTimeoutMs: number
  /** CIDRs; empty: nobody. */
  readonly allowList: readonly string[]
  /** Temporary access is enabled. */
  readonly useJit: boolean
  readonly jitApiUrl: string | null
  readonly jitUpstream: 'stored' | 'token'
  readonly ban: Ban | null
  readonly roles: ReadonlyMap<string, TenantRole>
  /** Grows with every change of the row or of its roles. */
  readonly version: number
}

export function isBanned(tenant: Tenant, nowMs: number): boolean {
  return tenant.ban !== null && (tenant.ban.untilMs === null || nowMs <= tenant.ban.untilMs)
}

/** Why clients of a project that is gone are ended. */
export const projectDeleted = (ref: string): string => `project "${ref}" was deleted`

/** Servers that one pool of this role may open: the role's own row, else the tenant's default. */
export function poolSizeOf(tenant: Tenant, role: string): number {
  return tenant.roles.get(role)?.poolSize ?? tenant.defaultPoolSize
}

/** Servers that a pool of this role keeps open while it is in use. */
export function minPoolSizeOf(tenant: Tenant, role: string): number {
  return tenant.roles.get(role)?.minPoolSize ?? tenant.defaultMinPoolSize
}

export function maxClientsOf(tenant: Tenant, role: string): number {
  return tenant.roles.get(role)?.maxClients ?? tenant.defaultMaxClients
}

/** How long a client waits for a server; the manager's row sets nothing for other roles. */
export function checkoutTimeoutMsOf(tenant: Tenant, role: string): number {
  return tenant.roles.get(role)?.checkoutTimeoutMs ?? 60_000
}
