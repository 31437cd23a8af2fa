// Whether the database lets roles be given away, for those who give them: at PUT of rules and in
// invitations. At login it is asked again.
import { isSameRole, type RoleVerdict } from '../access/role-verdict.ts'
import { contentOf } from '../store/rule-set.ts'
import type { Rule, RuleInput } from '../store/rules.ts'
import type { Tenant } from '../tenant/tenant.ts'
import type { ApiDeps } from './api-deps.ts'
import { badRequest } from './api-error.ts'
import { askDatabase } from './ask-database.ts'
import { storedSecretWarnings } from './upstream-warnings.ts'

export interface JudgedRules<Given extends RuleInput> {
  /** As they were given, with the identities of their roles. */
  readonly rules: readonly Given[]
  /** What is worth knowing about them. */
  readonly warnings: readonly string[]
}

export interface JudgeOptions {
  /** The key that the caller wrote, for messages. */
  readonly key: 'roles' | 'user_roles'
  /** What these rules replace. */
  readonly existing?: readonly Rule[]
}

/**
 * Throws 400 for a role that may not be given away. A rule that is sent back unchanged is given to nobody:
 * it is never refused, and keeps its identity where the database cannot be asked, so that the rule beside
 * it can be taken back at any time.
 */
export async function judgeRoles<Given extends RuleInput>(
  deps: Pick<ApiDeps, 'assignableRoles' | 'log'>,
  tenant: Tenant,
  rules: readonly Given[],
  { key, existing = [] }: JudgeOptions,
): Promise<JudgedRules<Given>> {
  if (rules.length === 0) return { rules, warnings: [] }
  const sameAs = (rule: Given) => existing.find((one) => contentOf(one) === contentOf(rule))
  const isOptional = rules.every((rule) => sameAs(rule) !== undefined)
  const verdicts = await verdictsOf(deps, tenant, isOptional)
  const warnings: string[] = verdicts === null ? [unasked] : []
  const judged = rules.map((rule, index) => {
    const { role } = rule
    const verdict = verdicts?.get(role)
    const fault = faultOf(role, verdict)
    if (verdict === undefined || fault !== null) {
      const same = sameAs(rule)
      if (same === undefined) throw badRequest(`${key}.${index}.role: ${fault}`)
      if (verdicts !== null) warnings.push(`${role}: ${fault}; nobody logs in by this rule`)
      return { ...rule, roleIdentity: same.roleIdentity }
    }
    const { identity: roleIdentity } = verdict
    const before = existing.find((one) => one.role === role)?.roleIdentity ?? null
    if (!isSameRole(before, roleIdentity)) warnings.push(`${role}: ${anew}`)
    for (const text of verdict.warnings) warnings.push(`${role}: ${text}`)
    warnings.push(...storedSecretWarnings(tenant, role))
    return { ...rule, roleIdentity }
  })
  return { rules: judged, warnings }
}

/** null where the database cannot be asked and `isOptional`; else it throws. */
async function verdictsOf(
  deps: Pick<ApiDeps, 'assignableRoles' | 'log'>,
  tenant: Tenant,
  isOptional: boolean,
): Promise<ReadonlyMap<string, RoleVerdict> | null> {
  try {
    const all = await askDatabase(deps, tenant, () => deps.assignableRoles.list(tenant))
    return new Map(all.map((verdict) => [verdict.role, verdict]))
  } catch (error) {
    if (isOptional) return null
    throw error
  }
}

function faultOf(role: string, verdict: RoleVerdict | undefined): string | null {
  if (verdict === undefined) return `the database has no role ${role}`
  return verdict.isAssignable ? null : `${role} cannot be assigned: ${verdict.reason}`
}

const unasked = 'the database could not be asked; the rules that stay are as they were given'

const anew =
  'the database has another role under this name than when the rule was given; the rule is for the new one from now on'
