// Puts the question of a login for somebody who asks about themselves over HTTP. The answer is
// decide-access's; here the facts are gathered, fresh from the store, and what lies around the
// decision (a ban, the database's own view of the role) is looked at as well.
import { PoolerError } from '../../shared/errors.ts'
import {
  type AccessGranted,
  type AccessQuestion,
  decideAccess,
  rulesRefOf,
  testAccess,
} from '../access/decide-access.ts'
import { type RoleVerdict, roleFault } from '../access/role-verdict.ts'
import type { Rule } from '../store/rules.ts'
import { isBanned, type Tenant } from '../tenant/tenant.ts'
import type { ApiDeps } from './api-deps.ts'
import { askDatabase } from './ask-database.ts'
import type { Caller } from './authorize.ts'

export interface Check {
  readonly check: string
  /** null: could not be tested. */
  readonly passed: boolean | null
  readonly reason: string | null
}

type FactDeps = Pick<ApiDeps, 'rules' | 'clock' | 'assignableRoles' | 'log'>

/** All that a decision for the caller needs but the role. */
export type CallerFacts = Omit<AccessQuestion, 'role'> & {
  readonly project: Tenant
  readonly rules: readonly Rule[]
}

export async function factsOf(
  deps: FactDeps,
  caller: Caller,
  project: Tenant,
  clientAddress: string,
): Promise<CallerFacts> {
  const standing = await deps.rules.standingOf(rulesRefOf(project), caller.member.userId)
  const nowMs = deps.clock.wallMs()
  const { token, member } = caller
  return { token, member, project, clientAddress, nowMs, ...standing }
}

export type LoginAnswer = AccessGranted | { readonly isAllowed: false; readonly reason: string }

/** Throws EAUTHPROVIDER when the database cannot be asked about the role. */
export async function decideLogin(
  deps: FactDeps,
  facts: CallerFacts,
  role: string,
): Promise<LoginAnswer> {
  if (isBanned(facts.project, facts.nowMs)) return { isAllowed: false, reason: 'project_banned' }
  const decision = decideAccess({ ...facts, role })
  if (!decision.isAllowed) return decision
  const verdict = await verdictOn(deps, facts.project, role)
  if (verdict === null) throw new PoolerError('EAUTHPROVIDER')
  const reason = roleFault(decision.rule.roleIdentity, verdict)
  return reason === null ? decision : { isAllowed: false, reason }
}

/** Every test that a login would go through, in its order. */
export async function checkLogin(
  deps: FactDeps,
  facts: CallerFacts,
  role: string | null,
): Promise<readonly Check[]> {
  const isOut = isBanned(facts.project, facts.nowMs)
  const shut = { check: 'project', passed: !isOut, reason: isOut ? 'project_banned' : null }
  if (facts.project.jitApiUrl !== null) return [shut, ...elsewhereChecks(facts.project)]
  const assignable =
    role === null
      ? { check: 'assignable', passed: null, reason: null }
      : await assignableCheck(deps, facts, role)
  return [
    shut,
    ...testAccess({ ...facts, role: role ?? '' }).map(({ test, isPassed, reason }) => ({
      check: test,
      passed: isPassed,
      reason,
    })),
    assignable,
  ]
}

/** The token of this call is not shown to the authoriser: it is asked about those of logins alone. */
function elsewhereChecks({ useJit }: Tenant): Check[] {
  return [
    { check: 'state', passed: useJit, reason: useJit ? null : 'access_disabled' },
    { check: 'authoriser', passed: null, reason: 'decided_elsewhere' },
  ]
}

async function assignableCheck(deps: FactDeps, facts: CallerFacts, role: string): Promise<Check> {
  const check = 'assignable'
  const verdict = await verdictOn(deps, facts.project, role)
  if (verdict === null) return { check, passed: null, reason: 'database_unreachable' }
  const given = facts.rules.find((rule) => rule.role === role)?.roleIdentity ?? null
  const fault = roleFault(given, verdict)
  return { check, passed: fault === null, reason: verdict.reason ?? fault }
}

/** null: the database cannot be asked. */
async function verdictOn(
  deps: FactDeps,
  project: Tenant,
  role: string,
): Promise<RoleVerdict | null> {
  try {
    return await askDatabase(deps, project, () => deps.assignableRoles.judge(project, role))
  } catch (error) {
    if (!(error instanceof PoolerError)) throw error
    return null
  }
}
