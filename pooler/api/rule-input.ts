// From the grants of a PUT to rules for the store, and back to what an answer shows. Which roles a
// database lets be assigned is asked elsewhere.

import { isDeepStrictEqual } from 'node:util'
import { readEpoch } from '../../shared/epoch.ts'
import { networkWarnings } from '../access/rule-networks.ts'
import type { InvitedRule } from '../store/invitations.ts'
import type { RuleInput } from '../store/rules.ts'
import { badRequest } from './api-error.ts'
import { endOfRule, toEpochSeconds } from './expires-at.ts'
import { readNetworks } from './networks.ts'
import type { RoleGrant, RoleGrantAnswer } from './schemas/rules.ts'

export interface ReadRulesOptions {
  /** The member's rules as they are: one of these sent back unchanged may be past its end. */
  readonly existing: readonly RuleInput[]
  readonly nowMs: number
  readonly isExpiryRequired: boolean
  /** The key that the caller wrote, for messages. */
  readonly key: 'roles' | 'user_roles'
}

/** Throws 400 naming the field. */
export function readRules(
  grants: readonly RoleGrant[],
  { existing, nowMs, isExpiryRequired, key }: ReadRulesOptions,
): readonly RuleInput[] {
  const roles = new Set<string>()
  return grants.map((grant, index) => {
    const where = `${key}.${index}`
    if (roles.has(grant.role)) throw badRequest(`${where}.role: ${grant.role} is given twice`)
    roles.add(grant.role)
    const rule = readRule(grant, where)
    const isUnchanged = existing.some((one) => isDeepStrictEqual(formOf(one), formOf(rule)))
    if (isUnchanged) return rule
    if (typeof grant.expires_at === 'number') {
      endOfRule(grant.expires_at, nowMs, `${where}.expires_at`)
    } else if (isExpiryRequired) {
      throw badRequest(`${where}.expires_at: a rule needs an end here, in epoch seconds`)
    }
    return rule
  })
}

function readRule(grant: RoleGrant, where: string): RuleInput {
  const networks = grant.allowed_networks
  const textsOf = (list: readonly { cidr: string }[] | null | undefined): readonly string[] =>
    (list ?? []).map((entry) => entry.cidr)
  const networksWhere = `${where}.allowed_networks`
  return {
    role: grant.role,
    expiresAtMs: typeof grant.expires_at === 'number' ? readEpoch(grant.expires_at) : null,
    networksV4: readNetworks(
      textsOf(networks?.allowed_cidrs),
      'v4',
      `${networksWhere}.allowed_cidrs`,
    ),
    networksV6: readNetworks(
      textsOf(networks?.allowed_cidrs_v6),
      'v6',
      `${networksWhere}.allowed_cidrs_v6`,
    ),
    branchesOnly: grant.branches_only ?? false,
    reason: grant.reason ?? null,
  }
}

/** What of a rule its author chose. */
const formOf = (rule: RuleInput): unknown => [
  rule.role,
  rule.expiresAtMs,
  [...rule.networksV4],
  [...rule.networksV6],
  rule.branchesOnly,
  rule.reason ?? null,
]

export function ruleAnswer(rule: RuleInput): RoleGrantAnswer {
  const listOf = (cidrs: readonly string[]): { cidr: string }[] => cidrs.map((cidr) => ({ cidr }))
  const networks = {
    ...(rule.networksV4.length > 0 && { allowed_cidrs: listOf(rule.networksV4) }),
    ...(rule.networksV6.length > 0 && { allowed_cidrs_v6: listOf(rule.networksV6) }),
  }
  return {
    role: rule.role,
    ...(rule.expiresAtMs !== null && { expires_at: toEpochSeconds(rule.expiresAtMs) }),
    ...(Object.keys(networks).length > 0 && { allowed_networks: networks }),
    ...(rule.branchesOnly && { branches_only: true }),
    ...(typeof rule.reason === 'string' && { reason: rule.reason }),
  }
}

export function invitedRuleAnswer(
  rule: InvitedRule,
): RoleGrantAnswer & { expires_after_seconds?: number } {
  const { expiresAfterS } = rule
  return {
    ...ruleAnswer(rule),
    ...(expiresAfterS !== null && { expires_after_seconds: expiresAfterS }),
  }
}

/** What the author of these rules should know, though nothing is wrong. */
export function ruleWarnings(rules: readonly RuleInput[]): string[] {
  return rules.flatMap((rule) => networkWarnings(rule).map((text) => `${rule.role}: ${text}`))
}
