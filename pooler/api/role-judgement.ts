// Whether the database lets roles be given away, for those who give them: at PUT of rules and in
// invitations. At login it is asked again.
import type { RuleInput } from '../store/rules.ts'
import type { Tenant } from '../tenant/tenant.ts'
import type { ApiDeps } from './api-deps.ts'
import { badRequest } from './api-error.ts'
import { askDatabase } from './ask-database.ts'
import { storedSecretWarnings } from './upstream-warnings.ts'

/** Throws 400 for a role that may not be given away; else what is worth knowing about those given. */
export async function judgeRoles(
  deps: Pick<ApiDeps, 'assignableRoles' | 'log'>,
  tenant: Tenant,
  rules: readonly RuleInput[],
  key: 'roles' | 'user_roles',
): Promise<readonly string[]> {
  if (rules.length === 0) return []
  const all = await askDatabase(deps, tenant, () => deps.assignableRoles.list(tenant))
  const verdicts = new Map(all.map((verdict) => [verdict.role, verdict]))
  return rules.flatMap(({ role }, index) => {
    const verdict = verdicts.get(role)
    if (verdict === undefined) {
      throw badRequest(`${key}.${index}.role: the database has no role ${role}`)
    }
    if (!verdict.isAssignable) {
      throw badRequest(`${key}.${index}.role: ${role} cannot be assigned: ${verdict.reason}`)
    }
    const warnings = verdict.warnings.map((text) => `${role}: ${text}`)
    return [...warnings, ...storedSecretWarnings(tenant, role)]
  })
}
