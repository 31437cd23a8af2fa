// Real clients log in to the whole process: every way to say who one is, every way to encrypt.
// Messages byte by byte are logins-first-bytes and logins-authentication; refusals logins-refusals.
import { Client, type ClientConfig } from 'pg'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { pgbench } from '../support/pgbench.ts'
import { needsProgram } from '../support/program.ts'
import { psql } from '../support/psql.ts'
import { type Mode, poolerDomain, RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

let pooler: RunningPooler
const projects = new Map<string, TestProject>()
let person: TestPerson

beforeAll(async () => {
  pooler = await RunningPooler.start()
  projects.set('stored', await pooler.project({ auth: 'stored' }))
  projects.set('query', await pooler.project({ auth: 'query' }))
  person = await pooler.person(projectOf('stored'))
})
afterAll(() => pooler?.stop())
afterEach(() => pooler.settled())

const projectOf = (auth: string): TestProject => projects.get(auth) as TestProject
const whoAmI = "SELECT current_user || '|' || current_database() AS me"

/** What `pg` finds, with any of its settings. */
async function askWithPg(config: ClientConfig, sql = whoAmI): Promise<unknown> {
  const client = new Client(config)
  await client.connect()
  try {
    const { rows } = await client.query<{ me: unknown }>(sql)
    return rows[0]?.me
  } finally {
    await client.end()
  }
}

const encryptions = [
  { name: 'plain', parameters: { sslmode: 'disable' }, ssl: false },
  { name: 'TLS', parameters: { sslmode: 'require' }, ssl: { rejectUnauthorized: false } },
] as const

describe.each(['stored', 'query'])('a password, verified by: %s', (auth) => {
  describe.each(['transaction', 'session'] satisfies Mode[])('on the %s port', (mode) => {
    describe.each(encryptions)('$name', ({ parameters, ssl }) => {
      const me = (): string => `${projectOf(auth).app.role}|${projectOf(auth).database}`

      test('psql gets in', async (context) => {
        needsProgram(context, 'psql')
        const project = projectOf(auth)
        const url = pooler.url(project, { ...project.app, mode, parameters })
        expect(await psql(url, whoAmI)).toMatchObject({
          exitCode: 0,
          stdout: `${me()}\n`,
          stderr: '',
        })
      })

      test('the pg driver gets in', async () => {
        const project = projectOf(auth)
        const connectionString = pooler.url(project, { ...project.app, mode })
        expect(await askWithPg({ connectionString, ssl })).toBe(me())
      })

      test('the postgres driver gets in', async () => {
        const project = projectOf(auth)
        const url = pooler.url(project, { ...project.app, mode })
        const sql = postgres(url, { max: 2, ssl, fetch_types: false })
        const rows = await sql.unsafe(whoAmI)
        expect(rows[0]?.me).toBe(me())
        expect(await sql`SELECT ${7}::int AS n`).toEqual([{ n: 7 }])
        await sql.end()
      })
    })
  })
})

describe.each(['transaction', 'session'] satisfies Mode[])('a token on the %s port', (mode) => {
  const me = (): string => `${projectOf('stored').people.role}|${projectOf('stored').database}`
  const urlFor = (parameters: Readonly<Record<string, string>> = {}): string => {
    const project = projectOf('stored')
    const { role } = project.people
    return pooler.url(project, { role, password: person.token, mode, parameters })
  }

  test('psql gets in', async (context) => {
    needsProgram(context, 'psql')
    const url = urlFor({ sslmode: 'require', options: '-c jit=on' })
    expect(await psql(url, whoAmI)).toMatchObject({ exitCode: 0, stdout: `${me()}\n` })
  })

  test('the pg driver gets in', async () => {
    const ssl = { rejectUnauthorized: false }
    const connectionString = urlFor({ options: '-c jit=on' })
    expect(await askWithPg({ connectionString, ssl })).toBe(me())
  })

  test('the postgres driver gets in', async () => {
    const sql = postgres(urlFor(), {
      max: 1,
      ssl: { rejectUnauthorized: false },
      fetch_types: false,
      connection: { options: '-c jit=on' } as Record<string, string>,
    })
    expect((await sql.unsafe(whoAmI))[0]?.me).toBe(me())
    await sql.end()
  })
})

test('direct TLS with ALPN works with the pg driver, for a password and for a token', async () => {
  const project = projectOf('stored')
  const ssl = { rejectUnauthorized: false }
  const direct = { ssl, sslnegotiation: 'direct' } as ClientConfig
  const connectionString = pooler.url(project, project.app)
  expect(await askWithPg({ connectionString, ...direct })).toContain(project.app.role)
  const withToken = pooler.url(project, {
    role: project.people.role,
    password: person.token,
    mode: 'session',
    parameters: { options: '-c jit=on' },
  })
  expect(await askWithPg({ connectionString: withToken, ...direct })).toContain(project.people.role)
})

test('a client that verifies the certificate gets in by the name it stands for', async (context) => {
  needsProgram(context, 'psql')
  const project = projectOf('stored')
  const verified = { sslmode: 'verify-full', sslrootcert: pooler.caFile, hostaddr: '127.0.0.1' }
  const url = (host: string) => pooler.url(project, { ...project.app, host, parameters: verified })
  expect(await psql(url(`eu.${poolerDomain}`), 'SELECT 1')).toMatchObject({ stdout: '1\n' })
  const elsewhere = await psql(url('pooler.example.com'), 'SELECT 1')
  expect(elsewhere).toMatchObject({ exitCode: 2 })
})

test('channel binding is had by a client that insists on it, and refused without TLS', async (context) => {
  needsProgram(context, 'psql')
  for (const auth of ['stored', 'query']) {
    const project = projectOf(auth)
    const bound = (sslmode: string) =>
      pooler.url(project, { ...project.app, parameters: { sslmode, channel_binding: 'require' } })
    expect(await psql(bound('require'), 'SELECT 1')).toMatchObject({ exitCode: 0, stdout: '1\n' })
    expect((await psql(bound('disable'), 'SELECT 1')).exitCode).toBe(2)
  }
  const sent = await pooler.api('GET', '/metrics', 'api')
  expect(sent.text).toMatch(/method="scram-sha-256-plus"/)
})

describe('whose connection it is', () => {
  const role = (): string => projectOf('stored').app.role
  const password = (): string => projectOf('stored').app.password
  const ssl = { rejectUnauthorized: false }

  async function ask(config: ClientConfig, mode: Mode = 'transaction'): Promise<unknown> {
    const { database } = projectOf('stored')
    const port = pooler.portOf(mode)
    const host = '127.0.0.1'
    return await askWithPg({ host, port, database, password: password(), ...config })
  }

  test.each(['transaction', 'session'] satisfies Mode[])(
    'the user name says it, %s',
    async (mode) => {
      const me = await ask({ user: `${role()}.${projectOf('stored').ref}` }, mode)
      expect(me).toContain(role())
    },
  )

  test.each([
    ['an option', (ref: string) => `-c reference=${ref}`],
    ['a long option', (ref: string) => `--reference=${ref}`],
    ['a URL query', (ref: string) => `reference=${ref}`],
    ['an escaped URL query', (ref: string) => `reference%3D${ref}`],
  ])('%s says it', async (_name, optionsFor) => {
    const options = optionsFor(projectOf('stored').ref)
    expect(await ask({ user: role(), options })).toContain(role())
  })

  test('an option wins over the user name, which is then the role as a whole', async () => {
    const dotted = await pooler.project()
    const options = `-c reference=${dotted.ref}`
    const user = `${dotted.app.role}.${projectOf('stored').ref}`
    await expect(ask({ user, options })).rejects.toMatchObject({
      message: `password authentication failed for user "${user}"`,
    })
  })

  test('the TLS server name says it', async () => {
    const servername = `${projectOf('stored').ref}.${poolerDomain}`
    expect(await ask({ user: role(), ssl: { ...ssl, servername } })).toContain(role())
  })

  test("a project's own host name says it", async () => {
    const sniHostname = 'db.customer.example'
    const project = await pooler.project({ input: { sniHostname } })
    const { role: user, password: own } = project.app
    const config = { user, password: own, database: project.database }
    expect(await ask({ ...config, ssl: { ...ssl, servername: sniHostname } })).toContain(user)
  })

  test("the direct host's name takes a user name with and without the project's ref", async () => {
    const { ref } = projectOf('stored')
    const servername = `db.${ref}.${poolerDomain}`
    for (const user of [role(), `${role()}.${ref}`]) {
      expect(await ask({ user, ssl: { ...ssl, servername } }, 'session')).toContain(role())
    }
  })

  test('a role with dots is all but the last part', async () => {
    const project = await pooler.project()
    const { role: plain } = project.app
    const user = `a.b.${plain}.${project.ref}`
    await expect(ask({ user })).rejects.toMatchObject({
      message: `password authentication failed for user "a.b.${plain}"`,
    })
  })
})

test('a password login takes three answers: the offer, the challenge, and all the rest', async () => {
  const project = projectOf('stored')
  const { role, password } = project.app
  const options = { user: `${role}.${project.ref}`, password, database: project.database }
  // What a server reports is known from the first login on.
  await askWithPg({ connectionString: pooler.url(project, project.app) })
  const client = await pooler.raw({ port: pooler.portOf() })
  let chunks = 0
  client.socket.on('data', () => chunks++)
  const { messages } = await client.login(options)
  expect(messages.at(-1)?.type).toBe('Z')
  expect(chunks).toBe(3)
  await client.terminate()
})

test('a line without a database name opens the database of the project', async (context) => {
  needsProgram(context, 'psql')
  const project = projectOf('stored')
  const { role, password } = project.app
  const url = pooler.url(project, { role, password, database: null })
  expect(await psql(url, 'SELECT current_database()')).toMatchObject({
    stdout: `${project.database}\n`,
  })
  const base = { host: '127.0.0.1', port: pooler.portOf(), user: `${role}.${project.ref}` }
  expect(await askWithPg({ ...base, password })).toContain(project.database)
  const sql = postgres({ ...base, password, max: 1, fetch_types: false })
  expect((await sql.unsafe(whoAmI))[0]?.me).toContain(project.database)
  await sql.end()
})

describe('pgbench finishes all its transactions', () => {
  const script = '\\set n random(1, 100)\nBEGIN;\nSELECT :n;\nSELECT :n + 1;\nEND;\n'
  const args = ['--client', '8', '--jobs', '2', '--transactions', '25', '--protocol']

  test.for([
    ['transaction', 'simple'],
    ['transaction', 'extended'],
    ['transaction', 'prepared'],
    ['session', 'simple'],
    ['session', 'extended'],
    ['session', 'prepared'],
  ] as const)('on the %s port with the %s protocol', async ([mode, protocol], context) => {
    needsProgram(context, 'pgbench')
    const project = projectOf('stored')
    const url = pooler.url(project, { ...project.app, mode })
    const result = await pgbench(url, { script, args: [...args, protocol] })
    expect(result).toMatchObject({ exitCode: 0, transactions: 200, failed: 0 })
  })
})
