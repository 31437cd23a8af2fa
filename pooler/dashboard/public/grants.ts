// A person's rules are replaced together; these make the new set from the one that is there, and read
// one rule's conditions for the page. Pure.
import type { Grant, LiveSession } from './shapes.ts'

export interface Conditions {
  /** Epoch seconds; null: no end. */
  readonly expiresAt: number | null
  readonly v4: readonly string[]
  readonly v6: readonly string[]
  readonly branchesOnly: boolean
  readonly reason: string
}

export function grantOf(role: string, conditions: Conditions): Grant {
  const listOf = (cidrs: readonly string[]) => cidrs.map((cidr) => ({ cidr }))
  const networks = {
    ...(conditions.v4.length > 0 && { allowed_cidrs: listOf(conditions.v4) }),
    ...(conditions.v6.length > 0 && { allowed_cidrs_v6: listOf(conditions.v6) }),
  }
  const reason = conditions.reason.trim()
  return {
    role,
    ...(conditions.expiresAt !== null && { expires_at: conditions.expiresAt }),
    ...(Object.keys(networks).length > 0 && { allowed_networks: networks }),
    ...(conditions.branchesOnly && { branches_only: true }),
    ...(reason !== '' && { reason }),
  }
}

/** The given roles anew, the others as they are. */
export function withGrants(existing: readonly Grant[], given: readonly Grant[]): Grant[] {
  const roles = new Set(given.map((grant) => grant.role))
  return [...existing.filter((grant) => !roles.has(grant.role)), ...given]
}

export const withoutRole = (existing: readonly Grant[], role: string): Grant[] =>
  existing.filter((grant) => grant.role !== role)

export const networksOf = ({ allowed_networks: networks }: Grant): string[] => [
  ...(networks?.allowed_cidrs ?? []).map((one) => one.cidr),
  ...(networks?.allowed_cidrs_v6 ?? []).map((one) => one.cidr),
]

export type RuleStatus = 'active' | 'soon' | 'over' | 'off'

const soonMs = 15 * 60_000

/** `off`: temporary access is disabled, so no rule gives anything. */
export function statusOf(grant: Grant, isEnabled: boolean, nowMs: number): RuleStatus {
  const endMs = grant.expires_at === undefined ? null : grant.expires_at * 1000
  if (endMs !== null && endMs <= nowMs) return 'over'
  if (!isEnabled) return 'off'
  return endMs !== null && endMs - nowMs < soonMs ? 'soon' : 'active'
}

/** The sessions that rest on rules of that person, of one role where it is given. */
export function sessionsOn(
  sessions: readonly LiveSession[],
  userId: string,
  role?: string,
): LiveSession[] {
  return sessions.filter(
    (one) => one.user_id === userId && (role === undefined || one.role === role),
  )
}
