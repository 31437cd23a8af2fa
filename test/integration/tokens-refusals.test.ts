// Tokens that do not get in: all alike to the client, each with its precise reason in the log and in
// the record; and that a token is good for nothing else than a login with a token.
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RefusalReason } from '../../pooler/access/decide-access.ts'
import type { TokenScope } from '../../pooler/access/token-scope.ts'
import { catalogue } from '../../shared/error-catalogue.ts'
import { Secret } from '../../shared/secret.ts'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import { type LoginOptions, LoginRefused } from '../support/raw-login.ts'
import { rowsOf, typesOf } from '../support/raw-replies.ts'
import { poolerDomain, RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'
import { someRule } from '../support/store-setup.ts'

let pooler: RunningPooler
let project: TestProject
let owner: TestPerson
const clients: RawClient[] = []
const inTheClear = 'sbp_0123456789abcdef0123456789abcdef01234567'

beforeAll(async () => {
  pooler = await RunningPooler.start()
  project = await pooler.project()
  owner = await pooler.person(project, { membership: 'owner', rules: [] })
})
afterAll(() => pooler?.stop())
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
  pooler.pooler.control.throttle.lift(project.ref)
})

const loginWith = (token: string, of = project): LoginOptions => ({
  user: `${of.people.role}.${of.ref}`,
  password: token,
  database: of.database,
  settings: { options: '-c jit=on' },
})

async function connect(localAddress = '127.0.0.1', serverName?: string): Promise<RawClient> {
  const mode = serverName === undefined ? 'transaction' : 'session'
  const named = serverName === undefined ? {} : { serverName }
  const client = await pooler.raw({ tls: 'request', localAddress, mode, ...named })
  clients.push(client)
  return client
}

async function refusalOf(login: LoginOptions, client?: RawClient): Promise<LoginRefused> {
  const knocking = client ?? (await connect())
  const refused = await knocking.login(login).then(
    () => 'let in',
    (error: unknown) => error,
  )
  expect(refused).toBeInstanceOf(LoginRefused)
  expect(await knocking.readAll()).toEqual([])
  return refused as LoginRefused
}

interface Case {
  /** Brings it about and gives the token to try. */
  prepare(): Promise<string>
}

const control = () => pooler.pooler.control

const tokenOf = async (options: Parameters<RunningPooler['person']>[1]) =>
  (await pooler.person(project, options)).token

const tokenFor = (scope: Partial<TokenScope>) =>
  tokenOf({
    scope: {
      permissions: ['database_jit_read'],
      projects: null,
      roles: null,
      networks: null,
      ...scope,
    },
  })

const cases: Readonly<Record<RefusalReason, Case>> = {
  token_unknown: { prepare: async () => inTheClear },
  token_revoked: {
    async prepare() {
      const person = await pooler.person(project)
      const { status } = await pooler.api(
        'DELETE',
        `/v1/access-tokens/${person.tokenId}`,
        person.token,
      )
      expect(status).toBe(200)
      const known = new Secret(person.token)
      await eventually(
        async () => (await control().bearers.find(known))?.token.revokedAtMs !== null,
      )
      return person.token
    },
  },
  logged_out: {
    async prepare() {
      const person = await pooler.person(project)
      const made = await pooler.api('POST', '/v1/auth/session', person.token, {})
      const jwt = (made.body as { access_token: string }).access_token
      expect((await pooler.api('DELETE', '/v1/auth/session', jwt)).status).toBe(204)
      return jwt
    },
  },
  token_expired: { prepare: () => tokenOf({ tokenExpiresAtMs: Date.now() - 1 }) },
  scope_permission: { prepare: () => tokenFor({ permissions: ['project_admin_read'] }) },
  scope_project: { prepare: () => tokenFor({ projects: ['another'] }) },
  scope_role: { prepare: () => tokenFor({ roles: [project.app.role] }) },
  scope_network: { prepare: () => tokenFor({ networks: ['127.0.0.2/32', '::/0'] }) },
  access_disabled: {
    async prepare() {
      const person = await pooler.person(project)
      await control().tenants.setJit(project.ref, false)
      await eventually(() => control().tenantCache.peek(project.ref)?.useJit === false)
      return person.token
    },
  },
  no_rule: { prepare: () => tokenOf({ rules: [] }) },
  role_not_granted: { prepare: () => tokenOf({ rules: [project.app.role] }) },
  rule_expired: {
    prepare: () =>
      tokenOf({ rules: [someRule(project.people.role, { expiresAtMs: Date.now() - 1 })] }),
  },
  branches_only: {
    prepare: () => tokenOf({ rules: [someRule(project.people.role, { branchesOnly: true })] }),
  },
  network_not_allowed: {
    prepare: () =>
      tokenOf({ rules: [someRule(project.people.role, { networksV4: ['127.0.0.2/32'] })] }),
  },
}

