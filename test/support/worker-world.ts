// `node pooler/main.ts` with several workers, a metadata database and a project of its own over the
// shared Postgres.
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { openDatabase } from '../../pooler/store/database.ts'
import type { TenantInput } from '../../pooler/store/tenant-input.ts'
import { TenantStore } from '../../pooler/store/tenants.ts'
import { SecretBox } from '../../shared/crypto/secret-box.ts'
import { nullLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import { eventually } from './eventually.ts'
import { freePorts, MainProcess, type Ports, portSettings } from './main-process.ts'
import { sharedPostgres, uniqueName } from './postgres.ts'

export interface RunningWorker {
  readonly pid: number
  readonly worker: number
  readonly slot: number
}

export const poolSize = 4
export const ref = 'workersproject'

export class WorkerWorld {
  readonly role = uniqueName('app')
  readonly password = randomBytes(12).toString('hex')
  readonly apiSecret = randomBytes(24).toString('hex')
  readonly adminPassword = randomBytes(12).toString('hex')
  readonly #metadata = uniqueName('metadata')
  readonly #vaultKey = randomBytes(32).toString('hex')
  readonly #clients: Client[] = []
  readonly #processes: MainProcess[] = []

  static async make(): Promise<WorkerWorld> {
    const world = new WorkerWorld()
    const postgres = sharedPostgres()
    await postgres.createDatabase(world.#metadata)
    await postgres.createRole(world.role, world.password)
    await world.put({})
    return world
  }

  /** Writes the project; processes that run hear of it as of any change. */
  async put(input: Partial<TenantInput>): Promise<void> {
    const { host, port } = sharedPostgres()
    const database = openDatabase(sharedPostgres().url(this.#metadata), nullLog)
    await database.migrate()
    const box = new SecretBox({ current: new Secret(this.#vaultKey) })
    await new TenantStore(database, box).put(ref, {
      dbHost: host,
      dbPort: port,
      dbDatabase: 'postgres',
      ipVersion: 'v4',
      users: [{ dbUser: this.role, dbPassword: new Secret(this.password), poolSize }],
      // What is left out would stay as it was.
      defaultMaxClients: 200,
      maxServerConnections: null,
      ...input,
    })
    await database.close()
  }

  /** Ready, with all its workers. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<RunningWorkers> {
    const ports = await freePorts()
    const main = new MainProcess({
      env: {
        DATABASE_URL: sharedPostgres().url(this.#metadata),
        API_JWT_SECRET: this.apiSecret,
        VAULT_ENC_KEY: this.#vaultKey,
        ADMIN_PASSWORD: this.adminPassword,
        PROXY_HOST: '127.0.0.1',
        POOLER_WORKERS: '2',
        ...portSettings(ports),
        ...env,
      },
    })
    this.#processes.push(main)
    await main.ready()
    return new RunningWorkers(main, ports)
  }

  url({ ports }: RunningWorkers): string {
    return `postgres://${this.role}.${ref}:${this.password}@127.0.0.1:${ports.transaction}/postgres`
  }

  async client(
    running: RunningWorkers,
    changes: { user?: string; password?: string; database?: string } = {},
  ): Promise<Client> {
    const client = new Client({
      host: '127.0.0.1',
      port: running.ports.transaction,
      user: changes.user ?? `${this.role}.${ref}`,
      password: changes.password ?? this.password,
      database: changes.database ?? 'postgres',
    })
    client.on('error', () => {})
    this.#clients.push(client)
    await client.connect()
    return client
  }

  async clients(running: RunningWorkers, count: number): Promise<Client[]> {
    const all: Client[] = []
    while (all.length < count) all.push(await this.client(running))
    return all
  }

  /** Connections of the project's role, as Postgres counts them; `condition` is one of its columns. */
  async servers(condition = 'true'): Promise<number> {
    const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = $1 AND ${condition}`
    return Number((await sharedPostgres().query(sql, [this.role]))[0]?.n)
  }

  /** Lets the clients go. */
  leave(): void {
    for (const client of this.#clients.splice(0)) void client.end().catch(() => {})
  }

  /** Ends all clients and processes. */
  async end(): Promise<void> {
    this.leave()
    for (const main of this.#processes.splice(0)) await main.end()
    await eventually(async () => (await this.servers()) === 0)
  }

  async remove(): Promise<void> {
    await sharedPostgres().dropDatabase(this.#metadata)
    await sharedPostgres().dropRole(this.role)
  }
}

export class RunningWorkers {
  readonly main: MainProcess
  readonly ports: Ports

  constructor(main: MainProcess, ports: Ports) {
    this.main = main
    this.ports = ports
  }

  /** All that ever served, in the order in which they came. */
  get workers(): readonly RunningWorker[] {
    return this.main.stdout
      .split('\n')
      .filter((line) => line.includes('"msg":"a worker serves"'))
      .map((line) => JSON.parse(line) as RunningWorker)
  }
}

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
