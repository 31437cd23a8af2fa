// The Postgres behind every target: an embedded server of the run's own, filled by `pgbench -i`.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Pool } from 'pg'
import { makeCluster } from '../../pooler/embedded/cluster.ts'
import { freePort } from '../../pooler/embedded/free-port.ts'
import { findServerBinaries } from '../../pooler/embedded/server-binaries.ts'
import { ServerProcess, type StopMode } from '../../pooler/embedded/server-process.ts'
import { ServerUser } from '../../pooler/embedded/server-user.ts'
import type { Address } from './address.ts'
import { pgbench } from './pgbench.ts'

export type Row = Record<string, unknown>

/** Nothing here outlives the run, and nothing runs beside the load that was not asked for. */
export const postgresSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '1300',
  shared_buffers: '128MB',
  fsync: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
}

export const benchDatabase = 'bench'
export const metadataDatabase = 'latchkey'
/** The role that load comes from. */
export const appRole = 'app'
/** A second role, and with it a second pool, for what must not touch the first. */
export const otherRole = 'other'
const superuser = 'bench_admin'
const grants = `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${appRole}, ${otherRole}`
const pgbenchScale = 5
const connectionsMax = 4

export class BenchPostgres {
  /** Of the run's own; readable for `user`. */
  readonly folder: string
  readonly user: ServerUser
  readonly version: string
  readonly rolePassword: string
  readonly #start: () => Promise<ServerProcess>
  #server: ServerProcess
  readonly #password: string
  readonly #connections: Pool

  private constructor(parts: Parts, connections: Pool, version: string) {
    this.folder = parts.folder
    this.user = parts.user
    this.version = version
    this.rolePassword = randomBytes(12).toString('hex')
    this.#start = parts.start
    this.#server = parts.server
    this.#password = parts.password
    this.#connections = connections
  }

  static async start(): Promise<BenchPostgres> {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
    try {
      const parts = await startServer(folder)
      const address = addressOf(parts, superuser, parts.password, 'postgres')
      const connections = new Pool({ ...address, max: connectionsMax })
      connections.on('error', () => {})
      const { rows } = await connections.query<Row>('SHOW server_version')
      const postgres = new BenchPostgres(parts, connections, String(rows[0]?.server_version))
      await postgres.#fill()
      return postgres
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** The postmaster; its children are the backends. */
  get pid(): number {
    return this.#server.pid
  }

  get port(): number {
    return this.#server.port
  }

  /** Straight to Postgres. */
  address(role = appRole, database = benchDatabase): Address {
    const password = role === superuser ? this.#password : this.rolePassword
    return { host: '127.0.0.1', port: this.port, user: role, password, database }
  }

  get metadataUrl(): string {
    const { user, password, host, port } = this.address(superuser)
    return `postgresql://${user}:${password}@${host}:${port}/${metadataDatabase}`
  }

  /** As the superuser, straight, in database postgres. */
  async query(sql: string, params: readonly unknown[] = []): Promise<Row[]> {
    const { rows } = await this.#connections.query<Row>(sql, [...params])
    return rows
  }

  /** A database with a table that both roles may fill. */
  async addDatabase(name: string): Promise<void> {
    await this.#connections.query(`CREATE DATABASE ${name}`)
    await this.#inDatabase(
      name,
      `CREATE TABLE chaos_rows (client int NOT NULL);
       CREATE TABLE soak_rows (id int NOT NULL, is_wanted bool NOT NULL);
       ${grants}`,
    )
  }

  /** As the superuser, straight, in any database; the rows of the last statement. */
  async #inDatabase(database: string, sql: string): Promise<Row[]> {
    const client = new Client(this.address(superuser, database))
    await client.connect()
    try {
      const result = await client.query<Row>(sql)
      return Array.isArray(result) ? (result.at(-1)?.rows ?? []) : result.rows
    } finally {
      await client.end()
    }
  }

  /** Rows of one table there. */
  async count(database: string, table: string, condition = 'true'): Promise<number> {
    const sql = `SELECT count(*)::int AS count FROM ${table} WHERE ${condition}`
    return Number((await this.#inDatabase(database, sql))[0]?.count)
  }

  /** On the same port; whoever was connected has lost it. */
  async restart(mode: StopMode): Promise<void> {
    await this.#server.stop(mode)
    this.#server = await this.#start()
  }

  /** Puts a file into the run's folder, for programs that run as the same user; returns its path. */
  async keep(name: string, text: string): Promise<string> {
    const path = join(this.folder, name)
    await writeFile(path, text, { mode: 0o600 })
    await this.user.adopt(path)
    return path
  }

  /** What `copy` has copied in. */
  async emptyCopyRows(): Promise<void> {
    await this.#inDatabase(benchDatabase, 'TRUNCATE copy_rows')
  }

  async stop(): Promise<void> {
    await this.#connections.end()
    await this.#server.stop('immediate')
    await rm(this.folder, { recursive: true, force: true })
  }

  async #fill(): Promise<void> {
    for (const role of [appRole, otherRole]) {
      await this.#connections.query(`CREATE ROLE ${role} LOGIN PASSWORD '${this.rolePassword}'`)
    }
    await this.#connections.query(`CREATE DATABASE ${metadataDatabase}`)
    await this.#connections.query(`CREATE DATABASE ${benchDatabase}`)
    const asAdmin = this.address(superuser)
    const { exitCode, stderr } = await pgbench(asAdmin, [
      '--initialize',
      '--quiet',
      `--scale=${pgbenchScale}`,
    ])
    if (exitCode !== 0) throw new Error(`pgbench --initialize failed: ${stderr}`)
    await this.#inDatabase(
      benchDatabase,
      `CREATE TABLE chaos_rows (client int NOT NULL);
       CREATE UNLOGGED TABLE copy_rows (line text NOT NULL);
       ${grants}`,
    )
  }
}

interface Parts {
  readonly start: () => Promise<ServerProcess>
  readonly folder: string
  readonly user: ServerUser
  readonly server: ServerProcess
  readonly password: string
}

const addressOf = (
  { server }: Parts,
  user: string,
  password: string,
  database: string,
): Address => ({ host: '127.0.0.1', port: server.port, user, password, database })

async function startServer(folder: string): Promise<Parts> {
  const { postgres, initdb } = await findServerBinaries()
  const user = await ServerUser.find(postgres, folder)
  const dataDirectory = join(folder, 'data')
  const password = randomBytes(12).toString('hex')
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, password, { mode: 0o600 })
  await user.adopt(passwordFile)
  await makeCluster({ initdb, user, dataDirectory, superuser, passwordFile, isDurable: false })
  const port = await freePort()
  if (port === null) throw new Error('no free loopback port')
  const options = { postgres, user, dataDirectory, port, settings: postgresSettings }
  const start = (): Promise<ServerProcess> => ServerProcess.start(options)
  return { folder, user, start, server: await start(), password }
}
