// The console as operators use it: psql by the simple and the extended protocol, and a driver.
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  adminPassword,
  ConsoleWorld,
  codeOf,
  type Row,
  statsPassword,
} from '../support/console-world.ts'
import { eventually } from '../support/eventually.ts'
import { needsProgram } from '../support/program.ts'
import { psql } from '../support/psql.ts'
import { RawClient } from '../support/raw-client.ts'
import type { LoginRefused } from '../support/raw-login.ts'
import { RunningPooler } from '../support/running-pooler.ts'

let world: ConsoleWorld
beforeAll(async () => {
  world = await ConsoleWorld.start()
})
beforeEach(() => world.newProject())
afterAll(() => world?.pooler.stop())
afterEach(() => world.settled())

describe('who gets in', () => {
  test.each([
    ['a wrong password', { password: 'something else' }],
    ['a user that there is not', { user: 'nobody' }],
    ['the password of another', { user: 'stats' }],
  ])('%s is refused like any wrong password', async (_name, who) => {
    expect(await codeOf(world.connect(who))).toContain(
      '28P01 password authentication failed for user',
    )
  })

  test('only from the networks that may', async () => {
    const far = await RunningPooler.start({
      env: { ADMIN_PASSWORD: adminPassword, ADMIN_ALLOWED_NETWORKS: '10.0.0.0/8' },
    })
    try {
      const login = { user: 'latchkey', password: adminPassword, database: 'latchkey' }
      const refused = RawClient.loggedIn({ port: far.portOf(), ...login })
      await expect(refused).rejects.toThrow('EADDRNOTALLOWED')
    } finally {
      await far.stop()
    }
  })

  test('without a password there is no console', async () => {
    const bare = await RunningPooler.start()
    try {
      const login = { user: 'latchkey', password: 'x', database: 'latchkey' }
      const refused = RawClient.loggedIn({ port: bare.portOf(), ...login })
      await expect(refused).rejects.toThrow('ENOIDENTIFIER')
    } finally {
      await bare.stop()
    }
  })

  test('a project’s own database of that name stays the project’s', async () => {
    const { role, password } = world.project.app
    const url = world.pooler.url(world.project, { role, password, database: 'latchkey' })
    const client = new pg.Client({ connectionString: url })
    expect(await codeOf(client.connect())).toContain('3D000')
  })

  test('a name with a project is never an operator', async () => {
    const login = { user: 'root.nowhere', password: adminPassword, database: 'latchkey' }
    const refused = RawClient.loggedIn({ port: world.pooler.portOf(), ...login })
    await expect(refused).rejects.toThrow('ENOTFOUND')
  })

  test('over TLS with a server name of nobody', async () => {
    const client = await RawClient.loggedIn({
      port: world.pooler.portOf('session'),
      tls: 'request',
      serverName: 'db.example.com',
      user: 'root',
      password: adminPassword,
      database: 'latchkey',
    })
    await client.query('show version')
    await client.untilReady()
    client.close()
  })

  test('with a version that is negotiated down first', async () => {
    const client = await RawClient.connect({ port: world.pooler.portOf() })
    const login = { user: 'root', password: adminPassword, database: 'latchkey', minor: 9999 }
    const options = ['_pq_.test_protocol_negotiation']
    const settings = Object.fromEntries(options.map((name) => [name, '']))
    const { negotiated } = await client.login({ ...login, settings })
    expect(negotiated).toEqual({ minor: 2, options })
    client.close()
  })

  test('ten wrong passwords close the door for a while', async () => {
    const closed = await RunningPooler.start({ env: { ADMIN_PASSWORD: adminPassword } })
    try {
      const login = { port: closed.portOf(), user: 'latchkey', database: 'latchkey' }
      const attempt = (password: string) =>
        RawClient.loggedIn({ ...login, password }).then(
          () => 'in',
          (error: LoginRefused) => error.fields.M ?? '',
        )
      await Promise.all(Array.from({ length: 10 }, () => attempt('wrong password')))
      expect(await attempt(adminPassword)).toContain('ECIRCUITBREAKER')
    } finally {
      await closed.stop()
    }
  })
})

const tables = [
  'pools',
  'clients',
  'servers',
  'stats',
  'stats_averages',
  'tenants',
  'users',
  'databases',
  'config',
  'lists',
  'pins',
  'mem',
  'state',
  'version',
  'help',
]

