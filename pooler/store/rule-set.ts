// The rules of one member in one project as one set: its shape, its ETag, and how rows become it.
// Reading and writing are rules.ts.
import { createHash } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { MemberRules, Rule, RuleInput } from './rules.ts'
import type { RulesTable } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'

export type RuleRow = Selectable<RulesTable>

export function gather(rows: readonly (RuleRow & { email: string | null })[]): MemberRules[] {
  const byMember = Map.groupBy(rows, (row) => row.user_id)
  return [...byMember].map(([userId, own]) =>
    memberRules(userId, own[0]?.email ?? null, own.map(ruleOf)),
  )
}

export function memberRules(
  userId: string,
  email: string | null,
  rules: readonly Rule[],
): MemberRules {
  const content = rules.map(contentOf).join('\n')
  const digest = createHash('sha256').update(`${userId}\n${content}`).digest('hex')
  return { userId, email, rules, etag: `"${digest.slice(0, 32)}"` }
}

/** What makes two rules the same one to their author. */
export function contentOf(rule: RuleInput): string {
  const { role, expiresAtMs, networksV4, networksV6, branchesOnly, reason } = rule
  return JSON.stringify([role, expiresAtMs, networksV4, networksV6, branchesOnly, reason ?? null])
}

/** RFC 9110 section 13.1.1: `*` asks for any current set, else one of a list of strong tags. */
export function matches(ifMatch: string, current: MemberRules): boolean {
  if (ifMatch.trim() === '*') return current.rules.length > 0
  return ifMatch.split(',').some((tag) => tag.trim() === current.etag)
}

export function refuseDoubleRoles(rules: readonly RuleInput[]): void {
  const roles = new Set<string>()
  for (const { role } of rules) {
    if (roles.has(role)) throw new StoreRefusal('invalid', `role "${role}" is given twice`)
    roles.add(role)
  }
}

export function ruleOf(row: RuleRow): Rule {
  return {
    id: row.id,
    ref: row.project_ref,
    userId: row.user_id,
    role: row.role,
    expiresAtMs: row.expires_at?.getTime() ?? null,
    networksV4: row.networks_v4,
    networksV6: row.networks_v6,
    branchesOnly: row.branches_only,
    reason: row.reason,
    roleIdentity: row.role_identity,
    createdAtMs: row.created_at.getTime(),
    createdBy: row.created_by,
    updatedAtMs: row.updated_at.getTime(),
  }
}
