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
  createdBy: null,
  updatedAtMs: 0,
  ...changes,
})