describe('SHOW', () => {
  test('every table, by both protocols and in both formats', async () => {
    const client = await world.app()
    await client.query('create temporary table kept ()')
    const admin = await world.connect({ user: 'stats', password: statsPassword })
    for (const table of tables) {
      const simple = await admin.query({ text: `SHOW ${table};`, rowMode: 'array' })
      const extended = await admin.query({ text: `show ${table}`, values: [], rowMode: 'array' })
      const binary = { text: `show ${table}`, values: [], rowMode: 'array', binary: true }
      const inBinary = await admin.query<unknown[]>(binary as pg.QueryArrayConfig)
      expect(simple.command).toBe('SHOW')
      expect(extended.fields).toEqual(simple.fields)
      if (['mem', 'clients', 'lists', 'stats_averages'].includes(table)) continue
      expect(extended.rows, table).toEqual(simple.rows)
      expect(inBinary.rows.length, table).toBe(simple.rows.length)
    }
  })

  test('pools, clients, servers and pins tell who holds what', async () => {
    const admin = await world.connect()
    const client = await world.app()
    await client.query('begin')
    const other = await world.app()
    const [pool] = await world.rowsOf(admin, 'show pools')
    expect(pool).toMatchObject({
      database: world.project.ref,
      user: world.project.app.role,
      cl_active: 2,
      cl_waiting: 0,
      sv_active: 1,
      pool_mode: 'transaction',
      pool_size: 2,
      paused: 'no',
    })
    const clients = await world.rowsOf(admin, 'show clients')
    expect(clients.map(({ state }) => state).toSorted()).toEqual(['idle', 'joined'])
    const joined = clients.find(({ state }) => state === 'joined')
    const servers = await world.rowsOf(admin, 'show servers')
    const held = servers.find(({ state }) => state === 'joined')
    expect(held).toMatchObject({ link: joined?.id, id: joined?.link, type: 'S' })
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    expect(held?.remote_pid).toBe(rows[0]?.pid)
    await client.query('commit')
    await other.query('select pg_advisory_lock(42)')
    await eventually(async () => {
      const [pin] = await world.rowsOf(admin, 'show pins')
      expect(pin).toMatchObject({ user: world.project.app.role, pinned_by: 'advisory lock' })
    })
  })

  test('stats count transactions, queries and bytes', async () => {
    const client = await world.app()
    for (let round = 0; round < 5; round++) await client.query('select 1')
    const admin = await world.connect()
    const [stats] = await world.rowsOf(admin, 'show stats')
    expect(Number(stats?.total_xact_count)).toBeGreaterThanOrEqual(5)
    expect(Number(stats?.total_query_count)).toBeGreaterThanOrEqual(5)
    expect(Number(stats?.total_received)).toBeGreaterThan(0)
  })

  test('no table has a secret', async () => {
    const admin = await world.connect()
    const texts = []
    for (const table of tables)
      texts.push(JSON.stringify((await admin.query(`show ${table}`)).rows))
    const all = texts.join('\n')
    for (const secret of [adminPassword, statsPassword, world.project.app.password]) {
      expect(all).not.toContain(secret)
    }
    const config = (await admin.query<Row>('show config')).rows
    expect(config.find(({ key }) => key === 'ADMIN_PASSWORD')?.value).toBe('[set]')
  })
})

describe('what is no command', () => {
  test.each([
    'select 1',
    'show',
    'show nothing',
    'show pools; show clients',
    'pause everything now',
    'kill',
    'kill nowhere',
    'resume',
    'kill_client one',
    'kill_client 999999999',
    'disable a.b',
    'shutdown now',
    'toString',
    'show constructor',
    '"show" pools',
    "pause '",
    'show pools where true',
    '\\x',
    `pause "${'x'.repeat(3000)}"`,
    'show пулы',
  ])('%j is an error, and the console goes on', async (text) => {
    const admin = await world.connect()
    if (text === 'show') expect((await admin.query(text)).rows.length).toBeGreaterThan(10)
    else {
      expect(await codeOf(admin.query(text))).toMatch(/^42601 /)
      expect(await codeOf(admin.query({ text, values: [] }))).toMatch(/^42601 /)
    }
    expect((await admin.query('show version')).rows).toHaveLength(1)
  })

  test('an empty text is an empty query', async () => {
    const admin = await world.connect()
    expect((await admin.query(' ; -- nothing\n')).command).toBeNull()
  })

  test('bytes that are no message of a client end it alone', async () => {
    const login = { user: 'root', password: adminPassword, database: 'latchkey' }
    const client = await RawClient.loggedIn({ port: world.pooler.portOf(), ...login })
    await client.send(Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]))
    await client.expect('E')
    client.close()
    expect(world.pooler.captured.with({ msg: 'internal error' })).toEqual([])
  })

  test('the stats user looks and does not touch', async () => {
    const stats = await world.connect({ user: 'stats', password: statsPassword })
    for (const command of ['pause', 'resume', 'reload', 'shutdown', `kill ${world.project.ref}`]) {
      expect(await codeOf(stats.query(command))).toMatch(/^42501 /)
    }
    expect((await stats.query('show state')).rows[0]).toEqual({ key: 'active', value: 'yes' })
  })
})

test('psql, as an operator types it', async (context) => {
  needsProgram(context, 'psql')
  const url = `postgres://root@127.0.0.1:${world.pooler.portOf()}/latchkey`
  const script = 'show version;\n\\x\nshow state;\nshow pools\\g\n\\bind\nshow state\\g\n'
  const options = { env: { PGPASSWORD: adminPassword }, args: ['--set', 'ON_ERROR_STOP=0'] }
  const result = await psql(url, script, options)
  expect(result.stdout).toContain('Latchkey')
  expect(result.stdout).toContain('value|no')
  expect(result.exitCode).toBe(0)
})
