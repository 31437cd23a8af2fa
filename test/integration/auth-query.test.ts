import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AuthQuery, type AuthQueryOptions } from '../../pooler/auth/auth-query.ts'
import { judgePassword } from '../../pooler/auth/password-exchange.ts'
import type { Tenant } from '../../pooler/tenant/tenant.ts'
import { systemClock } from '../../shared/clock.ts'
import { nullLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import { eventually } from '../support/eventually.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { makeRole, makeTenant } from '../support/tenants.ts'

const usualQuery =
  'SELECT rolname, rolpassword, rolvaliduntil FROM pg_authid WHERE rolname = $1 AND rolcanlogin'
const options: AuthQueryOptions = {
  connectTimeoutMs: 5000,
  loginTimeoutMs: 5000,
  globalCa: null,
  clock: systemClock,
  log: nullLog,
}

let postgres: TestPostgres
let authQuery: AuthQuery
beforeAll(async () => {
  postgres = await startPostgres({ settings: { scram_iterations: '5000' } })
  await postgres.createRole('app', 'app secret')
  await postgres.createRole('App', null)
  await postgres.createRole('until', 'x', "VALID UNTIL '2035-06-07 08:09:10 UTC'")
  await postgres.createRole('weak', 'x')
  await postgres.query("SET password_encryption = 'md5'; ALTER ROLE weak PASSWORD 'x'")
  await postgres.query("CREATE ROLE a_group PASSWORD 'x'")
})
afterAll(() => postgres.stop())
beforeEach(() => {
  authQuery = new AuthQuery(options)
})
afterEach(() => authQuery.close())

const source = '192.0.2.1'
let versions = 0
function tenantWith(query: string, changes: Partial<Tenant> = {}): Tenant {
  const manager = makeRole(postgres.superuser, new Secret(postgres.password), { isManager: true })
  return makeTenant({
    dbPort: postgres.port,
    requireUser: false,
    authQuery: query,
    roles: new Map([[manager.role, manager]]),
    version: ++versions,
    ...changes,
  })
}

const auxiliary = (): Promise<unknown[]> =>
  postgres.query(
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'latchkey (auth_query)'",
  )

describe('auth_query', () => {
  it('answers with the verifier that the database has right now', async () => {
    const tenant = tenantWith(usualQuery)
    for (const password of ['first', 'second']) {
      await postgres.query(`ALTER ROLE app PASSWORD '${password}'`)
      const answer = await authQuery.ask(tenant, 'app', source)
      expect(answer).toMatchObject({ kind: 'scram', validUntilMs: null, usualIterations: 5000 })
      if (answer.kind !== 'scram') continue
      expect(answer.verifier.iterations).toBe(5000)
      const verdict = await judgePassword(new Secret(password), answer.verifier, true)
      expect(verdict).not.toBe('wrong')
    }
  })

  it('reads VALID UNTIL from the third column', async () => {
    const answer = await authQuery.ask(tenantWith(usualQuery), 'until', source)
    expect(answer).toMatchObject({ validUntilMs: Date.UTC(2035, 5, 7, 8, 9, 10) })
    const twoColumns = 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1'
    expect(await authQuery.ask(tenantWith(twoColumns), 'until', source)).toMatchObject({
      validUntilMs: null,
    })
  })

  it('has no verifier for unknown roles, groups, roles without password and md5', async () => {
    const tenant = tenantWith(usualQuery)
    for (const role of ['nobody', 'a_group', 'App', 'weak', "x' OR 1=1 --", 'app ']) {
      const answer = await authQuery.ask(tenant, role, source)
      expect(answer, role).toMatchObject({ kind: 'none', usualIterations: 5000 })
    }
  })

  it('takes no answer that is not one row about the role that was asked for', async () => {
    const queries = [
      "SELECT rolname, rolpassword FROM pg_authid WHERE $1 <> '' AND rolname = 'until'",
      'SELECT rolname, rolpassword FROM pg_authid, generate_series(1, 100000) WHERE rolname = $1',
      'SELECT rolname FROM pg_authid WHERE rolname = $1',
      "SELECT $1::text, 'in clear'::text",
      'SELECT rolname, rolpassword, rolvaliduntil::date FROM pg_authid WHERE rolname = $1' +
        " AND rolname = 'app' UNION ALL SELECT $1, rolpassword, '2030-01-01' FROM pg_authid" +
        " WHERE rolname = 'until'",
    ]
    for (const query of queries) {
      expect(await authQuery.ask(tenantWith(query), 'app', source), query).toMatchObject({
        kind: 'none',
      })
    }
  })

  it('runs with settings of its own, whatever the manager has set for itself', async () => {
    await postgres.query(`ALTER ROLE ${postgres.superuser} SET search_path = public`)
    await postgres.query(`ALTER ROLE ${postgres.superuser} SET DateStyle = 'German'`)
    await postgres.query(`ALTER ROLE ${postgres.superuser} SET TimeZone = 'Asia/Tokyo'`)
    try {
      const answer = await authQuery.ask(tenantWith(usualQuery), 'until', source)
      expect(answer).toMatchObject({ validUntilMs: Date.UTC(2035, 5, 7, 8, 9, 10) })
      const path = "SELECT $1::text, rolpassword FROM pg_authid WHERE rolname = 'until'"
      const onlyOwn = `${path} AND current_setting('search_path') = 'pg_catalog, pg_temp'`
      expect(await authQuery.ask(tenantWith(onlyOwn), 'app', source)).toMatchObject({
        kind: 'scram',
      })
    } finally {
      await postgres.query(`ALTER ROLE ${postgres.superuser} RESET ALL`)
    }
  })

  it('asks a hundred roles at once over one connection', async () => {
    const tenant = tenantWith(usualQuery)
    const roles = Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? 'app' : 'nobody'))
    const answers = await Promise.all(roles.map((role) => authQuery.ask(tenant, role, source)))
    expect(answers.map(({ kind }) => kind)).toEqual(
      roles.map((role) => (role === 'app' ? 'scram' : 'none')),
    )
    expect(authQuery.connectionCount).toBe(1)
    expect(await auxiliary()).toHaveLength(1)
  })

  it('goes on over a fresh connection when the kept one was ended meanwhile', async () => {
    const tenant = tenantWith(usualQuery)
    await authQuery.ask(tenant, 'app', source)
    await postgres.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity' +
        " WHERE application_name = 'latchkey (auth_query)'",
    )
    await eventually(async () => (await auxiliary()).length === 0)
    expect(await authQuery.ask(tenant, 'app', source)).toMatchObject({ kind: 'scram' })
    await postgres.restart()
    expect(await authQuery.ask(tenant, 'app', source)).toMatchObject({ kind: 'scram' })
  })

  it('goes on over the same connection after an error of the query', async () => {
    const query = `SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1
                   AND 1 / (CASE $1 WHEN 'bad' THEN 0 ELSE 1 END) = 1`
    const tenant = tenantWith(query)
    await authQuery.ask(tenant, 'app', source)
    const [before] = await auxiliary()
    await expect(authQuery.ask(tenant, 'bad', source)).rejects.toMatchObject({
      code: 'EAUTHPROVIDER',
      detail: 'auth_query failed (SQLSTATE 22012)',
    })
    expect(await authQuery.ask(tenant, 'app', source)).toMatchObject({ kind: 'scram' })
    expect(await auxiliary()).toEqual([before])
  })

  it('blames nobody when the query or the manager is not what it should be', async () => {
    const noPassword = makeRole(postgres.superuser, null, { isManager: true })
    const wrong = makeRole(postgres.superuser, new Secret('wrong'), { isManager: true })
    const cases: [Tenant, string][] = [
      [tenantWith('SELECT FROM nowhere WHERE x = $1'), 'EAUTHPROVIDER'],
      [tenantWith('SELECT 1, 2'), 'EAUTHPROVIDER'],
      [tenantWith(usualQuery, { roles: new Map() }), 'EAUTHPROVIDER'],
      [tenantWith(usualQuery, { roles: new Map([['m', noPassword]]) }), 'EAUTHPROVIDER'],
      [tenantWith(usualQuery, { roles: new Map([['m', wrong]]) }), 'EUPSTREAM'],
      [tenantWith(usualQuery, { dbDatabase: 'no_such_database' }), 'EUPSTREAM'],
      [tenantWith(usualQuery, { dbHost: '169.254.169.254' }), 'EUPSTREAM'],
      [tenantWith(usualQuery, { upstreamTls: 'require' }), 'EUPSTREAM'],
    ]
    for (const [tenant, code] of cases) {
      const error = await authQuery.ask(tenant, 'app', source).then(
        () => null,
        (reason: unknown) => reason,
      )
      expect(error).toMatchObject({ code })
      expect(JSON.stringify(error), 'to be seen by anybody').not.toMatch(
        /wrong|latchkey_test|127\.0/,
      )
    }
  })

  it('lets one source wait with so many, and others besides', async () => {
    const locked = `SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1
                    AND (SELECT pg_advisory_xact_lock_shared(78)) IS NOT NULL`
    const holder = new Client({ connectionString: postgres.url() })
    await holder.connect()
    await holder.query('SELECT pg_advisory_lock(78)')
    const tenant = tenantWith(locked)
    const made = Array.from({ length: 110 }, (_, n) => authQuery.ask(tenant, `made${n}`, source))
    const other = authQuery.ask(tenant, 'app', '192.0.2.2')
    const settled = Promise.allSettled(made)
    await holder.end()
    const refused = (await settled).flatMap((one) =>
      one.status === 'rejected' ? [one.reason] : [],
    )
    expect(refused).toHaveLength(10)
    expect(refused[0]).toMatchObject({
      code: 'EAUTHPROVIDER',
      detail: 'too many logins of the project from your network are waiting',
    })
    expect(await other).toMatchObject({ kind: 'scram' })
    expect(await authQuery.ask(tenant, 'made109', source)).toMatchObject({ kind: 'none' })
  })

  it('holds as many connections as it may and takes idle ones back for others', async () => {
    authQuery.close()
    authQuery = new AuthQuery({ ...options, connectionsMax: 2 })
    for (let round = 0; round < 4; round++)
      await authQuery.ask(tenantWith(usualQuery), 'app', source)
    expect(authQuery.connectionCount).toBe(2)
    const locked = `SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1
                    AND (SELECT pg_advisory_xact_lock_shared(77)) IS NOT NULL`
    const holder = new Client({ connectionString: postgres.url() })
    await holder.connect()
    await holder.query('SELECT pg_advisory_lock(77)')
    const busy = [1, 2].map(() => authQuery.ask(tenantWith(locked), 'app', source))
    await expect(authQuery.ask(tenantWith(usualQuery), 'app', source)).rejects.toMatchObject({
      code: 'EAUTHPROVIDER',
      detail: 'too many databases are being asked at once',
    })
    await holder.end()
    for (const asked of busy) expect(await asked).toMatchObject({ kind: 'scram' })
  })

  it('leaves no connection behind when it is closed', async () => {
    await Promise.all([1, 2, 3].map(() => authQuery.ask(tenantWith(usualQuery), 'app', source)))
    authQuery.close()
    expect(authQuery.connectionCount).toBe(0)
    await eventually(async () => (await auxiliary()).length === 0)
  })
})
