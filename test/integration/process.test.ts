// The program as an operator runs it, with a metadata database of one's own: settings, ports, signals.
// With the embedded Postgres: process-embedded.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { freePorts, MainProcess, type Ports, portSettings } from '../support/main-process.ts'
import { OwnMetadata } from '../support/own-metadata.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let metadata: OwnMetadata
const processes: MainProcess[] = []
const clients: RawClient[] = []

beforeAll(async () => {
  metadata = await OwnMetadata.make()
})
afterAll(() => metadata.drop())
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const one of processes.splice(0)) await one.end()
})

interface Started {
  readonly main: MainProcess
  readonly ports: Ports
}

async function start(env: Readonly<Record<string, string>> = {}): Promise<Started> {
  const ports = await freePorts()
  const main = new MainProcess({
    env: {
      ...metadata.env,
      ...portSettings(ports),
      ...env,
    },
  })
  processes.push(main)
  return { main, ports }
}

async function enter(port: number): Promise<RawClient> {
  const client = await RawClient.loggedIn({ port, ...metadata.login })
  clients.push(client)
  return client
}

/** Connections that the process left in the metadata database. */
async function metadataConnections(): Promise<number> {
  const sql = 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1'
  return Number((await sharedPostgres().query(sql, [metadata.name]))[0]?.n)
}

const isRefused = (port: number): Promise<boolean> =>
  RawClient.connect({ port }).then(
    (client) => {
      client.close()
      return false
    },
    () => true,
  )

describe('settings', () => {
  test('all faults are told at once, no secret among them, and the exit code is 2', async () => {
    const { main } = await start({
      PORT: 'http',
      PROXY_PORT_SESSION: '70000',
      DATABASE_URL: 'mysql://user:hunter2hunter2@host/db',
      VAULT_ENC_KEY: 'tooshortsecret',
      API_JWT_SECRET: '',
      CLIENT_LOGIN_TIMEOUT_MS: '-1',
      GLOBAL_DOWNSTREAM_CERT_PATH: '/some/cert.pem',
      LOG_LEVEL: 'loud',
    })
    expect(await main.exited).toEqual({ code: 2, signal: null })
    for (const name of [
      'PORT',
      'PROXY_PORT_SESSION',
      'DATABASE_URL',
      'VAULT_ENC_KEY',
      'API_JWT_SECRET',
      'CLIENT_LOGIN_TIMEOUT_MS',
      'GLOBAL_DOWNSTREAM_KEY_PATH',
      'LOG_LEVEL',
    ]) {
      expect(main.stderr).toMatch(new RegExp(`^ +${name}: .*(allowed|given)`, 'm'))
    }
    expect(main.stdout + main.stderr).not.toMatch(/hunter2|tooshortsecret/)
    expect(main.stdout).toBe('')
  })

  test('with a metadata database secrets have no default, and published ones are refused', async () => {
    const { main } = await start({ VAULT_ENC_KEY: '', API_JWT_SECRET: 'dev' })
    expect(await main.exited).toEqual({ code: 2, signal: null })
    expect(main.stderr).toMatch(/VAULT_ENC_KEY/)
    expect(main.stderr).toMatch(/API_JWT_SECRET/)
  })

  test.each([['serve'], ['token', 'again'], ['--verbose']])(
    'the words %s are no command',
    async (...args) => {
      const main = new MainProcess({ args })
      processes.push(main)
      expect(await main.exited).toEqual({ code: 2, signal: null })
      expect(main.stderr).toContain('usage:')
    },
  )

  test('--version and --help answer and start nothing', async () => {
    for (const [word, answer] of [
      ['--version', /^latchkey \d+\.\d+\.\d+\n$/],
      ['--help', /^usage: /],
    ] as const) {
      const main = new MainProcess({ args: [word] })
      processes.push(main)
      expect(await main.exited).toEqual({ code: 0, signal: null })
      expect(main.stdout).toMatch(answer)
    }
  })

  test.each([
    ['a metadata database that is not there', 'postgresql://a:b@127.0.0.1:1/x', /metadata/],
    ['a wrong password of it', 'wrong password', /metadata.*password authentication failed/s],
  ])('%s is one line without the password', async (_name, given, line) => {
    const url = new URL(sharedPostgres().url(metadata.name))
    url.password = 'hunter2hunter2'
    const { main } = await start({ DATABASE_URL: given.includes('://') ? given : url.toString() })
    expect(await main.exited).toEqual({ code: 1, signal: null })
    expect(main.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(main.stderr).toMatch(line)
    expect(main.stdout + main.stderr).not.toContain('hunter2')
  })
})

describe('a port that is taken', () => {
  test.each([
    ['PORT', 'api'],
    ['PROXY_PORT_TRANSACTION', 'transaction'],
    ['PROXY_PORT_SESSION', 'session'],
  ] as const)('%s is named in one line, and nothing is left running', async (setting, which) => {
    const other = createServer()
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done))
    const { port } = other.address() as { port: number }
    try {
      const { main, ports } = await start({ [setting]: String(port) })
      expect(await main.exited).toEqual({ code: 1, signal: null })
      const lines = main.stderr.trimEnd().split('\n')
      expect(lines).toHaveLength(1)
      expect(lines[0]).toContain(`port ${port} (${setting})`)
      for (const [name, free] of Object.entries(ports)) {
        if (name !== which) expect(await isRefused(free)).toBe(true)
      }
      await eventually(async () => (await metadataConnections()) === 0)
    } finally {
      other.close()
    }
  })
})

