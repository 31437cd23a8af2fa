// A tenant as /api/tenants shows it, in Supavisor's names. There is no place for a password in it.
import type { TenantDetails, TenantUser } from '../store/tenant-rows.ts'
import type { UpstreamTlsMode } from '../tenant/tenant.ts'
import type { TenantAnswer } from './schemas/tenants.ts'

const verifyNames: Readonly<Record<UpstreamTlsMode, string | null>> = {
  disable: null,
  require: 'none',
  'verify-ca': 'peer',
  'verify-full': 'verify-full',
}

export function tenantAnswer(details: TenantDetails): TenantAnswer {
  const { tenant } = details
  return {
    id: tenant.id,
    external_id: tenant.ref,
    name: tenant.name,
    parent_ref: tenant.parentRef,
    db_host: tenant.dbHost,
    db_port: tenant.dbPort,
    db_database: tenant.dbDatabase,
    ip_version: tenant.ipVersion,
    upstream_ssl: tenant.upstreamTls !== 'disable',
    upstream_verify: verifyNames[tenant.upstreamTls],
    enforce_ssl: tenant.enforceSsl,
    require_user: tenant.requireUser,
    auth_query: tenant.authQuery,
    default_pool_size: tenant.defaultPoolSize,
    default_min_pool_size: tenant.defaultMinPoolSize,
    max_server_connections: tenant.maxServerConnections,
    default_max_clients: tenant.defaultMaxClients,
    default_pool_strategy: details.defaultPoolStrategy,
    default_parameter_status: { ...details.defaultParameterStatus },
    server_version: details.serverVersion,
    sni_hostname: tenant.sniHostname,
    client_idle_timeout: tenant.clientIdleTimeoutMs,
    client_heartbeat_interval: details.clientHeartbeatIntervalS,
    availability_zone: details.availabilityZone,
    feature_flags: { ...details.featureFlags },
    allow_list: [...tenant.allowList],
    use_jit: tenant.useJit,
    jit_api_url: tenant.jitApiUrl,
    jit_upstream: tenant.jitUpstream,
    banned_at: tenant.ban === null ? null : isoTime(tenant.ban.sinceMs),
    ban_reason: tenant.ban?.reason ?? null,
    banned_until:
      tenant.ban === null || tenant.ban.untilMs === null ? null : isoTime(tenant.ban.untilMs),
    inserted_at: isoTime(details.createdAtMs),
    updated_at: isoTime(details.updatedAtMs),
    users: details.users.map(userAnswer),
  }
}

function userAnswer(user: TenantUser): TenantAnswer['users'][number] {
  return {
    id: user.id,
    db_user: user.dbUser,
    db_user_alias: user.dbUserAlias,
    has_password: user.hasPassword,
    is_manager: user.isManager,
    mode_type: user.modeType,
    pool_size: user.poolSize,
    min_pool_size: user.minPoolSize,
    pool_checkout_timeout: user.poolCheckoutTimeoutMs,
    max_clients: user.maxClients,
    inserted_at: isoTime(user.createdAtMs),
    updated_at: isoTime(user.updatedAtMs),
  }
}

const isoTime = (ms: number): string => new Date(ms).toISOString()
