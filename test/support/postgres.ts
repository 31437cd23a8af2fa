// Real Postgres for tests. `sharedPostgres` is the one of the whole run, for tests that need nothing
// special of it; `startPostgres` is a server of the caller's own, made for its settings, pg_hba
// lines or certificate, which it may stop, restart and hurt.
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { inject } from 'vitest'
import { makeCluster } from '../../pooler/embedded/cluster.ts'
import { freePort } from '../../pooler/embedded/free-port.ts'
import { findServerBinaries } from '../../pooler/embedded/server-binaries.ts'
import { ServerProcess, type StopMode } from '../../pooler/embedded/server-process.ts'
import { ServerUser } from '../../pooler/embedded/server-user.ts'
import { StartError } from '../../pooler/embedded/start-error.ts'

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string
  }
}

export interface StartPostgresOptions {
  readonly settings?: Readonly<Record<string, string>>
  /** Lines of pg_hba.conf; without them SCRAM for all from loopback. */
  readonly hba?: readonly string[]
  /** PEM texts; turns `ssl` on. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

export type Row = Record<string, unknown>

const defaultHba = ['host all all all scram-sha-256', 'host replication all all scram-sha-256']
// A test's data need not survive a power cut, but they do survive the server's own crash.
const testSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  max_connections: '200',
  shared_buffers: '16MB',
}
const portAttempts = 5

/** What every Postgres of a test can do, whoever runs it. Its queries run as the superuser. */
export class PostgresAccess {
  readonly host: string
  readonly superuser: string
  readonly password: string
  protected currentPort: number

  constructor(url: string) {
    const parsed = new URL(url)
    this.host = parsed.hostname
    this.currentPort = Number(parsed.port || 5432)
    this.superuser = decodeURIComponent(parsed.username)
    this.password = decodeURIComponent(parsed.password)
  }

  get port(): number {
    return this.currentPort
  }

  url(database = 'postgres', role = this.superuser, password = this.password): string {
    const user = `${encodeURIComponent(role)}:${encodeURIComponent(password)}`
    return `postgresql://${user}@${this.host}:${this.port}/${encodeURIComponent(database)}`
  }

  /** One statement with parameters, or several without; its own connection each time. */
  async query(sql: string, params?: readonly unknown[], database?: string): Promise<Row[]> {
    const client = new Client({ connectionString: this.url(database) })
    // A server that is stopped meanwhile fails the query; the event on its own would end the test run.
    client.on('error', () => {})
    await client.connect()
    try {
      const result = await client.query<Row>(sql, params === undefined ? undefined : [...params])
      return Array.isArray(result) ? (result.at(-1)?.rows ?? []) : result.rows
    } finally {
      await client.end()
    }
  }

  /** `attributes` as in CREATE ROLE; LOGIN is always there. */
  async createRole(name: string, password: string | null, attributes = ''): Promise<void> {
    const secret = password === null ? 'NULL' : literal(password)
    await this.query(`CREATE ROLE ${identifier(name)} LOGIN PASSWORD ${secret} ${attributes}`)
  }

  async createDatabase(name: string, owner = this.superuser): Promise<void> {
    await this.query(`CREATE DATABASE ${identifier(name)} OWNER ${identifier(owner)}`)
  }

  /** Also ends the connections to it. */
  async dropDatabase(name: string): Promise<void> {
    await this.query(`DROP DATABASE IF EXISTS ${identifier(name)} WITH (FORCE)`)
  }

  async dropRole(name: string): Promise<void> {
    await this.query(`DROP ROLE IF EXISTS ${identifier(name)}`)
  }
}

export class TestPostgres extends PostgresAccess {
  readonly dataDirectory: string
  readonly #start: (port: number) => Promise<ServerProcess>
  #server: ServerProcess

  private constructor(
    url: string,
    server: ServerProcess,
    start: (port: number) => Promise<ServerProcess>,
  ) {
    super(url)
    this.dataDirectory = server.dataDirectory
    this.#server = server
    this.#start = start
  }

  static async start(options: StartPostgresOptions = {}): Promise<TestPostgres> {
    const { postgres, initdb } = await findServerBinaries()
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-test-'))
    try {
      const user = await ServerUser.find(postgres, folder)
      const dataDirectory = join(folder, 'data')
      const password = randomBytes(12).toString('hex')
      const passwordFile = join(folder, 'password')
      await writeOwned(user, passwordFile, password)
      const superuser = 'latchkey_test'
      await makeCluster({
        initdb,
        user,
        dataDirectory,
        superuser,
        passwordFile,
        isDurable: false,
      })
      const settings = { ...testSettings, ...options.settings }
      await writeOwned(
        user,
        join(dataDirectory, 'pg_hba.conf'),
        `${(options.hba ?? defaultHba).join('\n')}\n`,
      )
      if (options.tls !== undefined) {
        await writeOwned(user, join(dataDirectory, 'server.crt'), options.tls.cert)
        await writeOwned(user, join(dataDirectory, 'server.key'), options.tls.key)
        Object.assign(settings, { ssl: 'on', ...options.settings })
      }
      const start = (port: number): Promise<ServerProcess> =>
        ServerProcess.start({ postgres, user, dataDirectory, port, settings })
      const server = await startOnFreePort(start)
      const url = `postgresql://${superuser}:${password}@127.0.0.1:${server.port}/postgres`
      return new TestPostgres(url, server, start)
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  get isRunning(): boolean {
    return this.#server.isRunning
  }

  /** The last lines of the server's log. */
  get recentLog(): readonly string[] {
    return this.#server.recentLog
  }

  /** Stops it; its data stay for `start`. */
  async halt(mode: StopMode = 'fast'): Promise<void> {
    await this.#server.stop(mode)
  }

  /** Stops it and removes its data. */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    await this.halt(mode)
    await rm(join(this.dataDirectory, '..'), { recursive: true, force: true })
  }

  /** After `halt`, on the same port, with the same settings. */
  async start(): Promise<void> {
    this.#server = await this.#start(this.port)
  }

  async restart(mode: StopMode = 'fast'): Promise<void> {
    await this.halt(mode)
    await this.start()
  }

  /** Kills a backend as the kernel's out-of-memory killer does: every session ends, Postgres recovers. */
  kill9Backend(processId: number): void {
    process.kill(processId, 'SIGKILL')
  }
}

/** A server of the caller's own. Call `stop` when done with it. */
export function startPostgres(options: StartPostgresOptions = {}): Promise<TestPostgres> {
  return TestPostgres.start(options)
}

/** The server of the whole run. Use names of your own (`uniqueName`) and drop what you make. */
export function sharedPostgres(): PostgresAccess {
  return new PostgresAccess(inject('postgresUrl'))
}

/** A name for a role or database that no other test has. */
export function uniqueName(prefix: string): string {
  return `${prefix}_${randomBytes(5).toString('hex')}`
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function literal(text: string): string {
  const escaped = text.replaceAll("'", "''")
  return text.includes('\\') ? ` E'${escaped.replaceAll('\\', '\\\\')}'` : `'${escaped}'`
}

async function writeOwned(user: ServerUser, path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 })
  await chmod(path, 0o600)
  await user.adopt(path)
}

/** Between asking for a free port and Postgres taking it another test may have been faster. */
async function startOnFreePort(
  start: (port: number) => Promise<ServerProcess>,
): Promise<ServerProcess> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    if (port === null) throw new StartError('no free loopback port')
    try {
      return await start(port)
    } catch (error) {
      if (attempt === portAttempts) throw error
    }
  }
}
