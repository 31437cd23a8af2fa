import { describe, expect, test } from 'vitest'
import {
  type AccessQuestion,
  decideAccess,
  rulesRefOf,
  testAccess,
  tokenFault,
} from '../../../pooler/access/decide-access.ts'
import type { Rule } from '../../../pooler/store/rules.ts'
import { makeRule } from '../../support/rules.ts'

const nowMs = Date.UTC(2026, 5, 1, 12)
const project = { ref: 'shop', parentRef: null, useJit: true }
const branch = { ref: 'shop-preview', parentRef: 'shop', useJit: true }

const valid = { expiresAtMs: null, revokedAtMs: null, scope: null }

const question = (changes: Partial<AccessQuestion> = {}): AccessQuestion => ({
  token: valid,
  member: { userId: 'ada' },
  membership: 'developer',
  project,
  rules: [makeRule()],
  role: 'postgres',
  clientAddress: '203.0.113.9',
  nowMs,
  ...changes,
})

const refused = (reason: string) => ({ isAllowed: false, reason })
const withRule = (changes: Partial<Rule>, others: Partial<AccessQuestion> = {}) =>
  decideAccess(question({ rules: [makeRule(changes)], ...others }))

describe('who is let in', () => {
  test('a member with a rule for the role gets in, without end where none is set', () => {
    expect(decideAccess(question())).toEqual({
      isAllowed: true,
      endsAtMs: null,
      rule: makeRule(),
      warnings: [],
    })
  })

  test('every kind of member gets in by rule alone', () => {
    for (const membership of [
      'owner',
      'administrator',
      'developer',
      'read_only',
      'guest',
    ] as const) {
      expect(decideAccess(question({ membership })).isAllowed).toBe(true)
      expect(decideAccess(question({ membership, rules: [] }))).toEqual(refused('no_rule'))
    }
  })

  test('an owner without a rule for the role does not get in', () => {
    const asked = question({ membership: 'owner', role: 'app' })
    expect(decideAccess(asked)).toEqual(refused('role_not_granted'))
  })

  test('each role has its own rule', () => {
    const rules = [makeRule({ role: 'app', expiresAtMs: nowMs - 1 }), makeRule()]
    expect(decideAccess(question({ rules }))).toMatchObject({ isAllowed: true })
    expect(decideAccess(question({ rules, role: 'app' }))).toEqual(refused('rule_expired'))
  })

  test('role names are compared exactly', () => {
    for (const role of ['Postgres', 'postgres ', 'postgre', '']) {
      expect(decideAccess(question({ role }))).toEqual(refused('role_not_granted'))
    }
  })
})

describe('the token', () => {
  test('unknown, revoked and expired are told apart', () => {
    expect(decideAccess(question({ token: null }))).toEqual(refused('token_unknown'))
    const revoked = { expiresAtMs: nowMs - 1, revokedAtMs: nowMs - 1, scope: null }
    expect(decideAccess(question({ token: revoked }))).toEqual(refused('token_revoked'))
    const expired = { expiresAtMs: nowMs - 1, revokedAtMs: null, scope: null }
    expect(decideAccess(question({ token: expired }))).toEqual(refused('token_expired'))
  })

  test('it ends at its exact instant', () => {
    expect(tokenFault({ expiresAtMs: nowMs, revokedAtMs: null }, nowMs - 1)).toBeNull()
    expect(tokenFault({ expiresAtMs: nowMs, revokedAtMs: null }, nowMs)).toBe('token_expired')
  })

  test('a token whose owner is gone is unknown', () => {
    expect(decideAccess(question({ member: null }))).toEqual(refused('token_unknown'))
  })
})

describe('when it ends', () => {
  test('a rule ends at its exact instant', () => {
    expect(withRule({ expiresAtMs: nowMs + 1 })).toMatchObject({ endsAtMs: nowMs + 1 })
    expect(withRule({ expiresAtMs: nowMs })).toEqual(refused('rule_expired'))
    expect(withRule({ expiresAtMs: nowMs - 1 })).toEqual(refused('rule_expired'))
  })

  test('rule or token, whichever ends first', () => {
    const ends = (ruleMs: number | null, tokenMs: number | null) =>
      withRule({ expiresAtMs: ruleMs }, { token: { ...valid, expiresAtMs: tokenMs } })
    expect(ends(nowMs + 5, nowMs + 7)).toMatchObject({ endsAtMs: nowMs + 5 })
    expect(ends(nowMs + 7, nowMs + 5)).toMatchObject({ endsAtMs: nowMs + 5 })
    expect(ends(null, nowMs + 5)).toMatchObject({ endsAtMs: nowMs + 5 })
    expect(ends(nowMs + 5, null)).toMatchObject({ endsAtMs: nowMs + 5 })
  })
})

