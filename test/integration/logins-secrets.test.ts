// Passwords that live in the project's database: other iteration counts, changes, ends, and forms
// that cannot be used.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import { LoginRefused } from '../support/raw-login.ts'
import { rowsOf } from '../support/raw-replies.ts'
import { scramAttributes } from '../support/raw-scram.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestProject, TestRole } from '../support/running-projects.ts'

let pooler: RunningPooler
let project: TestProject
const clients: RawClient[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start()
  project = await pooler.project({ auth: 'query' })
})
afterAll(() => pooler?.stop())
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
})

/** Logs in and asks the server who it is. */
async function enter({ role, password }: TestRole, of = project): Promise<RawClient> {
  const client = await pooler.raw()
  clients.push(client)
  await client.login({ user: `${role}.${of.ref}`, password, database: of.database })
  await client.query('SELECT current_user')
  expect(rowsOf(await client.untilReady())).toEqual([[role]])
  return client
}

async function refusalOf(secret: TestRole, of = project): Promise<LoginRefused> {
  const refused = await enter(secret, of).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(LoginRefused)
  expect((refused as LoginRefused).fields).toMatchObject({
    C: '28P01',
    M: `password authentication failed for user "${secret.role}"`,
  })
  return refused as LoginRefused
}

/** Why, by the log. */
function reasonOf(refused: LoginRefused): unknown {
  const refusalId = (refused.fields.D ?? '').replace('refusal ', '')
  return pooler.captured.with({ refusalId })[0]?.reason
}

const asSuperuser = (sql: string) => sharedPostgres().query(sql)

test.each([1, 1000, 10_000])(
  'a verifier with %i iterations serves client and server',
  async (count) => {
    const secret = await pooler.role('iterations')
    await asSuperuser(
      `SET scram_iterations = ${count}; ALTER ROLE "${secret.role}" PASSWORD '${secret.password}'`,
    )
    const client = await enter(secret)
    const proceed = client.received.find(
      ({ type, body }) => type === 'R' && body.readInt32BE(0) === 11,
    )
    expect(scramAttributes(proceed?.body.subarray(4).toString() ?? '').i).toBe(String(count))
  },
)

test('a password that needs preparation by SASLprep opens client and server', async () => {
  const secret = await pooler.role('saslprep')
  // A soft hyphen is mapped to nothing, a no-break space to a space (RFC 4013, 2.1).
  await asSuperuser(`ALTER ROLE "${secret.role}" PASSWORD U&'I\\00ADX\\00A0y'`)
  await enter({ ...secret, password: 'IX y' })
})

describe('a password that changes in the database', () => {
  test('works at the first try, opens servers, and the old one is wrong from then on', async () => {
    const secret = await pooler.role('changing')
    const first = await enter(secret)
    const askedMs = performance.now()
    first.close()
    await pooler.settled()
    await asSuperuser(`ALTER ROLE "${secret.role}" PASSWORD 'the second one'`)
    // What was asked of the database may be used for a second, as two-wire says.
    await eventually(() => performance.now() - askedMs > 1000)
    const client = await enter({ ...secret, password: 'the second one' })
    // Servers of before go; new ones open with what the new login left.
    await asSuperuser(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${secret.role}'`,
    )
    const known = pooler.pooler.data.pools.entriesOf(project.ref)
    await eventually(() => [...known].every(({ pool }) => pool.servers.size === 0))
    await client.query('SELECT 1')
    expect(rowsOf(await client.untilReady())).toEqual([['1']])
    await refusalOf(secret)
  })

  test('a role that is made after its first refusal gets in a second later', async () => {
    const secret = { role: `late_${project.database}`, password: 'late' }
    const refused = await refusalOf(secret)
    expect(reasonOf(refused)).toContain('no row')
    await asSuperuser(`CREATE ROLE "${secret.role}" LOGIN PASSWORD 'late'`)
    try {
      await eventually(() => enter(secret), { pollMs: 300 })
    } finally {
      await asSuperuser(`DROP ROLE "${secret.role}"`)
    }
  })
})

describe('a password that the database has, and that is still wrong', () => {
  test.each([
    ['VALID UNTIL has passed', "VALID UNTIL '2001-01-01'", 'VALID UNTIL'],
    ['it is stored as md5', "PASSWORD 'md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'", 'md5'],
    ['there is none', 'PASSWORD NULL', 'no password'],
    ['the role may not log in', 'NOLOGIN', 'no row'],
  ])('%s', async (_name, change, reason) => {
    const secret = await pooler.role('wrong')
    await asSuperuser(`ALTER ROLE "${secret.role}" ${change}`)
    expect(reasonOf(await refusalOf(secret))).toContain(reason)
  })

  test('VALID UNTIL in the future lets in', async () => {
    const secret = await pooler.role('future', "VALID UNTIL '2100-01-01'")
    await enter(secret)
  })
})

test('a stored password is changed over the API, at once and without a restart', async () => {
  const stored = await pooler.project()
  await enter(stored.app, stored)
  await asSuperuser(`ALTER ROLE "${stored.app.role}" PASSWORD 'changed over the API'`)
  const changed = { ...stored.app, password: 'changed over the API' }
  await refusalOf(changed, stored)
  const answer = await pooler.api('PUT', `/api/tenants/${stored.ref}`, 'api', {
    tenant: {
      users: [
        { db_user: stored.people.role },
        { db_user: stored.app.role, db_password: 'changed over the API' },
      ],
    },
  })
  expect(answer).toMatchObject({ status: 200 })
  expect(answer.text).not.toContain('changed over the API')
  await eventually(() => enter(changed, stored), { pollMs: 300 })
  await refusalOf(stored.app, stored)
})

test("when auth_query's database is away the client is told so, and nothing is counted", async () => {
  const away = await pooler.project({ auth: 'query', input: { dbPort: 1 } })
  for (let count = 0; count < 12; count++) {
    const client = await pooler.raw()
    clients.push(client)
    await expect(
      client.login({
        user: `${away.app.role}.${away.ref}`,
        password: 'x',
        database: away.database,
      }),
    ).rejects.toMatchObject({ fields: { C: '08006', M: expect.stringContaining('(EUPSTREAM)') } })
  }
})
