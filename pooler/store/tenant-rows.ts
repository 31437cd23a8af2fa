// Reads tenants out of the metadata, whole and in one statement, so that a tenant and its roles are
// always of the same moment. Writing is tenants.ts.
import { type Kysely, sql } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import { type SecretBox, SecretBoxError } from '../../shared/crypto/secret-box.ts'
import type { Secret } from '../../shared/secret.ts'
import type { Tenant, TenantRole } from '../tenant/tenant.ts'
import type { Schema } from './schema.ts'

export interface TenantUser {
  readonly id: string
  readonly dbUser: string
  readonly dbUserAlias: string
  readonly isManager: boolean
  readonly modeType: 'transaction' | 'session'
  /** null: the tenant's default. */
  readonly poolSize: number | null
  readonly minPoolSize: number | null
  readonly poolCheckoutTimeoutMs: number
  /** null: the tenant's default. */
  readonly maxClients: number | null
  readonly hasPassword: boolean
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** A tenant with what only its administration shows. */
export interface TenantDetails {
  readonly tenant: Tenant
  readonly users: readonly TenantUser[]
  readonly clientHeartbeatIntervalS: number
  readonly availabilityZone: string | null
  readonly featureFlags: Readonly<Record<string, unknown>>
  readonly defaultParameterStatus: Readonly<Record<string, unknown>>
  readonly serverVersion: string | null
  readonly defaultPoolStrategy: 'fifo' | 'lifo'
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** What a role's password is sealed for: moved to another row it does not open. */
export const passwordContext = (ref: string, role: string) => ({
  tenant: ref,
  role,
  field: 'db_password',
})

/** Selects tenants with their roles; the caller narrows by `tenants.…` columns. */
export function selectTenants(db: Kysely<Schema>) {
  return db
    .selectFrom('tenants')
    .leftJoin('tenants as parent', 'parent.ref', 'tenants.parent_ref')
    .selectAll('tenants')
    .select('parent.use_jit as parent_use_jit')
    .select((eb) =>
      jsonArrayFrom(
        eb
          .selectFrom('tenant_roles')
          .whereRef('tenant_roles.project_ref', '=', 'tenants.ref')
          .select([
            'tenant_roles.id',
            'tenant_roles.db_user',
            'tenant_roles.db_user_alias',
            'tenant_roles.is_manager',
            'tenant_roles.mode_type',
            'tenant_roles.pool_size',
            'tenant_roles.min_pool_size',
            'tenant_roles.pool_checkout_timeout_ms',
            'tenant_roles.max_clients',
          ])
          // JSON has neither bytes nor instants.
          .select([
            sql<string | null>`encode(tenant_roles.db_password, 'base64')`.as('password'),
            sql<number>`extract(epoch from tenant_roles.created_at) * 1000`.as('created_ms'),
            sql<number>`extract(epoch from tenant_roles.updated_at) * 1000`.as('updated_ms'),
          ])
          .orderBy('tenant_roles.db_user'),
      ).as('roles'),
    )
}

export type TenantRow = Awaited<ReturnType<ReturnType<typeof selectTenants>['execute']>>[number]
type RoleRow = TenantRow['roles'][number]

export function tenantOf(row: TenantRow, box: SecretBox): Tenant {
  return Object.freeze({
    id: row.id,
    ref: row.ref,
    name: row.name,
    parentRef: row.parent_ref,
    dbHost: row.db_host,
    dbPort: row.db_port,
    dbDatabase: row.db_database,
    ipVersion: row.ip_version,
    upstreamTls: row.upstream_tls,
    upstreamCa: row.upstream_ca,
    sniHostname: row.sni_hostname,
    enforceSsl: row.enforce_ssl,
    requireUser: row.require_user,
    authQuery: row.auth_query,
    defaultPoolSize: row.default_pool_size,
    defaultMinPoolSize: row.default_min_pool_size,
    maxServerConnections: row.max_server_connections,
    defaultMaxClients: row.default_max_clients,
    clientIdleTimeoutMs: row.client_idle_timeout_ms,
    allowList: Object.freeze(row.allow_list),
    // A branch's state is its parent's.
    useJit: row.parent_use_jit ?? row.use_jit,
    jitApiUrl: row.jit_api_url,
    jitUpstream: row.jit_upstream,
    ban: banOf(row),
    roles: new Map(row.roles.map((role) => [role.db_user, roleOf(row, role, box)])),
    version: row.version,
  })
}

export function detailsOf(row: TenantRow, box: SecretBox): TenantDetails {
  return {
    tenant: tenantOf(row, box),
    users: row.roles.map(userOf),
    clientHeartbeatIntervalS: row.client_heartbeat_interval_s,
    availabilityZone: row.availability_zone,
    featureFlags: row.feature_flags as Record<string, unknown>,
    defaultParameterStatus: row.default_parameter_status as Record<string, unknown>,
    serverVersion: row.server_version,
    defaultPoolStrategy: row.default_pool_strategy,
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
  }
}

function banOf(row: TenantRow): Tenant['ban'] {
  if (row.banned_at === null) return null
  return {
    reason: row.ban_reason ?? '',
    sinceMs: row.banned_at.getTime(),
    untilMs: row.banned_until?.getTime() ?? null,
  }
}

function roleOf(tenant: TenantRow, row: RoleRow, box: SecretBox): TenantRole {
  const password = passwordOf(tenant, row, box)
  return {
    role: row.db_user,
    isManager: row.is_manager,
    poolSize: row.pool_size ?? tenant.default_pool_size,
    minPoolSize: row.min_pool_size ?? tenant.default_min_pool_size,
    checkoutTimeoutMs: row.pool_checkout_timeout_ms,
    maxClients: row.max_clients,
    password: password === 'unopened' ? null : password,
    isPasswordUnopened: password === 'unopened',
  }
}

/** One that does not open is that role's misfortune, not the project's: it can be read, and set again. */
function passwordOf(
  { ref }: TenantRow,
  row: RoleRow,
  box: SecretBox,
): Secret<string> | null | 'unopened' {
  if (row.password === null) return null
  try {
    return box.open(Buffer.from(row.password, 'base64'), passwordContext(ref, row.db_user))
  } catch (error) {
    if (error instanceof SecretBoxError) return 'unopened'
    throw error
  }
}

function userOf(row: RoleRow): TenantUser {
  return {
    id: row.id,
    dbUser: row.db_user,
    dbUserAlias: row.db_user_alias,
    isManager: row.is_manager,
    modeType: row.mode_type,
    poolSize: row.pool_size,
    minPoolSize: row.min_pool_size,
    poolCheckoutTimeoutMs: row.pool_checkout_timeout_ms,
    maxClients: row.max_clients,
    hasPassword: row.password !== null,
    createdAtMs: Math.floor(row.created_ms),
    updatedAtMs: Math.floor(row.updated_ms),
  }
}