describe('from where', () => {
  const v4 = { networksV4: ['203.0.113.0/24', '198.51.100.7/32'] }
  const v6 = { networksV6: ['2001:db8:1::/48'] }
  const from = (networks: Partial<Rule>, clientAddress: string) =>
    withRule(networks, { clientAddress })

  test('any address where no list is set, an odd one too', () => {
    for (const address of ['203.0.113.9', '2001:db8::1', 'no address']) {
      expect(from({}, address).isAllowed).toBe(true)
    }
  })

  test('only addresses in a listed network', () => {
    expect(from(v4, '203.0.113.255').isAllowed).toBe(true)
    expect(from(v4, '198.51.100.7').isAllowed).toBe(true)
    expect(from(v4, '198.51.100.8')).toEqual(refused('network_not_allowed'))
    expect(from(v4, '203.0.114.0')).toEqual(refused('network_not_allowed'))
    expect(from(v6, '2001:db8:1:ffff::1').isAllowed).toBe(true)
    expect(from(v6, '2001:db8:2::1')).toEqual(refused('network_not_allowed'))
  })

  test('a family without a list is refused where the other has one, and the answer warns', () => {
    expect(from(v4, '2001:db8:1::1')).toEqual(refused('network_not_allowed'))
    expect(from(v6, '203.0.113.9')).toEqual(refused('network_not_allowed'))
    expect(from(v4, '203.0.113.9')).toMatchObject({
      warnings: [expect.stringContaining('IPv6 address is refused')],
    })
    expect(from({ ...v4, ...v6 }, '2001:db8:1::1')).toMatchObject({ warnings: [] })
  })

  test('IPv4 in IPv6 clothes is IPv4', () => {
    expect(from(v4, '::ffff:203.0.113.9').isAllowed).toBe(true)
    expect(from(v4, '::ffff:cb00:7109').isAllowed).toBe(true)
    expect(from({ networksV6: ['::/0'] }, '::ffff:203.0.113.9')).toEqual(
      refused('network_not_allowed'),
    )
    expect(from({ networksV6: ['::ffff:0:0/96'] }, '203.0.113.9')).toEqual(
      refused('network_not_allowed'),
    )
  })

  test('a zone id is no part of the address', () => {
    expect(from({ networksV6: ['fe80::/10'] }, 'fe80::1%eth0').isAllowed).toBe(true)
  })

  test('what is no address is in no network, and what is no network holds nothing', () => {
    expect(from(v4, 'no address')).toEqual(refused('network_not_allowed'))
    expect(from(v4, '')).toEqual(refused('network_not_allowed'))
    expect(from({ networksV4: ['everything'] }, '203.0.113.9')).toEqual(
      refused('network_not_allowed'),
    )
  })
})

describe('branches', () => {
  test("a branch is opened by its parent's rules", () => {
    expect(decideAccess(question({ project: branch }))).toMatchObject({ isAllowed: true })
    expect(rulesRefOf(branch)).toBe('shop')
    expect(rulesRefOf(project)).toBe('shop')
  })

  test('a rule for branches only opens every branch and never the parent', () => {
    expect(withRule({ branchesOnly: true })).toEqual(refused('branches_only'))
    expect(withRule({ branchesOnly: true }, { project: branch }).isAllowed).toBe(true)
  })

  test("another project's or another person's rule opens nothing", () => {
    expect(withRule({ ref: 'other' })).toEqual(refused('no_rule'))
    expect(withRule({ ref: 'shop-preview' }, { project: branch })).toEqual(refused('no_rule'))
    expect(withRule({ userId: 'bob' })).toEqual(refused('no_rule'))
  })
})

describe('which reason comes first', () => {
  const everythingWrong = {
    token: null,
    membership: null,
    project: { ...project, useJit: false },
    rules: [],
  } satisfies Partial<AccessQuestion>
  const wrongRule = {
    expiresAtMs: nowMs - 1,
    branchesOnly: true,
    networksV4: ['10.0.0.0/8'],
  }

  test('token, then state, then rule, role, expiry, branch and network', () => {
    const steps: [Partial<AccessQuestion>, string][] = [
      [everythingWrong, 'token_unknown'],
      [{ ...everythingWrong, token: valid }, 'access_disabled'],
      [{ ...everythingWrong, token: valid, project }, 'no_rule'],
      [{ rules: [makeRule(wrongRule)], role: 'app' }, 'role_not_granted'],
      [{ rules: [makeRule(wrongRule)] }, 'rule_expired'],
      [{ rules: [makeRule({ ...wrongRule, expiresAtMs: null })] }, 'branches_only'],
      [
        { rules: [makeRule({ ...wrongRule, expiresAtMs: null, branchesOnly: false })] },
        'network_not_allowed',
      ],
    ]
    for (const [changes, reason] of steps) {
      expect(decideAccess(question(changes))).toEqual(refused(reason))
    }
  })

  test('a member without membership has no rule, whatever rows there are', () => {
    expect(decideAccess(question({ membership: null }))).toEqual(refused('no_rule'))
  })

  test('every test tells its own result, also behind a failed one', () => {
    const results = testAccess(
      question({ token: null, rules: [makeRule({ networksV4: ['10.0.0.0/8'] })] }),
    )
    expect(results).toEqual([
      { test: 'token', isPassed: false, reason: 'token_unknown' },
      { test: 'scope', isPassed: null, reason: null },
      { test: 'state', isPassed: true, reason: null },
      { test: 'rule', isPassed: true, reason: null },
      { test: 'role', isPassed: true, reason: null },
      { test: 'expiry', isPassed: true, reason: null },
      { test: 'branch', isPassed: true, reason: null },
      { test: 'network', isPassed: false, reason: 'network_not_allowed' },
    ])
  })

  test('what needs the rule is not tested without it', () => {
    const results = testAccess(question({ role: 'app' }))
    expect(results.slice(4)).toEqual([
      { test: 'role', isPassed: false, reason: 'role_not_granted' },
      { test: 'expiry', isPassed: null, reason: null },
      { test: 'branch', isPassed: null, reason: null },
      { test: 'network', isPassed: null, reason: null },
    ])
  })
})
