// Temporary access as its documentation has it: the lines that people paste, with host, project and
// token changed, from an empty installation to a login. Refusals are tokens-refusals.
import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { needsProgram, type ProgramOptions, runProgram } from '../support/program.ts'
import { psql } from '../support/psql.ts'
import type { RawClient } from '../support/raw-client.ts'
import { errorFields, rowsOf } from '../support/raw-replies.ts'
import { poolerDomain, RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'
import { someRule } from '../support/store-setup.ts'

let pooler: RunningPooler
const clients: RawClient[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(() => pooler?.stop())
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
})

const whoAmI = "SELECT current_user || '|' || current_database()"

/** A line of a shell, and what it prints. */
async function shell(line: string, env: ProgramOptions['env'] = {}): Promise<string> {
  const { stdout, stderr, exitCode } = await runProgram('sh', ['-c', line], { env })
  const faults = stderr.replace(/^NOTICE: {2}temporary access ends at \S+\n/, '')
  expect([exitCode, faults]).toEqual([0, ''])
  return stdout
}

describe('from nothing to a login, by the lines of the documentation', () => {
  let project: TestProject
  const userId = randomUUID()
  let token = ''

  beforeAll(async () => {
    // The operator's part: a project with TLS enforced and its owner, who has a token.
    project = await pooler.project({ input: { useJit: false } })
    const member = { email: `${userId}@example.com`, name: 'Owner' }
    expect(await pooler.api('PUT', `/api/members/${userId}`, 'api', member)).toMatchObject({
      status: 201,
    })
    const tenant = { enforce_ssl: true, owner: userId }
    expect(await pooler.api('PUT', `/api/tenants/${project.ref}`, 'api', { tenant })).toMatchObject(
      {
        status: 200,
      },
    )
    const made = await pooler.api('POST', `/api/members/${userId}/access-tokens`, 'api', {
      name: 'first',
    })
    expect(made).toMatchObject({
      status: 201,
      body: { token: expect.stringMatching(/^sbp_[0-9a-f]{40}$/) },
    })
    token = (made.body as { token: string }).token
  })

  const env = () => ({ API: pooler.apiUrl, PROJECT_REF: project.ref, TOKEN: token })
  const curlState = (rest: string) =>
    shell(
      `curl -sS ${rest} "$API/v1/projects/$PROJECT_REF/database/jit-access" -H "Authorization: Bearer $TOKEN"`,
      env(),
    )

  test('off by default, then enabled', async (context) => {
    needsProgram(context, 'curl')
    expect(JSON.parse(await curlState('-X GET'))).toEqual({ state: 'disabled' })
    const enabled = await shell(
      `curl -sS -X PUT  "$API/v1/projects/$PROJECT_REF/database/jit-access" -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{"state":"enabled"}'`,
      env(),
    )
    expect(JSON.parse(enabled)).toEqual({ state: 'enabled', appliedSuccessfully: true })
    expect(JSON.parse(await curlState('-X GET'))).toEqual({ state: 'enabled' })
  })

  test('a rule with an end in milliseconds and a network', async (context) => {
    needsProgram(context, 'curl')
    const expiresAtMs = Date.now() + 3_600_000
    const body = {
      user_id: userId,
      user_roles: [
        {
          role: project.people.role,
          allowed_networks: { allowed_cidrs: [{ cidr: '127.0.0.1/32' }] },
          expires_at: expiresAtMs,
        },
      ],
    }
    const answer = await shell(
      `curl -sS -X PUT "$API/v1/projects/$PROJECT_REF/database/jit" -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d "$BODY"`,
      { ...env(), BODY: JSON.stringify(body) },
    )
    expect(JSON.parse(answer)).toMatchObject({
      user_id: userId,
      user_roles: [{ role: project.people.role, expires_at: Math.floor(expiresAtMs / 1000) }],
    })
  })

  describe('psql gets in with', () => {
    const libpq = () => ({ PGPASSWORD: token, PGPORT: String(pooler.portOf()) })

    test.for([
      [
        'the session port, token in the line',
        () =>
          `psql -X 'postgres://${project.people.role}.${project.ref}:${token}@127.0.0.1:${pooler.portOf('session')}/${project.database}?options=-c%20jit%3don' -Atc "${whoAmI}"`,
      ],
      [
        'the conninfo form',
        () =>
          `psql -X "host=127.0.0.1 user=${project.people.role}.${project.ref} options='-c jit=on'" -Atc "${whoAmI}"`,
      ],
      [
        'the transaction port, token in PGPASSWORD',
        () =>
          `psql -X "postgres://${project.people.role}.${project.ref}@127.0.0.1:${pooler.portOf()}/${project.database}?sslmode=require&options=-c%20jit%3dtrue" -Atc "${whoAmI}"`,
      ],
      [
        'the direct host, no option, token in the line',
        () =>
          `PGHOSTADDR=127.0.0.1 psql -X 'postgres://${project.people.role}:${token}@db.${project.ref}.${poolerDomain}:${pooler.portOf('session')}/${project.database}' -Atc "${whoAmI}"`,
      ],
      [
        'the direct host, TLS demanded, token in PGPASSWORD',
        () =>
          `PGHOSTADDR=127.0.0.1 psql -X "postgres://${project.people.role}@db.${project.ref}.${poolerDomain}:${pooler.portOf('session')}/${project.database}?sslmode=require" -Atc "${whoAmI}"`,
      ],
    ] as const)('%s', async ([, lineOf], context) => {
      needsProgram(context, 'psql')
      const out = await shell(lineOf(), libpq())
      expect(out.trim()).toBe(`${project.people.role}|${project.database}`)
    })

    test('every spelling of jit, in a URL and in conninfo', async (context) => {
      needsProgram(context, 'psql')
      const user = `${project.people.role}.${project.ref}`
      for (const option of [
        'jit=on',
        'jit=true',
        'jit=1',
        'jit=yes',
        'JIT=ON',
        'Jit=True',
        'JIT=yes',
      ]) {
        const lines = [
          `postgres://${user}@127.0.0.1?sslmode=require&options=-c%20${option.replace('=', '%3d')}`,
          `postgres://${user}@127.0.0.1?sslmode=require&options=--${option.replace('=', '%3D')}`,
          `host=127.0.0.1 user=${user} sslmode=require options='-c ${option}'`,
        ]
        for (const line of lines) {
          const { stdout } = await psql(line, whoAmI, { env: libpq() })
          expect([line, stdout]).toEqual([line, `${project.people.role}|${project.database}\n`])
        }
      }
    })
  })

  test('disabled for all, and enabled again with the rules that were there', async (context) => {
    needsProgram(context, 'curl')
    const put = (state: string) =>
      shell(
        `curl -sS -X PUT  "$API/v1/projects/$PROJECT_REF/database/jit-access" -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{"state":"${state}"}'`,
        env(),
      )
    const logIn = () =>
      psql(
        pooler.url(project, {
          role: project.people.role,
          password: token,
          parameters: { sslmode: 'require', options: '-c jit=on' },
        }),
        'SELECT 1',
      )
    expect(JSON.parse(await put('disabled'))).toMatchObject({ state: 'disabled' })
    await eventually(async () => (await logIn()).stderr.includes('password authentication failed'))
    expect(JSON.parse(await put('enabled'))).toMatchObject({ state: 'enabled' })
    await eventually(async () => (await logIn()).exitCode === 0)
  })
})