test.each(Object.keys(cases) as RefusalReason[])(
  '%s is refused in the words of a wrong password, and told to the owner alone',
  async (reason) => {
    const token = await cases[reason].prepare()
    try {
      const { fields, messages } = await refusalOf(loginWith(token))
      const { D = '', ...rest } = fields
      expect(rest).toEqual({
        S: 'FATAL',
        V: 'FATAL',
        C: '28P01',
        M: `password authentication failed for user "${project.people.role}"`,
        H: catalogue.EWRONGPASSWORD.hint,
      })
      expect(D).toMatch(/^refusal [0-9a-f]{20}$/)
      // Where access is disabled nobody asks for a token, so it comes as a password.
      const isAsked = reason !== 'access_disabled'
      expect(typesOf(messages)).toBe(isAsked ? 'RE' : 'RRE')
      const refusalId = D.replace('refusal ', '')
      const [line] = pooler.captured.with({ refusalId })
      expect(line).toMatchObject({ tenant: project.ref, role: project.people.role })
      if (!isAsked) return
      expect(line?.reason).toBe(reason)
      const counted = await pooler.api('GET', '/metrics', 'api')
      expect(counted.text).toContain(`reason="${reason}"`)
      if (reason === 'token_unknown') return
      const events = await eventually(async () => {
        const path = `/v1/projects/${project.ref}/database/jit/events?session_id=${refusalId}`
        const { body } = await pooler.api('GET', path, owner.token)
        const { items } = body as { items: unknown[] }
        return items.length > 0 && items
      })
      expect(events).toMatchObject([{ action: 'refused', reason, address: '127.0.0.1' }])
    } finally {
      await pooler.change(project, { useJit: true })
    }
  },
)

test('a rule for one address lets that address in and no other', async () => {
  const rules = [someRule(project.people.role, { networksV4: ['127.0.0.2/32'] })]
  const { token } = await pooler.person(project, { rules })
  const inside = await connect('127.0.0.2')
  await inside.login(loginWith(token))
  await refusalOf(loginWith(token), await connect('127.0.0.3'))
})

test('a scoped token lets in whom scope and rules both name', async () => {
  const { token } = await pooler.person(project, {
    scope: {
      permissions: ['database_jit_read'],
      projects: [project.ref],
      roles: [project.people.role],
      networks: ['127.0.0.2/32'],
    },
  })
  expect(token).toMatch(/^sbp_fc[0-9a-f]{40}$/)
  await (await connect('127.0.0.2')).login(loginWith(token))
})

test('a role that may be given to nobody is refused even where a rule names it', async () => {
  const dangerous = await pooler.project()
  const { token } = await pooler.person(dangerous)
  await sharedPostgres().query(`ALTER ROLE "${dangerous.people.role}" SUPERUSER`)
  const { fields } = await refusalOf(loginWith(token, dangerous))
  const refusalId = (fields.D ?? '').replace('refusal ', '')
  expect(pooler.captured.with({ refusalId })[0]?.reason).toBe('role_not_assignable')
})

test.each([
  ['empty', ''],
  ['a password', 'correct horse battery staple'],
  ['too short for a token', 'sbp_0123456789abcdef'],
  ['too long for a token', `sbp_${'a'.repeat(300)}`],
  ['a JWT of nobody', `eyJ${'a'.repeat(100)}.eyJ${'b'.repeat(100)}.sig`],
  ['a JWT of 8 KB', `eyJ${'a'.repeat(4000)}.eyJ${'b'.repeat(4000)}.sig`],
])('what is %s is refused like any other', async (_name, secret) => {
  const { fields } = await refusalOf(loginWith(secret))
  expect(fields).toMatchObject({ C: '28P01', H: catalogue.EWRONGPASSWORD.hint })
})

test('a password message over 16 KB is refused by its length', async () => {
  const { fields } = await refusalOf(loginWith('x'.repeat(17_000)))
  expect(fields).toMatchObject({ S: 'FATAL', C: '54000' })
})

