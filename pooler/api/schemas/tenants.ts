// Tenants as Supavisor's users write and read them. Fields that mean nothing here are dropped
// without complaint, as there; passwords go in and have no place in any answer.
import { z } from 'zod'
import { isoTime, userId } from './common.ts'

/** Postgres' own limit of max_connections; more servers for one role cannot be meant. */
const poolSizeMax = 262_143
const clientsMax = 1_000_000
/** Node's timers end at 2^31 - 1 ms. */
const durationMsMax = 2_147_483_647
const usersMax = 1_000
const allowListMax = 1_000
const tenantsPerPageMax = 1_000
const textMax = 255

const poolSize = z.int().min(1).max(poolSizeMax)
const minPoolSize = z.int().min(0).max(poolSizeMax)
const clients = z.int().min(0).max(clientsMax)
const roleName = z.string().min(1).max(63)

/** Kept for those who read it back; nothing here acts on it. */
const freeForm = z.record(z.string().max(textMax), z.unknown())

export const tenantUserBody = z.object({
  db_user: roleName,
  db_user_alias: z.string().max(textMax).nullish(),
  /** Left out for a role that has one: the stored password stays. */
  db_password: z.string().min(1).max(4_096).optional(),
  is_manager: z.boolean().optional(),
  mode_type: z.enum(['transaction', 'session']).optional(),
  /** null: the tenant's default. */
  pool_size: poolSize.nullish(),
  /** Kept open while the pool is in use; null: the tenant's default. */
  min_pool_size: minPoolSize.nullish(),
  pool_checkout_timeout: z.int().min(1).max(durationMsMax).optional(),
  max_clients: clients.nullish(),
})

export const tenantFields = z.object({
  name: z.string().min(1).max(textMax).optional(),
  owner: userId.optional(),
  db_host: z.string().min(1).max(textMax).optional(),
  db_port: z.int().min(1).max(65_535).optional(),
  db_database: roleName.optional(),
  ip_version: z.enum(['auto', 'v4', 'v6']).optional(),
  upstream_ssl: z.boolean().optional(),
  upstream_verify: z.enum(['none', 'peer', 'verify-ca', 'verify-full']).nullish(),
  upstream_tls_ca: z.string().max(65_536).nullish(),
  enforce_ssl: z.boolean().optional(),
  require_user: z.boolean().optional(),
  auth_query: z.string().min(1).max(8_192).nullish(),
  default_pool_size: poolSize.optional(),
  default_min_pool_size: minPoolSize.optional(),
  /** Of all pools together; null: no limit but theirs. */
  max_server_connections: poolSize.nullish(),
  default_max_clients: clients.optional(),
  sni_hostname: z.string().min(1).max(253).nullish(),
  default_pool_strategy: z.enum(['fifo', 'lifo']).optional(),
  default_parameter_status: freeForm.optional(),
  client_idle_timeout: z.int().min(0).max(durationMsMax).optional(),
  client_heartbeat_interval: z.int().min(0).max(durationMsMax).optional(),
  availability_zone: z.string().max(textMax).nullish(),
  feature_flags: freeForm.optional(),
  allow_list: z.array(z.string().max(64)).max(allowListMax).optional(),
  use_jit: z.boolean().optional(),
  jit_api_url: z.string().min(1).max(2_048).nullish(),
  jit_upstream: z.enum(['stored', 'token']).optional(),
  users: z.array(tenantUserBody).max(usersMax).optional(),
})

export type TenantFields = z.infer<typeof tenantFields>
export type TenantUserBody = z.infer<typeof tenantUserBody>

export const tenantBody = z.object({ tenant: tenantFields })

export const banBody = z
  .object({
    banned: z.boolean(),
    ban_reason: z.string().min(1).max(1_000).optional(),
    banned_until: z.iso.datetime({ offset: true, local: true }).nullish(),
  })
  .refine((body) => !body.banned || body.ban_reason !== undefined, {
    path: ['ban_reason'],
    message: "can't be blank",
  })

export const credentialsBody = z.object({
  db_user: roleName,
  db_password: z.string().min(1).max(4_096),
})

const addresses = z.array(z.string().max(64)).max(10_000)

export const liftBansBody = z.object({
  ipv4_addresses: addresses.optional(),
  ipv6_addresses: addresses.optional(),
})

const bannedAddress = z.object({ banned_address: z.string(), banned_until: z.number() })

export const bansAnswer = z.object({
  banned_ipv4_addresses: z.array(bannedAddress),
  banned_ipv6_addresses: z.array(bannedAddress),
})

const tenantUserAnswer = z.object({
  id: z.string(),
  db_user: z.string(),
  db_user_alias: z.string(),
  has_password: z.boolean(),
  is_manager: z.boolean(),
  mode_type: z.string(),
  pool_size: z.number().nullable(),
  min_pool_size: z.number().nullable(),
  pool_checkout_timeout: z.number(),
  max_clients: z.number().nullable(),
  inserted_at: isoTime,
  updated_at: isoTime,
})

export const tenantAnswer = z.object({
  id: z.string(),
  external_id: z.string(),
  name: z.string(),
  parent_ref: z.string().nullable(),
  db_host: z.string(),
  db_port: z.number(),
  db_database: z.string(),
  ip_version: z.string(),
  upstream_ssl: z.boolean(),
  upstream_verify: z.string().nullable(),
  enforce_ssl: z.boolean(),
  require_user: z.boolean(),
  auth_query: z.string().nullable(),
  default_pool_size: z.number(),
  default_min_pool_size: z.number(),
  max_server_connections: z.number().nullable(),
  default_max_clients: z.number(),
  sni_hostname: z.string().nullable(),
  default_pool_strategy: z.string(),
  default_parameter_status: z.record(z.string(), z.unknown()),
  server_version: z.string().nullable(),
  client_idle_timeout: z.number(),
  client_heartbeat_interval: z.number(),
  availability_zone: z.string().nullable(),
  feature_flags: z.record(z.string(), z.unknown()),
  allow_list: z.array(z.string()),
  use_jit: z.boolean(),
  jit_api_url: z.string().nullable(),
  jit_upstream: z.string(),
  banned_at: z.string().nullable(),
  ban_reason: z.string().nullable(),
  banned_until: z.string().nullable(),
  inserted_at: isoTime,
  updated_at: isoTime,
  users: z.array(tenantUserAnswer),
})

export type TenantAnswer = z.infer<typeof tenantAnswer>

export const oneTenant = z.object({ data: tenantAnswer })
export const manyTenants = z.object({ data: z.array(tenantAnswer) })

export const tenantListQuery = z.object({
  /** The last ref of the page before. */
  after: z.string().max(63).optional(),
  limit: z.coerce.number().int().min(1).max(tenantsPerPageMax).default(tenantsPerPageMax),
})

export const terminateAnswer = z.object({ result: z.string() })

const oneError = z.object({ error: z.string() })
const fieldErrors = z.object({ errors: z.record(z.string(), z.array(z.string())) })

export const tenantRefusals = {
  403: z.undefined().describe('empty: no JWT of ours'),
  422: fieldErrors,
  '4xx': oneError,
  '5xx': oneError,
} as const
