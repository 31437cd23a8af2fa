// A rule is for the role that it was given for. Whatever bears that role's name later, in the same
// cluster, is not opened by it.
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { AssignableRoles } from '../../pooler/access/assignable-roles.ts'
import { Secret } from '../../shared/secret.ts'
import { expectEnded } from '../support/endings-setup.ts'
import { eventually } from '../support/eventually.ts'
import { HandDrivenChanges } from '../support/hand-driven-changes.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { PersonSession } from '../support/person-session.ts'
import { identifier, sharedPostgres, startPostgres, uniqueName } from '../support/postgres.ts'
import { LoginRefused } from '../support/raw-login.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'
import { tenantNamed } from '../support/some-tenant.ts'

let pooler: RunningPooler
let project: TestProject
let owner: TestPerson
let person: TestPerson
const sessions: PersonSession[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(() => pooler?.stop())
beforeEach(async () => {
  project = await pooler.project({ input: { enforceSsl: true } })
  owner = await pooler.person(project, { membership: 'owner', rules: [] })
  person = await pooler.person(project, { rules: [] })
  expect(await give()).toEqual([])
  await enter()
})
afterEach(async () => {
  for (const { client } of sessions.splice(0)) client.close()
  await pooler.settled()
})

const path = (rest = '') => `/v1/projects/${project.ref}/database/jit${rest}`
const sql = (text: string) => sharedPostgres().query(text)

/** The warnings about roles. */
async function give(): Promise<string[]> {
  const body = { user_id: person.userId, roles: [{ role: project.people.role }] }
  const put = await pooler.api('PUT', path(), owner.token, body)
  expect(put.status, put.text).toBe(200)
  return (put.body as { warnings?: string[] }).warnings ?? []
}

/** As a look at the list of roles does: what is remembered of them is of now. */
async function look(): Promise<void> {
  expect((await pooler.api('GET', path('/roles'), owner.token)).status).toBe(200)
}

async function enter(): Promise<PersonSession> {
  const session = await PersonSession.enter(pooler, project, person.token)
  sessions.push(session)
  return session
}

async function reasonAgainst(): Promise<unknown> {
  const error = await enter().catch((failure: unknown) => failure)
  expect(error).toBeInstanceOf(LoginRefused)
  const { C, D = '' } = (error as LoginRefused).fields
  expect(C).toBe('28P01')
  const [line] = pooler.captured.with({ refusalId: D.replace('refusal ', '') })
  return line?.reason
}

async function makeAnew(): Promise<void> {
  const { role, password } = project.people
  await sharedPostgres().query(`DROP OWNED BY ${identifier(role)}`, [], project.database)
  await sql(`DROP ROLE ${identifier(role)}`)
  await sharedPostgres().createRole(role, password)
}

test('a role that was dropped and made anew is opened by no old rule', async () => {
  const { role } = project.people
  await makeAnew()
  await look()
  expect(await reasonAgainst()).toBe('role_made_anew')
  const check = await pooler.api('POST', path('/check'), person.token, { role, rhost: '127.0.0.1' })
  expect(check.body).toMatchObject({
    allowed: false,
    results: [
      {
        checks: expect.arrayContaining([
          {
            check: 'assignable',
            passed: false,
            reason: 'role_made_anew',
            hint: expect.stringContaining('give the rule again'),
          },
        ]),
      },
    ],
  })
  const asked = await pooler.api('POST', path(), person.token, { role, rhost: '127.0.0.1' })
  expect(asked).toMatchObject({ status: 403, body: { reason: 'role_made_anew' } })
  expect(await give()).toEqual([expect.stringContaining('another role under this name')])
  // Logins hear of a rule over the feed of changes.
  await eventually(enter)
  expect(await give()).toEqual([])
})

test('a role that was renamed hands its rules to nobody, and has them back under its name', async () => {
  const { role, password } = project.people
  const [other, aside] = [uniqueName('other'), uniqueName('aside')]
  await sharedPostgres().createRole(other, password)
  const rename = (from: string, to: string) =>
    sql(`ALTER ROLE ${identifier(from)} RENAME TO ${identifier(to)}`)
  try {
    await rename(role, aside)
    await look()
    expect(await reasonAgainst()).toBe('role_not_assignable')
    await rename(other, role)
    await look()
    expect(await reasonAgainst()).toBe('role_made_anew')
    await rename(role, other)
    await rename(aside, role)
    await look()
    await enter()
  } finally {
    await sharedPostgres().dropRole(other)
    await sharedPostgres().dropRole(aside)
  }
})

test('whoever is in ends when their access is judged anew and the role is known to be another', async () => {
  const inside = sessions[0] as PersonSession
  await makeAnew()
  await inside.answers()
  await look()
  const { members } = pooler.pooler.control
  await members.putMembership(project.ref, person.userId, 'read_only', 'operator')
  expectEnded(await inside.fatal(), /made anew/)
})

test('an invitation is for the role of its day', async () => {
  const { role } = project.people
  const email = `${uniqueName('invited')}@example.com`
  const made = await pooler.api('POST', path('/invite'), owner.token, { email, roles: [{ role }] })
  const { token } = made.body as { token: string }
  await makeAnew()
  const accepted = await fetch(`${pooler.apiUrl}${path('/invite/accept')}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, token }),
  })
  person = { ...person, ...((await accepted.json()) as { token: string }) }
  await look()
  expect(await reasonAgainst()).toBe('role_made_anew')
})

test('a dump that was restored in another cluster keeps its rules, by name', async () => {
  const { database, people } = project
  const elsewhere = await startPostgres()
  try {
    // Other roles before it, so that no oid is the same by chance.
    for (const name of ['one', 'two', 'three']) await elsewhere.createRole(name, 'pw')
    await elsewhere.createRole(people.role, people.password)
    await elsewhere.createDatabase(database)
    for (const { client } of sessions.splice(0)) client.close()
    const users = [{ dbUser: people.role, dbPassword: new Secret(people.password) }]
    await pooler.change(project, { dbHost: elsewhere.host, dbPort: elsewhere.port, users })
    await look()
    await enter()
    expect(await give()).toEqual([])
    await eventually(enter)
  } finally {
    for (const { client } of sessions.splice(0)) client.close()
    await pooler.change(project, { dbHost: sharedPostgres().host, dbPort: sharedPostgres().port })
    await elsewhere.stop()
  }
})

test('a database that keeps its identifier from others still tells its roles', async () => {
  const closed = await startPostgres()
  try {
    await closed.createRole('plain', 'pw')
    await closed.query('REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC')
    const query = async (_tenant: unknown, text: string, params: readonly unknown[]) => {
      const client = new Client({ connectionString: closed.url('postgres', 'plain', 'pw') })
      await client.connect()
      try {
        return (await client.query(text, [...params])).rows
      } finally {
        await client.end()
      }
    }
    const parts = { changes: new HandDrivenChanges(), clock: new ManualClock() }
    const roles = new AssignableRoles({ query, ...parts })
    const verdict = await roles.judge(tenantNamed('shop'), 'plain')
    expect(verdict).toMatchObject({ isAssignable: true, identity: null })
    await closed.query('GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC')
    const [told] = await roles.list(tenantNamed('shop'))
    expect(told?.identity).toMatch(/^\d+\/\d+$/)
  } finally {
    await closed.stop()
  }
})