describe('a token that got in a moment ago', () => {
  test('is no password: not for SCRAM, not on the direct host with jit off', async () => {
    const { token } = await pooler.person(project)
    const login = loginWith(token)
    await (await connect()).login(login)
    const { settings: _jit, ...withoutOption } = login
    expect((await refusalOf(withoutOption)).fields.C).toBe('28P01')
    expect((await refusalOf({ ...login, settings: { options: '-c jit=off' } })).fields.C).toBe(
      '28P01',
    )
    const plain = await pooler.raw()
    clients.push(plain)
    expect((await refusalOf(withoutOption, plain)).fields.C).toBe('28P01')
    const direct = await connect('127.0.0.1', `db.${project.ref}.${poolerDomain}`)
    const user = project.people.role
    const off = { ...login, user, settings: { options: '-c jit=off' } }
    expect((await refusalOf(off, direct)).fields.C).toBe('28P01')
  })

  test('is no token of another project, role or bearer of the operator', async () => {
    const { token } = await pooler.person(project)
    await (await connect()).login(loginWith(token))
    const other = await pooler.project()
    expect((await refusalOf(loginWith(token, other))).fields.C).toBe('28P01')
    const asApp = { ...loginWith(token), user: `${project.app.role}.${project.ref}` }
    expect((await refusalOf(asApp)).fields.C).toBe('28P01')
    expect((await pooler.api('GET', '/api/tenants', token)).status).toBe(403)
    expect((await pooler.api('GET', `/v1/projects/${other.ref}/jit-access`, token)).status).toBe(
      404,
    )
  })
})

test('a token is nowhere but in the hands of its owner', async () => {
  const secretive = await pooler.project()
  const person = await pooler.person(secretive)
  const admin = await pooler.person(secretive, { membership: 'owner' })
  const rest = person.token.slice('sbp_'.length)
  const good = await connect()
  await good.login({ ...loginWith(person.token, secretive), minor: 2 })
  await good.query("SELECT 1 / 0; SELECT current_setting('application_name')")
  const replies = await good.untilReady()
  // Every way to be refused, with the token in hand, and in every place where people put it by mistake.
  const wrong: LoginOptions[] = [
    loginWith(`${person.token}0`, secretive),
    { ...loginWith(person.token, secretive), user: `${secretive.app.role}.${secretive.ref}` },
    { ...loginWith(person.token, secretive), settings: {} },
    { ...loginWith(person.token, secretive), database: 'no_such_database' },
    {
      ...loginWith(person.token, secretive),
      settings: { options: '-c jit=on', TimeZone: 'Nowhere' },
    },
  ]
  const refused = await Promise.all(wrong.map((login) => refusalOf(login)))
  const broken = await connect()
  await broken.send(Buffer.from(`GARBAGE ${person.token}`))
  await broken.readAll()
  await control().auditTrail.flush()
  await control().accessTokens.flushUses()
  const path = `/v1/projects/${secretive.ref}/database/jit`
  const answers = await Promise.all([
    pooler.api('GET', '/metrics', 'api'),
    pooler.api('GET', `/metrics/${secretive.ref}`, 'api'),
    pooler.api('GET', `${path}/events`, admin.token),
    pooler.api('GET', `${path}/sessions`, admin.token),
    pooler.api('GET', `${path}/list`, admin.token),
    pooler.api('GET', '/v1/access-tokens', person.token),
    pooler.api('GET', '/v1/profile', `${person.token}0`),
    pooler.api('GET', `/api/tenants/${secretive.ref}`, 'api'),
  ])
  const places: Readonly<Record<string, string>> = {
    log: pooler.captured.text,
    'the API': answers.map(({ text }) => text).join('\n'),
    'answers of refusals': refused.map(({ fields }) => JSON.stringify(fields)).join('\n'),
    'replies of a session': replies.map(({ body }) => body.toString('latin1')).join('\n'),
    'the metadata': await dumpOf(pooler.metadataUrl),
    'what Postgres sees': JSON.stringify(
      await sharedPostgres().query('SELECT * FROM pg_stat_activity'),
    ),
  }
  for (const [place, text] of Object.entries(places)) {
    expect(text.length, place).toBeGreaterThan(50)
    expect(text.includes(rest), place).toBe(false)
    for (const password of [secretive.app.password, secretive.people.password]) {
      expect(text.includes(password), place).toBe(false)
    }
  }
})

/** Every row of every table, as text. */
async function dumpOf(url: string): Promise<string> {
  const client = new Client(url)
  await client.connect()
  try {
    const tables = await client.query<{ name: string }>(
      "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'latchkey'",
    )
    const texts: string[] = []
    for (const { name } of tables.rows) {
      const rows = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)
      texts.push(name, ...rows.rows.map(({ row }) => row))
    }
    return texts.join('\n')
  } finally {
    await client.end()
  }
}

test('a session that a token opened can be used as long as nothing changes', async () => {
  const { token } = await pooler.person(project)
  const client = await connect()
  await client.login(loginWith(token))
  for (let count = 0; count < 3; count++) {
    await client.query(`SELECT ${count}`)
    expect(rowsOf(await client.untilReady())).toEqual([[String(count)]])
  }
})
