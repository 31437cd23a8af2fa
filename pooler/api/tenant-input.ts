// From the body of PUT /api/tenants/{ref} to what the store takes. Fields that are left out keep
// what is stored, as Supavisor's users expect; `users` is replaced as a whole when it is given.
import { X509Certificate } from 'node:crypto'
import ipaddr from 'ipaddr.js'
import { guardedUrlFault } from '../../shared/guarded-url.ts'
import { Secret } from '../../shared/secret.ts'
import type { TenantInput, TenantUserInput } from '../store/tenant-input.ts'
import type { TenantDetails } from '../store/tenant-rows.ts'
import type { UpstreamTlsMode } from '../tenant/tenant.ts'
import { ApiError } from './api-error.ts'
import type { TenantFields, TenantUserBody } from './schemas/tenants.ts'
import { hostFault } from './upstream-input.ts'

/** Throws 422 `{errors}` or 400 `{error}`. */
export function readTenant(fields: TenantFields, stored: TenantDetails | null): TenantInput {
  const base = stored?.tenant
  checkAllowList(fields.allow_list ?? [])
  checkAuthority(fields.upstream_tls_ca ?? null)
  return {
    name: fields.name,
    dbHost: checkHost(required('db_host', fields.db_host, base?.dbHost)),
    dbPort: required('db_port', fields.db_port, base?.dbPort),
    dbDatabase: required('db_database', fields.db_database, base?.dbDatabase),
    ipVersion: fields.ip_version,
    upstreamTls: upstreamTls(fields, base?.upstreamTls ?? 'disable'),
    upstreamCa: fields.upstream_tls_ca,
    sniHostname: fields.sni_hostname,
    enforceSsl: fields.enforce_ssl,
    requireUser: fields.require_user,
    authQuery: fields.auth_query,
    defaultPoolSize: fields.default_pool_size,
    defaultMinPoolSize: fields.default_min_pool_size,
    maxServerConnections: fields.max_server_connections,
    defaultMaxClients: fields.default_max_clients,
    defaultPoolStrategy: fields.default_pool_strategy,
    defaultParameterStatus: fields.default_parameter_status,
    clientIdleTimeoutMs: fields.client_idle_timeout,
    clientHeartbeatIntervalS: fields.client_heartbeat_interval,
    allowList: fields.allow_list,
    availabilityZone: fields.availability_zone,
    featureFlags: fields.feature_flags,
    useJit: fields.use_jit,
    jitApiUrl: checkJitUrl(fields.jit_api_url),
    jitUpstream: fields.jit_upstream,
    users: readUsers(fields, stored),
  }
}

export function fieldError(field: string, text: string): ApiError {
  return new ApiError(422, `${field} ${text}`, { body: { errors: { [field]: [text] } } })
}

function required<Value>(
  field: string,
  given: Value | undefined,
  stored: Value | undefined,
): Value {
  const value = given ?? stored
  if (value === undefined) throw fieldError(field, "can't be blank")
  return value
}

/** `peer` is Supavisor's word for a checked chain without a checked host name. */
function upstreamTls(fields: TenantFields, stored: UpstreamTlsMode): UpstreamTlsMode {
  const { upstream_ssl: isOn = stored !== 'disable', upstream_verify: verify } = fields
  if (!isOn) {
    if (typeof verify === 'string') throw fieldError('upstream_verify', 'needs upstream_ssl')
    return 'disable'
  }
  if (verify === undefined) return stored === 'disable' ? 'require' : stored
  if (verify === null || verify === 'none') return 'require'
  return verify === 'peer' ? 'verify-ca' : verify
}

function readUsers(fields: TenantFields, stored: TenantDetails | null): TenantUserInput[] {
  const storedUsers = stored?.users ?? []
  if (fields.users === undefined) {
    if (stored === null) throw fieldError('users', "can't be blank")
    // Named again without a password each keeps its own.
    return storedUsers.map((user) => ({ ...user, dbPassword: undefined }))
  }
  const hasPasswords =
    fields.require_user ?? stored?.tenant.requireUser ?? fields.auth_query == null
  return fields.users.map((user, index) => {
    const isStored = storedUsers.some((one) => one.dbUser === user.db_user && one.hasPassword)
    const needsPassword = hasPasswords || (user.is_manager ?? false)
    if (needsPassword && user.db_password === undefined && !isStored) {
      throw fieldError(`users.${index}.db_password`, "can't be blank")
    }
    return readUser(user)
  })
}

function readUser(user: TenantUserBody): TenantUserInput {
  return {
    dbUser: user.db_user,
    dbUserAlias: user.db_user_alias ?? undefined,
    dbPassword: user.db_password === undefined ? undefined : new Secret(user.db_password),
    isManager: user.is_manager,
    modeType: user.mode_type,
    poolSize: user.pool_size,
    minPoolSize: user.min_pool_size,
    poolCheckoutTimeoutMs: user.pool_checkout_timeout,
    maxClients: user.max_clients,
  }
}

function checkHost(host: string): string {
  const fault = hostFault(host)
  if (fault !== null) throw fieldError('db_host', fault)
  return host
}

function checkAllowList(cidrs: readonly string[]): void {
  const wrong = cidrs.find((cidr) => !ipaddr.isValidCIDR(cidr))
  if (wrong !== undefined) throw fieldError('allow_list', `Invalid CIDR range: ${wrong}`)
}

function checkAuthority(pem: string | null): void {
  if (pem === null) return
  try {
    new X509Certificate(pem)
  } catch {
    throw new ApiError(400, "Invalid 'upstream_tls_ca' certificate: not a PEM certificate")
  }
}

function checkJitUrl(text: string | null | undefined): string | null | undefined {
  const fault = typeof text === 'string' ? guardedUrlFault(text) : null
  if (fault !== null) throw fieldError('jit_api_url', fault)
  return text
}
