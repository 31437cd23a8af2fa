// Every combination of what a login can meet, in words, against a table in words. The table says who
// may not come in and knows nothing of the code; no input may get past it, and nobody else be kept out.
import { expect, test } from 'vitest'
import {
  type AccessQuestion,
  decideAccess,
  type RefusalReason,
  testAccess,
} from '../../../pooler/access/decide-access.ts'
import type { TokenScope } from '../../../pooler/access/token-scope.ts'
import { makeRule } from '../../support/rules.ts'

const nowMs = Date.UTC(2026, 5, 1, 12)

const worlds = {
  token: [
    'good',
    'unknown',
    'revoked',
    'logged out',
    'ends later',
    'ends now',
    'of somebody who is gone',
  ],
  scope: [
    'classic',
    'all that is needed',
    'not for logins',
    'another project',
    'the parent',
    'this branch',
    'another role',
    'another network',
    'no network at all',
  ],
  project: ['parent', 'branch'],
  state: ['on', 'off'],
  membership: ['guest', 'none'],
  rule: ['for the role', 'for another role', "somebody else's", "another project's", 'none'],
  ruleEnd: ['never', 'later', 'now'],
  branchesOnly: ['no', 'yes'],
  network: ['any', 'v4 with the client', 'v4 without', 'v6 only', 'v4 for a mapped client'],
} as const

type World = { readonly [Key in keyof typeof worlds]: (typeof worlds)[Key][number] }

/** In the order in which reasons are told. */
const forbidden: readonly [reason: RefusalReason, says: string, is: (world: World) => boolean][] = [
  [
    'token_unknown',
    'a token that is nobody’s opens nothing',
    ({ token }) => token === 'unknown' || token === 'of somebody who is gone',
  ],
  ['token_revoked', 'nor one that was revoked', ({ token }) => token === 'revoked'],
  ['logged_out', 'nor a session of it that was logged out', ({ token }) => token === 'logged out'],
  ['token_expired', 'at its very end it has ended', ({ token }) => token === 'ends now'],
  [
    'scope_permission',
    'a scope without logins has none',
    ({ scope }) => scope === 'not for logins',
  ],
  [
    'scope_project',
    'a scope for the parent covers its branches, one for a branch covers that alone',
    ({ scope, project }) =>
      scope === 'another project' || (scope === 'this branch' && project === 'parent'),
  ],
  ['scope_role', 'a scope for other roles', ({ scope }) => scope === 'another role'],
  [
    'scope_network',
    'a scope for other addresses, or for none',
    ({ scope }) => scope === 'another network' || scope === 'no network at all',
  ],
  ['access_disabled', 'nobody comes in where it is off', ({ state }) => state === 'off'],
  [
    'no_rule',
    'members come in by a rule of their own in the project that holds the rules',
    ({ membership, rule }) =>
      membership === 'none' || (rule !== 'for the role' && rule !== 'for another role'),
  ],
  ['role_not_granted', 'and as its role only', ({ rule }) => rule === 'for another role'],
  ['rule_expired', 'at its very end a rule has ended', ({ ruleEnd }) => ruleEnd === 'now'],
  [
    'branches_only',
    'a rule for branches only does not open the parent',
    ({ branchesOnly, project }) => branchesOnly === 'yes' && project === 'parent',
  ],
  [
    'network_not_allowed',
    'listed networks are the only ones, and one family listed keeps out the other',
    ({ network }) => network === 'v4 without' || network === 'v6 only',
  ],
]

const clientAddress = '203.0.113.9'

function scopeOf({ scope }: World): TokenScope | null {
  if (scope === 'classic') return null
  const needed: TokenScope = {
    permissions: ['database_jit_read'],
    projects: null,
    roles: ['app', 'postgres'],
    networks: ['2001:db8::/32', '203.0.113.0/24'],
  }
  switch (scope) {
    case 'not for logins':
      return { ...needed, permissions: ['project_admin_write', 'database_jit_write'] }
    case 'another project':
      return { ...needed, projects: ['other', 'shop-other'] }
    case 'the parent':
      return { ...needed, projects: ['shop'] }
    case 'this branch':
      return { ...needed, projects: ['shop-preview'] }
    case 'another role':
      return { ...needed, roles: ['app'] }
    case 'another network':
      return { ...needed, networks: ['198.51.100.0/24', '::/0'] }
    case 'no network at all':
      return { ...needed, networks: [] }
    default:
      return needed
  }
}

