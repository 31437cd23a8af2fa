// What the API's answers hold, as far as the pages use it. The API's own document has all of it.

export type MembershipRole = 'owner' | 'administrator' | 'developer' | 'read_only' | 'guest'

export interface Profile {
  readonly gotrue_id: string
  readonly primary_email: string | null
  readonly username: string
}

export interface Project {
  readonly ref: string
  readonly name: string
  readonly created_at: string
  readonly status: string
  readonly role: MembershipRole
}

export interface Grant {
  readonly role: string
  /** Epoch seconds. */
  readonly expires_at?: number
  readonly expires_after_seconds?: number
  readonly allowed_networks?: {
    readonly allowed_cidrs?: readonly { readonly cidr: string }[]
    readonly allowed_cidrs_v6?: readonly { readonly cidr: string }[]
  }
  readonly branches_only?: boolean
  readonly reason?: string
}

export interface Mapping {
  readonly user_id: string
  readonly user_roles: readonly Grant[]
  readonly warnings?: readonly string[]
}

export interface MappingRow {
  /** null: invited, and no member yet. */
  readonly user_id: string | null
  readonly primary_email: string | null
  readonly user_roles: readonly Grant[]
  readonly invite_id: string | null
  readonly expires_at: string | null
}

export interface AccessState {
  readonly state: 'enabled' | 'disabled' | 'unavailable'
  readonly unavailableReason?: string
}

export interface RoleVerdict {
  readonly role: string
  readonly assignable: boolean
  readonly reason: string | null
  readonly warnings: readonly string[]
}

export interface Member {
  readonly user_id: string
  readonly primary_email: string | null
  readonly username: string
  readonly role: MembershipRole
}

export interface LiveSession {
  readonly id: string
  readonly user_id: string
  readonly email: string | null
  readonly role: string
  readonly address: string
  readonly application_name: string | null
  readonly started_at: string
  readonly expires_at: number | null
}

export interface RecordedEvent {
  readonly id: string
  readonly time: string
  readonly actor: string | null
  readonly action: string
  readonly user_id: string | null
  readonly role: string | null
  readonly address: string | null
  readonly token_name: string | null
  readonly application_name: string | null
  readonly session_id: string | null
  readonly reason: string | null
  readonly duration_ms: number | null
  readonly transactions: number | null
  readonly bytes: number | null
  readonly count: number | null
  readonly details: Readonly<Record<string, unknown>> | null
}

export interface EventPage {
  readonly items: readonly RecordedEvent[]
  readonly next_cursor: string | null
}

export interface Token {
  readonly id: string
  readonly name: string
  readonly prefix: string
  readonly permissions: readonly string[] | null
  readonly projects: readonly string[] | null
  readonly roles: readonly string[] | null
  readonly networks: readonly string[] | null
  readonly created_at: string
  readonly expires_at: number | null
  readonly last_used_at: string | null
}

export interface Branch {
  readonly id: string
  readonly name: string
  readonly project_ref: string
  readonly parent_project_ref: string
  readonly created_at: string
}

export interface PoolerConfig {
  readonly db_user: string
  readonly db_host: string
  readonly db_port: number
  readonly db_name: string
  readonly pool_mode: 'transaction' | 'session'
}

export interface OwnAccess extends Grant {
  readonly project: {
    readonly ref: string
    readonly name: string
    readonly parent_project_ref: string | null
    readonly state: 'enabled' | 'disabled'
  }
  readonly is_active: boolean
}

export interface CheckAnswer {
  readonly rhost: string
  readonly allowed: boolean
  readonly results: readonly {
    readonly role: string | null
    readonly allowed: boolean
    readonly expires_at: number | null
    readonly warnings: readonly string[]
    readonly checks: readonly {
      readonly check: string
      readonly passed: boolean | null
      readonly reason: string | null
    }[]
  }[]
}
