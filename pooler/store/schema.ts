// The metadata tables as kysely sees them; migrations/ makes them. Names here are the columns'.
import type { ColumnType, Generated } from 'kysely'

type Time = ColumnType<Date, Date, Date>
type MaybeTime = ColumnType<Date | null, Date | null | undefined, Date | null>
type Json = ColumnType<unknown, string, string>
type MaybeJson = ColumnType<unknown, string | null | undefined, string | null>

export type MembershipRole = 'owner' | 'administrator' | 'developer' | 'read_only' | 'guest'

export interface MembersTable {
  user_id: string
  email: string | null
  name: string
  is_operator: boolean
  created_at: Generated<Date>
}

export interface TenantsTable {
  id: Generated<string>
  ref: string
  name: string
  parent_ref: string | null
  db_host: string
  db_port: number
  db_database: string
  ip_version: 'auto' | 'v4' | 'v6'
  upstream_tls: 'disable' | 'require' | 'verify-ca' | 'verify-full'
  upstream_ca: string | null
  sni_hostname: string | null
  enforce_ssl: boolean
  require_user: boolean
  auth_query: string | null
  default_pool_size: number
  default_min_pool_size: Generated<number>
  /** Over all pools; null: no limit but theirs. */
  max_server_connections: number | null
  default_max_clients: number
  default_pool_strategy: 'fifo' | 'lifo'
  default_parameter_status: Json
  server_version: string | null
  client_idle_timeout_ms: number
  client_heartbeat_interval_s: number
  allow_list: string[]
  availability_zone: string | null
  feature_flags: Json
  use_jit: boolean
  jit_api_url: string | null
  jit_upstream: 'stored' | 'token'
  banned_at: MaybeTime
  ban_reason: string | null
  banned_until: MaybeTime
  /** From one sequence for all tenants: a tenant made again under an old ref has a new version. */
  version: Generated<number>
  created_at: Generated<Date>
  updated_at: Generated<Date>
}

export interface TenantRolesTable {
  id: Generated<string>
  project_ref: string
  db_user: string
  db_user_alias: string
  /** Sealed by SecretBox for (ref, db_user, 'db_password'). */
  db_password: Buffer | null
  is_manager: boolean
  mode_type: 'transaction' | 'session'
  /** null: the tenant's default. */
  pool_size: number | null
  /** null: the tenant's default. */
  min_pool_size: number | null
  pool_checkout_timeout_ms: number
  max_clients: number | null
  created_at: Generated<Date>
  updated_at: Generated<Date>
}

export interface MembershipsTable {
  project_ref: string
  user_id: string
  role: MembershipRole
  created_at: Generated<Date>
}

export interface AccessTokensTable {
  id: Generated<string>
  user_id: string
  name: string
  /** What a list shows of the token; never enough to guess the rest. */
  prefix: string
  sha256: Buffer
  kind: 'classic' | 'scoped'
  permissions: string[] | null
  projects: string[] | null
  roles: string[] | null
  networks: string[] | null
  created_at: Generated<Date>
  expires_at: MaybeTime
  revoked_at: MaybeTime
  last_used_at: MaybeTime
}

export interface RulesTable {
  id: Generated<string>
  project_ref: string
  user_id: string
  role: string
  expires_at: MaybeTime
  networks_v4: string[]
  networks_v6: string[]
  branches_only: boolean
  reason: string | null
  created_by: string | null
  created_at: Generated<Date>
  updated_at: Generated<Date>
  /** Of the role when the rule was given, as role-verdict.ts writes it; null: not known. */
  role_identity: ColumnType<string | null, string | null | undefined, string | null>
}

export interface InvitationsTable {
  id: Generated<string>
  project_ref: string
  email: string
  sha256: Buffer
  /** InvitedRule[]. */
  grants: Json
  delivery: 'by hand' | 'pending' | 'delivered' | 'failed'
  created_by: string | null
  created_at: Generated<Date>
  expires_at: Time
}

/** No foreign keys: rows outlive the project, member or token that they name. */
export interface EventsTable {
  id: Generated<number>
  time: Time
  project_ref: string | null
  actor: string | null
  action: string
  subject: string | null
  role: string | null
  address: string | null
  token_id: string | null
  token_name: string | null
  application_name: string | null
  session_id: string | null
  reason: string | null
  duration_ms: number | null
  transactions: number | null
  bytes: number | null
  occurrences: number
  details: MaybeJson
  process: string
}

export interface SigningKeysTable {
  kid: string
  public_jwk: Json
  /** Sealed by SecretBox for (kid). */
  sealed_jwk: Buffer
  created_at: Generated<Date>
}

export interface EndedSessionsTable {
  key: Buffer
  token_id: string
  ends_at: Time
}

export interface IdentitiesTable {
  id: string
  issuer: string
  subject: string
  user_id: string
  created_at: Generated<Date>
}

export interface ProcessesTable {
  name: string
  started_at: Generated<Date>
  last_seen_at: Generated<Date>
}

export interface LiveSessionsTable {
  session_id: string
  process: string
  project_ref: string
  user_id: string
  email: string | null
  role: string
  address: string
  application_name: string | null
  started_at: Time
  ends_at: MaybeTime
}

export interface HoldsTable {
  id: string
  session_id: string
  project_ref: string
  user_id: string
  role: string
  server_process_id: number
  from_at: Time
  /** null: it goes on. */
  to_at: MaybeTime
  process: string
}

export interface WebSessionsTable {
  sha256: Buffer
  user_id: string
  bearer: Json
  created_at: Time
  last_used_at: Time
  ends_at: Time
}

export interface Schema {
  members: MembersTable
  tenants: TenantsTable
  tenant_roles: TenantRolesTable
  memberships: MembershipsTable
  access_tokens: AccessTokensTable
  rules: RulesTable
  invitations: InvitationsTable
  events: EventsTable
  signing_keys: SigningKeysTable
  ended_sessions: EndedSessionsTable
  identities: IdentitiesTable
  processes: ProcessesTable
  live_sessions: LiveSessionsTable
  holds: HoldsTable
  web_sessions: WebSessionsTable
}
