// What a tenant is made from: the input's shape, its defaults, and the columns it fills. Ranges and
// spellings are checked where the input comes from; the tables refuse what must never be.
import type { Insertable } from 'kysely'
import type { Secret } from '../../shared/secret.ts'
import type { IpVersion, UpstreamTlsMode } from '../tenant/tenant.ts'
import type { TenantsTable } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'

type RequiredColumn = 'db_host' | 'db_port' | 'db_database'

export interface TenantUserInput {
  readonly dbUser: string
  readonly dbUserAlias?: string | undefined
  /** undefined: what is stored for this role stays. null: none is stored. */
  readonly dbPassword?: Secret<string> | null | undefined
  readonly isManager?: boolean | undefined
  readonly modeType?: 'transaction' | 'session' | undefined
  readonly poolSize?: number | null | undefined
  readonly minPoolSize?: number | null | undefined
  readonly poolCheckoutTimeoutMs?: number | undefined
  readonly maxClients?: number | null | undefined
}

/** undefined: the default when the tenant is made, what is stored when it is there. */
export interface TenantInput {
  readonly name?: string | undefined
  readonly parentRef?: string | null | undefined
  readonly dbHost: string
  readonly dbPort: number
  readonly dbDatabase: string
  readonly ipVersion?: IpVersion | undefined
  readonly upstreamTls?: UpstreamTlsMode | undefined
  /** PEM. */
  readonly upstreamCa?: string | null | undefined
  readonly sniHostname?: string | null | undefined
  readonly enforceSsl?: boolean | undefined
  readonly requireUser?: boolean | undefined
  readonly authQuery?: string | null | undefined
  readonly defaultPoolSize?: number | undefined
  readonly defaultMinPoolSize?: number | undefined
  readonly maxServerConnections?: number | null | undefined
  readonly defaultMaxClients?: number | undefined
  readonly defaultPoolStrategy?: 'fifo' | 'lifo' | undefined
  readonly defaultParameterStatus?: Readonly<Record<string, unknown>> | undefined
  readonly serverVersion?: string | null | undefined
  readonly clientIdleTimeoutMs?: number | undefined
  readonly clientHeartbeatIntervalS?: number | undefined
  readonly allowList?: readonly string[] | undefined
  readonly availabilityZone?: string | null | undefined
  readonly featureFlags?: Readonly<Record<string, unknown>> | undefined
  readonly useJit?: boolean | undefined
  readonly jitApiUrl?: string | null | undefined
  readonly jitUpstream?: 'stored' | 'token' | undefined
  /** The whole set: a role that is not named is removed. */
  readonly users: readonly TenantUserInput[]
}

/** The manual's own relation for roles, and the third column that ends a password in time. */
export const defaultAuthQuery =
  'SELECT rolname, rolpassword, rolvaliduntil FROM pg_authid WHERE rolname = $1 AND rolcanlogin'

export function tenantDefaults(
  ref: string,
): Omit<Insertable<TenantsTable>, 'ref' | RequiredColumn> {
  return {
    name: ref,
    parent_ref: null,
    ip_version: 'auto',
    upstream_tls: 'disable',
    upstream_ca: null,
    sni_hostname: null,
    enforce_ssl: false,
    require_user: true,
    auth_query: null,
    default_pool_size: 15,
    default_min_pool_size: 0,
    max_server_connections: null,
    default_max_clients: 1000,
    default_pool_strategy: 'fifo',
    default_parameter_status: '{}',
    server_version: null,
    client_idle_timeout_ms: 0,
    client_heartbeat_interval_s: 60,
    allow_list: ['0.0.0.0/0', '::/0'],
    availability_zone: null,
    feature_flags: '{}',
    use_jit: false,
    jit_api_url: null,
    jit_upstream: 'stored',
  }
}

/** The columns that the input names; others are left out, not set to null. */
export function givenColumns(input: TenantInput) {
  return {
    db_host: input.dbHost,
    db_port: input.dbPort,
    db_database: input.dbDatabase,
    ...given('name', input.name),
    ...given('parent_ref', input.parentRef),
    ...given('ip_version', input.ipVersion),
    ...given('upstream_tls', input.upstreamTls),
    ...given('upstream_ca', input.upstreamCa),
    ...given('sni_hostname', input.sniHostname?.toLowerCase() ?? input.sniHostname),
    ...given('enforce_ssl', input.enforceSsl),
    ...given('require_user', input.requireUser),
    ...given('auth_query', input.authQuery ?? authQueryFor(input)),
    ...given('default_pool_size', input.defaultPoolSize),
    ...given('default_min_pool_size', input.defaultMinPoolSize),
    ...given('max_server_connections', input.maxServerConnections),
    ...given('default_max_clients', input.defaultMaxClients),
    ...given('default_pool_strategy', input.defaultPoolStrategy),
    ...given('default_parameter_status', asJson(input.defaultParameterStatus)),
    ...given('server_version', input.serverVersion),
    ...given('client_idle_timeout_ms', input.clientIdleTimeoutMs),
    ...given('client_heartbeat_interval_s', input.clientHeartbeatIntervalS),
    ...given('allow_list', input.allowList === undefined ? undefined : [...input.allowList]),
    ...given('availability_zone', input.availabilityZone),
    ...given('feature_flags', asJson(input.featureFlags)),
    ...given('use_jit', input.useJit),
    ...given('jit_api_url', input.jitApiUrl),
    ...given('jit_upstream', input.jitUpstream),
  }
}

export function roleColumns(ref: string, user: TenantUserInput) {
  return {
    project_ref: ref,
    db_user: user.dbUser,
    db_user_alias: user.dbUserAlias ?? user.dbUser,
    is_manager: user.isManager ?? false,
    mode_type: user.modeType ?? 'transaction',
    pool_size: user.poolSize ?? null,
    min_pool_size: user.minPoolSize ?? null,
    pool_checkout_timeout_ms: user.poolCheckoutTimeoutMs ?? 60_000,
    max_clients: user.maxClients ?? null,
  }
}

/** One role has one pool size, so it is named once, whatever the mode; one manager at most. */
export function refuseBadUsers(users: readonly TenantUserInput[]): void {
  const names = new Set<string>()
  for (const { dbUser } of users) {
    if (names.has(dbUser)) throw new StoreRefusal('invalid', `role "${dbUser}" is given twice`)
    names.add(dbUser)
  }
  if (users.filter((user) => user.isManager).length > 1) {
    throw new StoreRefusal('invalid', 'only one role can be the manager')
  }
}

/** Without stored passwords there must be a query; null asks for none, undefined for ours. */
function authQueryFor(input: TenantInput): string | null | undefined {
  return input.requireUser === false && input.authQuery === undefined
    ? defaultAuthQuery
    : input.authQuery
}

const asJson = (value: Readonly<Record<string, unknown>> | undefined) =>
  value === undefined ? undefined : JSON.stringify(value)

function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { [Key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]?: Value })
}