describe('SIGTERM', () => {
  test('lets a transaction finish, tells who is idle, takes nobody new, and exits with 0', async () => {
    const { main, ports } = await start()
    await main.ready()
    const idle = await enter(ports.transaction)
    const idleSession = await enter(ports.session)
    const busy = await enter(ports.transaction)
    await busy.query('BEGIN; SELECT 1')
    await busy.untilReady()
    const busySession = await enter(ports.session)
    await busySession.query('BEGIN')
    await busySession.untilReady()
    main.kill('SIGTERM')
    for (const client of [idle, idleSession]) {
      const messages = await client.readAll()
      expect(typesOf(messages)).toBe('E')
      expect(errorFields(messages[0]?.body as Buffer)).toMatchObject({ S: 'FATAL', C: '57P01' })
    }
    await eventually(() => isRefused(ports.transaction))
    const ready = await fetch(`http://127.0.0.1:${ports.api}/api/ready`)
    expect(ready.status).toBe(503)
    for (const client of [busy, busySession]) {
      await client.query('SELECT 2; COMMIT')
      const answers = await client.untilReady()
      expect(rowsOf(answers)).toEqual([['2']])
      expect(typesOf(await client.readAll())).toBe('E')
    }
    expect(await main.exited).toEqual({ code: 0, signal: null })
    expect(main.stderr).toBe('')
    await eventually(async () => (await metadataConnections()) === 0)
  })

  test('does not wait longer than DRAIN_TIMEOUT_MS for a transaction', async () => {
    const { main, ports } = await start({ DRAIN_TIMEOUT_MS: '300' })
    await main.ready()
    const busy = await enter(ports.transaction)
    await busy.query('BEGIN')
    await busy.untilReady()
    main.kill('SIGTERM')
    const messages = await busy.readAll()
    expect(errorFields(messages[0]?.body as Buffer)).toMatchObject({ S: 'FATAL' })
    expect(await main.exited).toEqual({ code: 0, signal: null })
  })

  test('within DRAIN_DELAY_MS newcomers are still served, while it says that it is not ready', async () => {
    const { main, ports } = await start({ DRAIN_DELAY_MS: '60000' })
    await main.ready()
    main.kill('SIGTERM')
    const url = `http://127.0.0.1:${ports.api}/api/ready`
    await eventually(async () => (await fetch(url)).status === 503)
    const client = await enter(ports.transaction)
    await client.query('SELECT 1')
    expect(rowsOf(await client.untilReady())).toEqual([['1']])
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('twice (%s) ends it at once', async (second) => {
    const { main, ports } = await start()
    await main.ready()
    const busy = await enter(ports.transaction)
    await busy.query('BEGIN')
    await busy.untilReady()
    main.kill('SIGTERM')
    await main.says('a second signal stops at once')
    main.kill(second)
    expect(await main.exited).toEqual({ code: 1, signal: null })
    await eventually(() => busy.end !== 'open')
  })

  test('while it starts ends it', async () => {
    const { main } = await start()
    main.kill('SIGTERM')
    const { code, signal } = await main.exited
    expect(code === 0 || signal === 'SIGTERM').toBe(true)
    await eventually(async () => (await metadataConnections()) === 0)
  })
})

test('what is stored by one start serves the next, under another key it does not', async () => {
  for (const _again of [1, 2]) {
    const { main, ports } = await start()
    await main.ready()
    await enter(ports.transaction)
    await main.end()
  }
  // A key in between, and going on with both: key-replacement.
  const { main } = await start({ VAULT_ENC_KEY: randomBytes(32).toString('hex') })
  expect((await main.exited).code).toBe(1)
  expect(main.stderr).toMatch(/^VAULT_ENC_KEY: opens none/)
})

test('two processes on one metadata database serve side by side', async () => {
  const all = await Promise.all([start(), start()])
  for (const { main, ports } of all) {
    await main.ready()
    const client = new Client({
      host: '127.0.0.1',
      port: ports.session,
      user: metadata.login.user,
      password: metadata.password,
      database: 'postgres',
    })
    await client.connect()
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await client.end()
  }
})
