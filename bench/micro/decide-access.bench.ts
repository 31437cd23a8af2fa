import { bench, describe } from 'vitest'
import { type AccessQuestion, decideAccess } from '../../pooler/access/decide-access.ts'
import type { Rule } from '../../pooler/store/rules.ts'

const rule = (index: number): Rule => ({
  id: `rule ${index}`,
  ref: 'shop',
  userId: 'ada',
  role: `role ${index}`,
  expiresAtMs: Number.MAX_SAFE_INTEGER,
  networksV4: ['203.0.113.0/24', '198.51.100.0/24'],
  networksV6: ['2001:db8::/32'],
  branchesOnly: false,
  reason: null,
  roleIdentity: null,
  createdAtMs: 0,
  createdBy: null,
  updatedAtMs: 0,
})

describe('may this token be that role, from there, now', () => {
  for (const count of [1, 20]) {
    const question: AccessQuestion = {
      token: { expiresAtMs: null, revokedAtMs: null, scope: null },
      member: { userId: 'ada' },
      membership: 'developer',
      project: { ref: 'shop', parentRef: null, useJit: true },
      rules: Array.from({ length: count }, (_, index) => rule(index)),
      role: `role ${count - 1}`,
      clientAddress: '198.51.100.9',
      nowMs: Date.now(),
    }
    bench(`${count} rules with networks`, () => {
      if (!decideAccess(question).isAllowed) throw new Error('it should be allowed')
    })
  }
})
