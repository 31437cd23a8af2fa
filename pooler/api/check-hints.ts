// What somebody who checks their own access can do about each reason against it.
import type { RefusalReason } from '../access/decide-access.ts'
import type { RoleReason } from '../access/role-verdict.ts'

export type CheckReason =
  | RefusalReason
  | Exclude<RoleReason, 'role_not_assignable'>
  | 'decided_elsewhere'
  | 'project_banned'
  | 'database_unreachable'

const hints: Readonly<Record<CheckReason, string>> = {
  project_banned: 'the operator has shut this project; ask them',
  token_unknown: 'make a token with POST /v1/access-tokens',
  token_revoked: 'make a new token with POST /v1/access-tokens',
  token_expired: 'make a new token with POST /v1/access-tokens',
  logged_out: 'sign in again',
  scope_permission: 'use a token whose permissions name database_jit_read',
  scope_project: 'use a token whose projects name this one, or a token without a scope',
  scope_role: 'use a token whose roles name this one, or log in as a role that it names',
  scope_network: 'come from a network that the token names, or use another token',
  access_disabled: 'ask an owner or administrator to enable temporary access for the project',
  no_rule: 'ask an owner or administrator for a rule in this project',
  role_not_granted: 'log in as a role that a rule of yours names, or ask for a rule for this one',
  role_made_anew:
    'the database has another role under this name than when the rule was given; ask an owner or administrator to give the rule again',
  rule_expired: 'ask an owner or administrator to give the rule again',
  branches_only:
    'connect to a branch of this project, or ask for a rule that is not for branches only',
  network_not_allowed: 'come from a network that the rule names, or ask for yours to be added',
  decided_elsewhere:
    'an outside authoriser (jit_api_url) decides for this project, by the token that you log in with; rules here have no say',
  database_unreachable: 'try again; the database of the project does not answer right now',
}

/** The database's own words against a role are reasons too. */
const roleHint = 'ask an owner or administrator for a rule for another role'

/** null where nothing is against it, or what could not be tested follows from another test. */
export function hintFor(check: string, reason: string | null): string | null {
  if (reason === null) return null
  if (reason in hints) return hints[reason as CheckReason]
  return check === 'assignable' ? roleHint : null
}
