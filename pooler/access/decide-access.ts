// The one decision of temporary access: may this token be that role of this project, from there, now?
// Pure. Where the facts come from, and what follows from the answer, is for others.
import type { Member } from '../store/members.ts'
import type { Rule } from '../store/rules.ts'
import type { MembershipRole } from '../store/schema.ts'
import type { TokenRecord } from '../store/tokens.ts'
import { areNetworksOpenTo, networkWarnings } from './rule-networks.ts'
import { loginScopeFault, type ScopeFault } from './token-scope.ts'

/** Goes to the record and the owner's self-check, never to the wire. In the order of the tests. */
export type RefusalReason =
  | 'token_unknown'
  | 'token_revoked'
  | 'logged_out'
  | 'token_expired'
  | ScopeFault
  | 'access_disabled'
  | 'no_rule'
  | 'role_not_granted'
  | 'rule_expired'
  | 'branches_only'
  | 'network_not_allowed'

/** A session by JWT is its token until it ends or is logged out. */
export type TokenState = Pick<TokenRecord, 'expiresAtMs' | 'revokedAtMs'> & {
  readonly isLoggedOut?: boolean
}

export interface AccessQuestion {
  /** null: no such token. */
  readonly token: (TokenState & Pick<TokenRecord, 'scope'>) | null
  /** null: the token's owner is gone. */
  readonly member: Pick<Member, 'userId'> | null
  /** In the project that holds the rules; null: none. */
  readonly membership: MembershipRole | null
  readonly project: {
    readonly ref: string
    readonly parentRef: string | null
    /** Temporary access is enabled: the parent's state where this is a branch. */
    readonly useJit: boolean
  }
  /** The member's rules of `rulesRefOf(project)`; others are not looked at. */
  readonly rules: readonly Rule[]
  readonly role: string
  readonly clientAddress: string
  readonly nowMs: number
}

export interface AccessGranted {
  readonly isAllowed: true
  /** The first instant at which it holds no longer; null: without end. */
  readonly endsAtMs: number | null
  readonly rule: Rule
  readonly warnings: readonly string[]
}

export interface AccessRefused {
  readonly isAllowed: false
  readonly reason: RefusalReason
}

export type AccessTest =
  | 'token'
  | 'scope'
  | 'state'
  | 'rule'
  | 'role'
  | 'expiry'
  | 'branch'
  | 'network'

/** One test of the decision. Tests behind a failed one still tell, where they have what they need. */
export interface TestResult {
  readonly test: AccessTest
  /** null: could not be tested, as what it needs is missing. */
  readonly isPassed: boolean | null
  readonly reason: RefusalReason | null
}

/** The project whose rules, members and state hold: the parent of a branch, else itself. */
export function rulesRefOf(project: { ref: string; parentRef: string | null }): string {
  return project.parentRef ?? project.ref
}

/** Why the token is worth nothing at this instant, if so. At its very end it has ended. */
export function tokenFault(
  token: TokenState | null,
  nowMs: number,
): 'token_unknown' | 'token_revoked' | 'logged_out' | 'token_expired' | null {
  if (token === null) return 'token_unknown'
  if (token.revokedAtMs !== null) return 'token_revoked'
  if (token.isLoggedOut === true) return 'logged_out'
  return isOver(token.expiresAtMs, nowMs) ? 'token_expired' : null
}

export function decideAccess(question: AccessQuestion): AccessGranted | AccessRefused {
  const failed = testAccess(question).find((result) => result.isPassed === false)
  if (failed?.reason != null) return { isAllowed: false, reason: failed.reason }
  const rule = ruleFor(question)
  // No test failed, so all of them had what they need.
  if (rule === null) return { isAllowed: false, reason: 'role_not_granted' }
  return {
    isAllowed: true,
    endsAtMs: earlier(rule.expiresAtMs, question.token?.expiresAtMs ?? null),
    rule,
    warnings: networkWarnings(rule),
  }
}

/** Every test with its result, in the order in which they decide. */
export function testAccess(question: AccessQuestion): TestResult[] {
  const { token, member, membership, project, clientAddress, nowMs } = question
  const rule = ruleFor(question)
  const isBranch = project.parentRef !== null
  return [
    result('token', tokenFault(member === null ? null : token, nowMs)),
    token === null ? untested('scope') : result('scope', loginScopeFault(token.scope, question)),
    result('state', project.useJit ? null : 'access_disabled'),
    result('rule', membership === null || heldRules(question).length === 0 ? 'no_rule' : null),
    result('role', rule === null ? 'role_not_granted' : null),
    ...(rule === null
      ? (['expiry', 'branch', 'network'] as const).map(untested)
      : [
          result('expiry', isOver(rule.expiresAtMs, nowMs) ? 'rule_expired' : null),
          result('branch', rule.branchesOnly && !isBranch ? 'branches_only' : null),
          result('network', areNetworksOpenTo(rule, clientAddress) ? null : 'network_not_allowed'),
        ]),
  ]
}

const result = (test: AccessTest, reason: RefusalReason | null): TestResult => ({
  test,
  isPassed: reason === null,
  reason,
})

const untested = (test: AccessTest): TestResult => ({ test, isPassed: null, reason: null })

/** A caller that hands in another project's or person's rules opens nothing by it. */
function heldRules({ rules, project, member }: AccessQuestion): readonly Rule[] {
  const ref = rulesRefOf(project)
  return rules.filter((rule) => rule.ref === ref && rule.userId === member?.userId)
}

function ruleFor(question: AccessQuestion): Rule | null {
  if (question.membership === null) return null
  return heldRules(question).find((rule) => rule.role === question.role) ?? null
}

const isOver = (endMs: number | null, nowMs: number) => endMs !== null && nowMs >= endMs

function earlier(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other
  return Math.min(one, other)
}
