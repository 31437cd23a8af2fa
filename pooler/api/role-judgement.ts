// Whether the database lets roles be given away, for those who give them: at PUT of rules and in
// invitations. At login it is asked again.
import { isSameRole } from '../access/role-verdict.ts'
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

/** Throws 400 for a role that may not be given away. */
export async function judgeRoles<Given extends RuleInput>(
  deps: Pick<ApiDeps, 'assignableRoles' | 'log'>,
  tenant: Tenant,
  rules: readonly Given[],
  { key, existing = [] }: JudgeOptions,
): Promise<JudgedRules<Given>> {
  if (rules.length === 0) return { rules, warnings: [] }
  const all = await askDatabase(deps, tenant, () => deps.assignableRoles.list(tenant))
  const verdicts = new Map(all.map((verdict) => [verdict.role, verdict]))
  const warnings: string[] = []
  const judged = rules.map((rule, index) => {
    const { role } = rule
    const verdict = verdicts.get(role)
    if (verdict === undefined) {
      throw badRequest(`${key}.${index}.role: the database has no role ${role}`)
    }
    if (!verdict.isAssignable) {
      throw badRequest(`${key}.${index}.role: ${role} cannot be assigned: ${verdict.reason}`)
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

const anew =
  'the database has another role under this name than when the rule was given; the rule is for the new one from now on'
