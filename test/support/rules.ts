import type { RoleVerdict } from '../../pooler/access/role-verdict.ts'
import type { Rule } from '../../pooler/store/rules.ts'

/** A rule that lets ada be postgres of shop; `changes` says what a test is about. */
export const makeRule = (changes: Partial<Rule> = {}): Rule => ({
  id: 'rule',
  ref: 'shop',
  userId: 'ada',
  role: 'postgres',
  expiresAtMs: null,
  networksV4: [],
  networksV6: [],
  branchesOnly: false,
  reason: null,
  createdAtMs: 0,
  roleIdentity: null,
  createdBy: null,
  updatedAtMs: 0,
  ...changes,
})

/** Of a role that may be given away. */
export const makeVerdict = (role: string, changes: Partial<RoleVerdict> = {}): RoleVerdict => ({
  role,
  identity: null,
  isAssignable: true,
  reason: null,
  warnings: [],
  ...changes,
})