const withToken = (project: TestProject, password: string) => ({
  user: `${project.people.role}.${project.ref}`,
  password,
  database: project.database,
  settings: { options: '-c jit=on' },
})

async function enter(project: TestProject, person: TestPerson, mode: 'transaction' | 'session') {
  const client = await pooler.raw({ mode, tls: 'request' })
  clients.push(client)
  return { client, ...(await client.login(withToken(project, person.token))) }
}

describe.each(['transaction', 'session'] as const)('on the %s port', (mode) => {
  test('a person is told until when access lasts, and by whom nothing is said without an end', async () => {
    const project = await pooler.project()
    const endsAtMs = Math.floor(Date.now() / 1000) * 1000 + 3_600_000
    const limited = await pooler.person(project, {
      rules: [someRule(project.people.role, { expiresAtMs: endsAtMs })],
    })
    const { messages } = await enter(project, limited, mode)
    const notices = messages.filter(({ type }) => type === 'N').map(({ body }) => errorFields(body))
    expect(notices).toMatchObject([{ S: 'NOTICE', C: '00000' }])
    expect(notices[0]?.M).toContain(new Date(endsAtMs).toISOString())
    const forEver = await pooler.person(project)
    const { messages: others } = await enter(project, forEver, mode)
    expect(others.filter(({ type }) => type === 'N')).toEqual([])
  })

  test('a person and an application of one role share one pool', async () => {
    const project = await pooler.project({ user: { poolSize: 1 } })
    const person = await pooler.person(project)
    const pidOf = async (client: RawClient) => {
      await client.query('SELECT pg_backend_pid()')
      return rowsOf(await client.untilReady())[0]?.[0]
    }
    const { client } = await enter(project, person, mode)
    const first = await pidOf(client)
    if (mode === 'session') await client.terminate()
    const app = await pooler.raw({ mode })
    clients.push(app)
    await app.login({ ...withToken(project, project.people.password), settings: {} })
    expect(await pidOf(app)).toBe(first)
    if (mode === 'transaction') expect(await pidOf(client)).toBe(first)
    const [row] = await sharedPostgres().query(
      'SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = $1',
      [project.people.role],
    )
    expect(row?.n).toBe(1)
  })
})

