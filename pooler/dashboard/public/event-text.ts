// The record in words. What is not known here is shown as it is written. Pure.
import { bytes, duration, plural } from './format.ts'
import type { RecordedEvent } from './shapes.ts'

export const actionNames: Readonly<Record<string, string>> = {
  login: 'Logged in',
  asked: 'Login asked',
  refused: 'Refused',
  ended: 'Session ended',
  rule_changed: 'Rules changed',
  rule_removed: 'Rules removed',
  state_changed: 'Temporary access switched',
  session_ended_by_hand: 'Session ended by hand',
  role_statement: 'Changed roles in SQL',
  invitation_created: 'Invited',
  invitation_accepted: 'Invitation accepted',
  invitation_removed: 'Invitation withdrawn',
  membership_put: 'Membership set',
  membership_removed: 'Membership ended',
  token_created: 'Token created',
  token_revoked: 'Token revoked',
  ssl_enforcement_changed: 'TLS enforcement changed',
  ban_changed: 'Project ban changed',
  branch_created: 'Branch created',
  branch_removed: 'Branch removed',
  tenant_put: 'Project changed',
  tenant_removed: 'Project removed',
  network_bans_lifted: 'Network bans lifted',
  member_put: 'Person changed',
  member_removed: 'Person removed',
  console_command: 'Console command',
}

const reasons: Readonly<Record<string, string>> = {
  token_unknown: 'unknown token',
  token_revoked: 'the token was revoked',
  token_expired: 'the token is over',
  logged_out: 'logged out',
  scope_permission: 'the token’s scope lacks the permission',
  scope_project: 'the token is for other projects',
  scope_role: 'the token is for other roles',
  scope_network: 'the token is for other networks',
  access_disabled: 'temporary access is switched off',
  no_rule: 'no rule',
  role_not_granted: 'no rule for this role',
  rule_expired: 'the rule is over',
  branches_only: 'the rule is for branches only',
  network_not_allowed: 'not from this network',
  project_banned: 'the project is banned',
  process_lost: 'the process was lost',
}

export const actionName = (action: string): string =>
  actionNames[action] ?? action.replaceAll('_', ' ')

export const reasonText = (reason: string): string => reasons[reason] ?? reason.replaceAll('_', ' ')

/** `good`, `bad` or `plain`: how it is coloured, beside its words. */
export function toneOf({ action, reason }: Pick<RecordedEvent, 'action' | 'reason'>): string {
  if (action === 'refused' || (action === 'asked' && reason !== null)) return 'bad'
  return action === 'login' || action === 'asked' ? 'good' : 'plain'
}

/** What there is to say beyond who, what and when. */
export function eventDetails(event: RecordedEvent): string {
  const { details } = event
  const parts = [
    event.reason === null ? null : reasonText(event.reason),
    event.count !== null && event.count > 1 ? `${event.count} times` : null,
    event.duration_ms === null ? null : `lasted ${duration(event.duration_ms)}`,
    event.transactions === null ? null : plural(event.transactions, 'transaction'),
    event.bytes === null ? null : bytes(event.bytes),
    event.token_name === null ? null : `token “${event.token_name}”`,
    event.application_name === null ? null : event.application_name,
    typeof details?.state === 'string' ? details.state : null,
    typeof details?.membership === 'string' ? details.membership : null,
    typeof details?.email === 'string' ? details.email : null,
    rolesIn(details?.user_roles),
  ]
  return parts.filter((part) => part !== null && part !== '').join(' · ')
}

function rolesIn(grants: unknown): string | null {
  if (!Array.isArray(grants)) return null
  const roles = grants.map((grant: { role?: unknown } | null) => grant?.role)
  return roles.filter((role) => typeof role === 'string').join(', ')
}
