// Whether a role may be given away by rule. Pure; what is asked of the database is assignable-roles.ts.

export interface RoleVerdict {
  readonly role: string
  /** What stays when it is renamed, and never comes again; null: the database does not tell. */
  readonly identity: string | null
  readonly isAssignable: boolean
  /** Why not; null where it is. */
  readonly reason: string | null
  readonly warnings: readonly string[]
}

/** What the database says of one role. */
export interface RoleFacts {
  readonly role: string
  readonly oid: string
  /** pg_control_system().system_identifier: of this cluster and its replicas alone; null: not told. */
  readonly cluster: string | null
  readonly canLogin: boolean
  readonly isSuperuser: boolean
  readonly canCreateRoles: boolean
  readonly canReplicate: boolean
  readonly bypassesRls: boolean
  /**
   * Roles that it is a member of, in any number of steps. Each counts as one it can become: what SET
   * does not allow, INHERIT or the right to grant it to oneself may.
   */
  readonly memberOf: readonly { readonly role: string; readonly isSuperuser: boolean }[]
}

/** Against a role that a rule of somebody's names; beside those of decide-access.ts. */
export type RoleReason = 'role_not_assignable' | 'role_made_anew'

/** Postgres manual, section "Predefined Roles": each of them can become the server's own user. */
const serverRoles = ['pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files']
const reserved = ['pgbouncer', 'authenticator']
const reservedPrefix = 'supabase_'
const notReserved = 'supabase_read_only_user'

export function judgeRole(facts: RoleFacts, manager: string | null): RoleVerdict {
  const { role } = facts
  const reason = whyNot(facts, manager)
  const identity = identityOf(facts)
  return { role, identity, isAssignable: reason === null, reason, warnings: warningsOf(facts) }
}

/** Whether a rule that was given for a role of this identity opens what bears its name now. */
export function roleFault(given: string | null, verdict: RoleVerdict): RoleReason | null {
  if (!verdict.isAssignable) return 'role_not_assignable'
  return isSameRole(given, verdict.identity) ? null : 'role_made_anew'
}

/**
 * What is not known is not held against a rule, nor is another cluster: a dump that was restored, and
 * a branch with a server of its own, have the same roles under other oids.
 */
export function isSameRole(given: string | null, now: string | null): boolean {
  if (given === null || now === null || given === now) return true
  return clusterOf(given) !== clusterOf(now)
}

const identityOf = ({ cluster, oid }: RoleFacts): string | null =>
  cluster === null ? null : `${cluster}/${oid}`

const clusterOf = (identity: string): string => identity.slice(0, identity.indexOf('/'))

function whyNot(facts: RoleFacts, manager: string | null): string | null {
  const { role, memberOf } = facts
  if (!facts.canLogin) return 'it cannot log in'
  if (facts.isSuperuser) return 'it is a superuser'
  if (role.startsWith('pg_')) return "its name is reserved for Postgres' own roles"
  const isReserved = role.startsWith(reservedPrefix) && role !== notReserved
  if (isReserved || reserved.includes(role)) return 'its name is reserved'
  if (role === manager) return 'it is the manager that runs the auth query'
  const superuser = memberOf.find((one) => one.isSuperuser)
  if (superuser !== undefined) return `it can become the superuser ${superuser.role}`
  const server = memberOf.find((one) => serverRoles.includes(one.role))
  return server === undefined ? null : `it is a member of ${server.role}`
}

function warningsOf({ memberOf, ...facts }: RoleFacts): string[] {
  const warnings: string[] = []
  if (facts.canCreateRoles) {
    warnings.push('CREATEROLE: it can make roles that stay when temporary access has ended')
  }
  if (facts.canReplicate) warnings.push('REPLICATION: it can read every change of every table')
  if (facts.bypassesRls) warnings.push('BYPASSRLS: row level security does not hold for it')
  if (memberOf.length > 0) {
    const names = memberOf.slice(0, namedMax).map((one) => one.role)
    const more = memberOf.length > namedMax ? ` and ${memberOf.length - namedMax} more` : ''
    warnings.push(`it can become ${names.join(', ')}${more}`)
  }
  return warnings
}

/** A warning is read by a person. */
const namedMax = 20