test('login and end of a session are events with person, token, address and what was done', async () => {
  const project = await pooler.project()
  const owner = await pooler.person(project, { membership: 'owner', rules: [] })
  const person = await pooler.person(project)
  const client = new Client({
    host: '127.0.0.1',
    port: pooler.portOf(),
    ssl: { rejectUnauthorized: false },
    application_name: 'some tool',
    ...withToken(project, person.token),
    options: '-c jit=on',
  })
  await client.connect()
  await client.query('SELECT 1')
  const path = `/v1/projects/${project.ref}/database/jit`
  const sessions = await pooler.api('GET', `${path}/sessions`, owner.token)
  expect(sessions.body).toMatchObject({
    items: [{ user_id: person.userId, role: project.people.role, address: '127.0.0.1' }],
  })
  await client.query('SELECT 2')
  await client.end()
  const events = await eventually(async () => {
    const { body } = await pooler.api('GET', `${path}/events?user_id=${person.userId}`, owner.token)
    const { items } = body as { items: { action: string; session_id: string }[] }
    return items.length === 2 && items
  })
  const common = {
    project: project.ref,
    actor: person.userId,
    role: project.people.role,
    address: '127.0.0.1',
    token_id: person.tokenId,
    token_name: 'laptop',
    application_name: 'some tool',
  }
  expect(events).toMatchObject([
    { ...common, action: 'ended', reason: 'terminate', transactions: 2 },
    { ...common, action: 'login' },
  ])
  expect(events[0]?.session_id).toBe(events[1]?.session_id)
})

test("a token's last use is listed", async () => {
  const project = await pooler.project()
  const person = await pooler.person(project)
  await enter(project, person, 'transaction')
  await pooler.pooler.control.accessTokens.flushUses()
  const { body } = await pooler.api('GET', '/v1/access-tokens', person.token)
  expect(body).toMatchObject([
    { id: person.tokenId, last_used_at: expect.stringMatching(/^\d{4}-/) },
  ])
})

test('the connection strings that the API gives work with the password put in', async (context) => {
  needsProgram(context, 'psql')
  const project = await pooler.project({ input: { enforceSsl: true } })
  const { token } = await pooler.person(project)
  const path = `/v1/projects/${project.ref}/config/database/pooler`
  const { body } = await pooler.api('GET', path, token)
  const modes = body as { connection_string: string; db_user: string; pool_mode: string }[]
  expect(modes.map(({ pool_mode }) => pool_mode)).toEqual(['transaction', 'session'])
  for (const { connection_string, db_user } of modes) {
    const { app, people } = project
    const { password } = db_user.startsWith(app.role) ? app : people
    const line = connection_string.replace('[YOUR-PASSWORD]', password)
    const { stdout, stderr } = await psql(line, 'SELECT 1', { env: { PGHOSTADDR: '127.0.0.1' } })
    expect([line, stderr, stdout]).toEqual([line, '', '1\n'])
  }
})

describe('a role without a stored password, in a project that asks the database', () => {
  test('is refused with a hint until somebody has logged in with the password', async () => {
    const project = await pooler.project({ auth: 'query' })
    const person = await pooler.person(project, { rules: [project.app.role] })
    const login = {
      ...withToken(project, person.token),
      user: `${project.app.role}.${project.ref}`,
    }
    const first = await pooler.raw({ tls: 'request' })
    clients.push(first)
    const refused = await first.login(login).catch((error: unknown) => error)
    expect(refused).toMatchObject({
      fields: { S: 'FATAL', C: '08004', M: expect.stringContaining('(EUPSTREAMAUTH)') },
    })
    expect((refused as { fields: Record<string, string> }).fields.H).toContain('Store')
    const app = await pooler.raw()
    clients.push(app)
    await app.login({ ...login, password: project.app.password, settings: {} })
    await eventually(async () => {
      const again = await pooler.raw({ tls: 'request' })
      clients.push(again)
      await again.login(login)
    })
  })
})
