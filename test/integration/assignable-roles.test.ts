import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AssignableRoles } from '../../pooler/access/assignable-roles.ts'
import { HandDrivenChanges } from '../support/hand-driven-changes.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { identifier, sharedPostgres, uniqueName } from '../support/postgres.ts'
import { tenantNamed } from '../support/some-tenant.ts'

const postgres = sharedPostgres()
const names = {
  plain: uniqueName('plain'),
  group: uniqueName('group'),
  boss: uniqueName('boss'),
  middle: uniqueName('middle'),
  climber: uniqueName('climber'),
  shell: uniqueName('shell'),
  maker: uniqueName('maker'),
}
const tenant = tenantNamed('shop')

beforeAll(async () => {
  await postgres.createRole(names.plain, 'pw')
  await postgres.query(`create role ${identifier(names.group)} nologin`)
  await postgres.createRole(names.boss, 'pw', 'superuser')
  await postgres.query(`create role ${identifier(names.middle)} nologin`)
  await postgres.createRole(names.climber, 'pw')
  await postgres.createRole(names.shell, 'pw')
  await postgres.createRole(names.maker, 'pw', 'createrole')
  await postgres.query(
    `grant ${identifier(names.boss)} to ${identifier(names.middle)};
     grant ${identifier(names.middle)} to ${identifier(names.climber)};
     grant pg_execute_server_program to ${identifier(names.shell)};
     grant ${identifier(names.group)} to ${identifier(names.maker)}`,
  )
})
afterAll(async () => {
  for (const name of Object.values(names)) await postgres.dropRole(name)
})

function setup() {
  const clock = new ManualClock()
  const changes = new HandDrivenChanges()
  let asked = 0
  const roles = new AssignableRoles({
    clock,
    changes,
    // As a role without any right: what is asked for must be open to everybody.
    query: async (_tenant, sql, params) => {
      asked += 1
      const client = new Client({
        connectionString: postgres.url('postgres', names.plain, 'pw'),
      })
      await client.connect()
      try {
        return (await client.query(sql, [...params])).rows
      } finally {
        await client.end()
      }
    },
  })
  return { clock, changes, roles, asked: () => asked }
}

test('the database itself tells which roles may be given away', async () => {
  const { roles } = setup()
  const verdicts = new Map((await roles.list(tenant)).map((one) => [one.role, one]))
  const reasonOf = (name: string) => verdicts.get(name)?.reason
  expect(verdicts.get(names.plain)).toEqual({
    role: names.plain,
    identity: expect.stringMatching(/^\d+\/\d+$/),
    isAssignable: true,
    reason: null,
    warnings: [],
  })
  expect(reasonOf(names.group)).toMatch(/cannot log in/)
  expect(reasonOf(names.boss)).toMatch(/superuser/)
  expect(reasonOf(names.climber)).toContain(names.boss)
  expect(reasonOf(names.shell)).toMatch(/pg_execute_server_program/)
  expect(verdicts.get(names.maker)).toMatchObject({
    isAssignable: true,
    warnings: [expect.stringContaining('CREATEROLE'), expect.stringContaining(names.group)],
  })
  expect([...verdicts.keys()].filter((name) => name.startsWith('pg_'))).toEqual([])
})

test('a role that is not there, or is one of Postgres’ own, may not', async () => {
  const { roles } = setup()
  for (const role of ['nobody at all', 'pg_monitor']) {
    expect(await roles.judge(tenant, role)).toMatchObject({ role, isAssignable: false })
  }
})

test('logins ask the database once a minute, a change of rules asks it at once', async () => {
  const { clock, changes, roles, asked } = setup()
  await roles.judge(tenant, names.plain)
  await roles.judge(tenant, names.boss)
  expect(asked()).toBe(1)
  await roles.list(tenant)
  await roles.judge(tenant, names.plain)
  expect(asked()).toBe(2)
  clock.advance(60_000)
  await roles.judge(tenant, names.plain)
  expect(asked()).toBe(3)
  changes.announce({ kind: 'tenant', ref: 'other' })
  await roles.judge(tenant, names.plain)
  expect(asked()).toBe(3)
  changes.announce({ kind: 'tenant', ref: 'shop' })
  await roles.judge(tenant, names.plain)
  expect(asked()).toBe(4)
})