function ruleOf({ rule, ruleEnd, branchesOnly, network }: World) {
  return makeRule({
    role: rule === 'for another role' ? 'app' : 'postgres',
    userId: rule === "somebody else's" ? 'bob' : 'ada',
    ref: rule === "another project's" ? 'shop-preview' : 'shop',
    expiresAtMs: { never: null, later: nowMs + 1, now: nowMs }[ruleEnd],
    branchesOnly: branchesOnly === 'yes',
    ...{
      any: {},
      'v4 with the client': { networksV4: ['198.51.100.0/24', '203.0.113.0/24'] },
      'v4 for a mapped client': { networksV4: ['203.0.113.9/32'] },
      'v4 without': { networksV4: ['203.0.112.0/24'] },
      'v6 only': { networksV6: ['::/0'] },
    }[network],
  })
}

function questionOf(world: World): AccessQuestion {
  const { token, project, state, membership, rule, network } = world
  const isBranch = project === 'branch'
  return {
    token:
      token === 'unknown'
        ? null
        : {
            expiresAtMs: { 'ends later': nowMs + 5, 'ends now': nowMs }[token as string] ?? null,
            revokedAtMs: token === 'revoked' ? nowMs - 1 : null,
            isLoggedOut: token === 'logged out',
            scope: scopeOf(world),
          },
    member: token === 'unknown' || token === 'of somebody who is gone' ? null : { userId: 'ada' },
    membership: membership === 'none' ? null : membership,
    project: {
      ref: isBranch ? 'shop-preview' : 'shop',
      parentRef: isBranch ? 'shop' : null,
      useJit: state === 'on',
    },
    rules: rule === 'none' ? [] : [ruleOf(world)],
    role: 'postgres',
    clientAddress: network === 'v4 for a mapped client' ? `::ffff:${clientAddress}` : clientAddress,
    nowMs,
  }
}

function* allWorlds(): Generator<World> {
  const names = Object.keys(worlds) as (keyof World)[]
  const count = names.reduce((product, name) => product * worlds[name].length, 1)
  for (let index = 0; index < count; index++) {
    let rest = index
    const world: Record<string, string> = {}
    for (const name of names) {
      const values = worlds[name]
      world[name] = values[rest % values.length] as string
      rest = Math.floor(rest / values.length)
    }
    yield world as World
  }
}

const inWords = (world: World) =>
  Object.entries(world)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ')

/** Its token's end or its rule's, whichever comes first. */
function endOf({ token, ruleEnd }: World): number | null {
  if (ruleEnd === 'later') return nowMs + 1
  return token === 'ends later' ? nowMs + 5 : null
}

/** For a machine that is busy with everything else. */
const timeoutMs = 120_000

test('everybody whom the table forbids is kept out for its reason, and nobody else', {
  timeout: timeoutMs,
}, () => {
  let worldsSeen = 0
  let letIn = 0
  const told = new Set<RefusalReason>()
  for (const world of allWorlds()) {
    worldsSeen += 1
    const question = questionOf(world)
    const decision = decideAccess(question)
    const against = forbidden.find(([, , is]) => is(world))
    const expected = against === undefined ? endOf(world) : against[0]
    const actual = decision.isAllowed ? decision.endsAtMs : decision.reason
    // expect() for each of them would take a minute.
    if (actual !== expected) expect(actual, inWords(world)).toBe(expected)
    // What is told test by test, as to people who check themselves, agrees with it.
    const failed = testAccess(question).find((one) => one.isPassed === false)?.reason
    if (failed !== against?.[0]) expect(failed, inWords(world)).toBe(against?.[0])
    if (decision.isAllowed) letIn += 1
    else told.add(decision.reason)
  }
  expect(worldsSeen).toBe(7 * 9 * 2 * 2 * 2 * 5 * 3 * 2 * 5)
  expect(letIn).toBeGreaterThan(100)
  expect([...told].sort()).toEqual(forbidden.map(([reason]) => reason).sort())
})
