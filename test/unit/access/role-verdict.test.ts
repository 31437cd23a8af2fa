import { expect, test } from 'vitest'
import { judgeRole, type RoleFacts, roleFault } from '../../../pooler/access/role-verdict.ts'

const facts = (changes: Partial<RoleFacts> = {}): RoleFacts => ({
  role: 'app',
  oid: '16384',
  cluster: '7400000000000000001',
  canLogin: true,
  isSuperuser: false,
  canCreateRoles: false,
  canReplicate: false,
  bypassesRls: false,
  memberOf: [],
  ...changes,
})
const reasonFor = (changes: Partial<RoleFacts>, manager: string | null = null) =>
  judgeRole(facts(changes), manager).reason

test('an ordinary role may be given away without a word', () => {
  expect(judgeRole(facts(), null)).toEqual({
    role: 'app',
    identity: '7400000000000000001/16384',
    isAssignable: true,
    reason: null,
    warnings: [],
  })
})

test('roles that cannot log in and superusers may not', () => {
  expect(reasonFor({ canLogin: false })).toMatch(/cannot log in/)
  expect(reasonFor({ isSuperuser: true })).toMatch(/superuser/)
})

test('reserved names may not, but for the read-only one', () => {
  for (const role of ['pg_monitor', 'supabase_admin', 'supabase_', 'pgbouncer', 'authenticator']) {
    expect(reasonFor({ role }), role).toMatch(/reserved/)
  }
  for (const role of ['supabase_read_only_user', 'pgadmin', 'supabase', 'authenticator2']) {
    expect(reasonFor({ role }), role).toBeNull()
  }
})

test("the tenant's manager may not", () => {
  expect(reasonFor({ role: 'app' }, 'app')).toMatch(/manager/)
  expect(reasonFor({ role: 'app' }, 'other')).toBeNull()
})

test('a role that can become a superuser or the server itself may not', () => {
  expect(reasonFor({ memberOf: [{ role: 'boss', isSuperuser: true }] })).toMatch(/superuser boss/)
  for (const role of [
    'pg_execute_server_program',
    'pg_read_server_files',
    'pg_write_server_files',
  ]) {
    const memberOf = [
      { role: 'harmless', isSuperuser: false },
      { role, isSuperuser: false },
    ]
    expect(reasonFor({ memberOf })).toMatch(role)
  }
  expect(reasonFor({ memberOf: [{ role: 'pg_read_all_data', isSuperuser: false }] })).toBeNull()
})

test('what makes temporary access permanent or wide is warned of', () => {
  const { isAssignable, warnings } = judgeRole(
    facts({
      canCreateRoles: true,
      canReplicate: true,
      bypassesRls: true,
      memberOf: [{ role: 'reader', isSuperuser: false }],
    }),
    null,
  )
  expect(isAssignable).toBe(true)
  expect(warnings.map((text) => text.split(/[: ]/)[0])).toEqual([
    'CREATEROLE',
    'REPLICATION',
    'BYPASSRLS',
    'it',
  ])
})

test.each([
  ['the same role', 'c1/10', { cluster: 'c1', oid: '10' }, null],
  ['another role under its name', 'c1/10', { cluster: 'c1', oid: '11' }, 'role_made_anew'],
  ['another cluster, where oids say nothing', 'c1/10', { cluster: 'c2', oid: '11' }, null],
  ['a rule from before identities were known', null, { cluster: 'c1', oid: '10' }, null],
  ['a database that does not tell its cluster', 'c1/10', { cluster: null, oid: '11' }, null],
  ['a role that may not be given', 'c1/10', { isSuperuser: true }, 'role_not_assignable'],
] as const)('%s', (_what, given, changes, fault) => {
  expect(roleFault(given, judgeRole(facts(changes), null))).toBe(fault)
})
