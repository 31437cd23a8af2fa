// The Postgres behind every target: an embedded server of the run's own, or a given one. Databases and
// roles are made anew for each world, filled by `pgbench -i`, and removed where the server stays.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Pool } from 'pg'
import type { StopMode } from '../../pooler/embedded/server-process.ts'
import type { ServerUser } from '../../pooler/embedded/server-user.ts'
import { formatVerifier, makeVerifier } from '../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../shared/secret.ts'
import type { Address } from './address.ts'
import { pgbench } from './pgbench.ts'
import type { Role } from './poolers/pooler.ts'
import { startEmbedded } from './postgres-embedded.ts'
import { useGiven } from './postgres-given.ts'
import { decidingSettings, type PostgresSource } from './postgres-source.ts'

export type Row = Record<string, unknown>

/** Names of the run's own, because a given server has others, and perhaps another run. */
const mark = `latchkey_bench_${randomBytes(4).toString('hex')}`
export const benchDatabase = mark
export const metadataDatabase = `${mark}_metadata`
/** The role that load comes from. */
export const appRole = `${mark}_app`
/** A second role, and with it a second pool, for what must not touch the first. */
export const otherRole = `${mark}_other`
const grants = `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${appRole}, ${otherRole}`
const pgbenchScale = 5
const connectionsMax = 4

export class BenchPostgres {
  /** Of the run's own; readable for `user`. */
  readonly folder: string
  readonly rolePassword: string
  /** Who may log in to the benchmark's databases. */
  readonly roles: readonly Role[]
  readonly facts: ServerFacts
  readonly #source: PostgresSource
  readonly #connections: Pool

  private constructor(
    folder: string,
    source: PostgresSource,
    connections: Pool,
    facts: ServerFacts,
    roles: readonly Role[],
  ) {
    this.folder = folder
    this.rolePassword = roles[0]?.password ?? ''
    this.roles = roles
    this.facts = facts
    this.#source = source
    this.#connections = connections
  }

  /** `url`: of a given server; null: an embedded one. */
  static async start(url: string | null): Promise<BenchPostgres> {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
    const stops = [() => rm(folder, { recursive: true, force: true })]
    try {
      const source = url === null ? await startEmbedded(folder) : await useGiven(url, folder)
      stops.unshift(() => source.stop())
      const connections = new Pool({ ...source.admin, max: connectionsMax })
      connections.on('error', () => {})
      stops.unshift(() => connections.end())
      const facts = await serverFacts(connections, source)
      const postgres = new BenchPostgres(folder, source, connections, facts, await makeRoles())
      stops.unshift(() => postgres.removeOwn())
      await postgres.#fill()
      return postgres
    } catch (error) {
      for (const stop of stops) await stop()
      throw error
    }
  }

  get user(): ServerUser {
    return this.#source.user
  }

  /** Null: a given server, whose process we do not know. */
  get pid(): number | null {
    return this.#source.pid()
  }

  /** Straight to Postgres. */
  address(role = appRole, database = benchDatabase): Address {
    const { host, port } = this.#source.admin
    return { host, port, user: role, password: this.rolePassword, database }
  }

  get metadataUrl(): string {
    const { user, password, host, port } = this.#source.admin
    const who = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
    const where = host.includes(':') ? `[${host}]` : host
    return `postgresql://${who}@${where}:${port}/${metadataDatabase}`
  }

  /** As the administrator, straight, in its own database. */
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

  /** As the administrator, straight, in any database; the rows of the last statement. */
  async #inDatabase(database: string, sql: string): Promise<Row[]> {
    const client = new Client({ ...this.#source.admin, database })
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
    if (this.#source.restart === null) throw new Error('a given Postgres is not restarted')
    await this.#source.restart(mode)
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
    await this.removeOwn()
    await this.#connections.end()
    await this.#source.stop()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Our databases and roles, where the server stays behind. */
  async removeOwn(): Promise<void> {
    if (!open.delete(this) || !this.#source.isGiven) return
    for (const database of [benchDatabase, metadataDatabase]) {
      await this.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
    }
    await this.query(`DROP ROLE IF EXISTS ${appRole}, ${otherRole}`)
  }

  async #fill(): Promise<void> {
    open.add(this)
    for (const { name, verifier } of this.roles) {
      await this.query(`CREATE ROLE ${name} LOGIN PASSWORD '${verifier}'`)
    }
    await this.query(`CREATE DATABASE ${metadataDatabase}`)
    await this.query(`CREATE DATABASE ${benchDatabase}`)
    const asAdmin = { ...this.#source.admin, database: benchDatabase }
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

export interface ServerFacts {
  /** What figures hang on, with the version. */
  readonly settings: Readonly<Record<string, string>>
  /** May end connections of others. */
  readonly isSuperuser: boolean
  /** Connections that it had left when the run came. */
  readonly freeConnections: number
}

async function serverFacts(connections: Pool, source: PostgresSource): Promise<ServerFacts> {
  const { host, port, user } = source.admin
  const where = `${host}:${port}`
  const asked = await connections
    .query<Row>(
      `SELECT rolsuper, rolsuper OR (rolcreatedb AND rolcreaterole) AS may_make,
         current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int
           - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS free
       FROM pg_roles WHERE rolname = current_user`,
    )
    .catch((cause: unknown) => {
      throw new Error(`Postgres at ${where} does not let ${user} in: ${cause}`, { cause })
    })
  const [row = {}] = asked.rows
  if (row.may_make !== true) {
    throw new Error(`${user} of BENCH_DATABASE_URL may not make databases and roles`)
  }
  const { rows } = await connections.query<Row>(
    'SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY ($1)',
    [['server_version', ...Object.keys(decidingSettings)]],
  )
  return {
    settings: Object.fromEntries([
      ...(source.isGiven ? [['given', where]] : []),
      ...rows.map(({ name, value }) => [name, value]),
    ]),
    isSuperuser: row.rolsuper === true,
    freeConnections: Number(row.free),
  }
}

async function makeRoles(): Promise<Role[]> {
  const password = randomBytes(12).toString('hex')
  const verifier = formatVerifier(await makeVerifier(new Secret(password))).reveal()
  return [appRole, otherRole].map((name) => ({ name, password, verifier }))
}

const open = new Set<BenchPostgres>()

/** For a run that is broken off: what would stay behind in a given server. */
export async function removeLeftovers(): Promise<void> {
  await Promise.all([...open].map((postgres) => postgres.removeOwn()))
}
