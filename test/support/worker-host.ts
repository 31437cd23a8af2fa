// Latchkey with several workers, for suites that are written for one process: started as an operator
// starts it, one for all projects of a test file that want the same settings (TEST_WORKERS).
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { afterAll, beforeEach, expect, type TestContext } from 'vitest'
import { type Database, openDatabase } from '../../pooler/store/database.ts'
import { MemberStore } from '../../pooler/store/members.ts'
import { RuleStore } from '../../pooler/store/rules.ts'
import { TenantStore } from '../../pooler/store/tenants.ts'
import { TokenStore } from '../../pooler/store/tokens.ts'
import { SecretBox } from '../../shared/crypto/secret-box.ts'
import { nullLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import { eventually } from './eventually.ts'
import { expectNoSecretIn, noteSecret } from './known-secrets.ts'
import { freePorts, MainProcess, type Ports, portSettings } from './main-process.ts'
import { sharedPostgres, uniqueName } from './postgres.ts'
import type { SteeredClock } from './steered-clock.ts'

/** Processes that the poolers under test have; 1: the test's own. */
export const testWorkers = Number(process.env.TEST_WORKERS ?? '1')

let currentTest: TestContext | null = null

/** Where a test asks for what is inside of one process, it is left out with several. */
export function looksInside(what: string): never {
  currentTest?.skip(`looks into one process: ${what}`)
  throw new Error(`${what} is inside of one process`)
}

/** Connections to one port come to the workers in turn: this many others lead to the same one again. */
export const turnsBetween = testWorkers - 1

/** For a test that is about clients of one process; `why` says what is different with several. */
export function needsOneProcess(context: TestContext, why: string): void {
  context.skip(testWorkers > 1, `needs one process: ${why}`)
}

interface Stores {
  readonly tenants: TenantStore
  readonly members: MemberStore
  readonly tokens: TokenStore
  readonly rules: RuleStore
}

/** It serves a whole test file. */
const fileMsMax = 20 * 60_000

type Settings = Readonly<Record<string, string>>

const steeredProcess = resolve(import.meta.dirname, 'steered-process.ts')

export class WorkerHost {
  readonly stores: Stores
  readonly ports: Ports
  readonly metadataUrl: string
  readonly #database: Database
  readonly #metadata: string
  readonly #main: MainProcess
  readonly #clock: SteeredClock | null

  private constructor(parts: HostParts) {
    const { database, vaultKey } = parts
    this.#database = database
    this.#metadata = parts.metadata
    this.metadataUrl = sharedPostgres().url(parts.metadata)
    this.#main = parts.main
    this.#clock = parts.clock
    this.ports = parts.ports
    this.stores = {
      tenants: new TenantStore(database, new SecretBox({ current: new Secret(vaultKey) })),
      members: new MemberStore(database),
      tokens: new TokenStore(database),
      rules: new RuleStore(database),
    }
  }

  /** The one that has these settings; it ends with the test file. */
  static sharedWith(settings: Settings): Promise<WorkerHost> {
    const name = JSON.stringify(Object.entries(settings).toSorted())
    const host = shared.get(name) ?? WorkerHost.start(settings)
    shared.set(name, host)
    return host
  }

  /** `clock`: theirs too, as long as they run. */
  static async start(settings: Settings, clock: SteeredClock | null = null): Promise<WorkerHost> {
    const metadata = uniqueName('metadata')
    await sharedPostgres().createDatabase(metadata)
    const database = openDatabase(sharedPostgres().url(metadata), nullLog)
    await database.migrate()
    const vaultKey = settings.VAULT_ENC_KEY ?? randomBytes(32).toString('hex')
    const ports = await freePorts()
    const main = new MainProcess({
      lifeMsMax: fileMsMax,
      nodeArgs: clock === null ? [] : ['--import', steeredProcess],
      env: {
        API_JWT_SECRET: randomBytes(24).toString('hex'),
        PROXY_HOST: '127.0.0.1',
        ...settings,
        DATABASE_URL: sharedPostgres().url(metadata),
        VAULT_ENC_KEY: vaultKey,
        POOLER_WORKERS: String(testWorkers),
        ...portSettings(ports),
        ...(clock !== null && { TEST_CLOCK_FILE: clock.file() }),
      },
    })
    noteSecret(vaultKey)
    const host = new WorkerHost({ database, vaultKey, metadata, main, ports, clock })
    await main.ready()
    return host
  }

  /** Clients of a project that wait for a server, over all workers. */
  waiters(ref: string): Promise<number> {
    return this.#sum(ref, ['pooler_waiters{'])
  }

  async settled(ref: string | null): Promise<void> {
    await eventually(async () => {
      const clients = await this.#sum(ref, ['pooler_clients{', 'pooler_waiters{'])
      if (clients > 0) throw new Error(`${clients} clients or waiters`)
    })
  }

  /** Of metrics of a project, or of all. */
  async #sum(ref: string | null, series: readonly string[]): Promise<number> {
    const path = ref === null ? '/metrics' : `/metrics/${ref}`
    const answer = await fetch(`http://127.0.0.1:${this.ports.api}${path}`)
    const lines = (await answer.text()).split('\n')
    return lines
      .filter((line) => series.some((start) => line.startsWith(start)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  }

  async end(): Promise<void> {
    this.#main.kill('SIGTERM')
    await eventually(() => !this.#main.isRunning).catch(() => {})
    const hasDrained = !this.#main.isRunning
    await this.#main.end()
    const { code } = await this.#main.exited
    this.#clock?.leaveFile()
    await this.#database.close()
    await sharedPostgres().dropDatabase(this.#metadata)
    expectNoSecretIn(this.#main.stdout + this.#main.stderr)
    expect(hasDrained && code, 'it drains and ends well').toBe(0)
  }
}

interface HostParts {
  readonly database: Database
  readonly vaultKey: string
  readonly metadata: string
  readonly main: MainProcess
  readonly ports: Ports
  readonly clock: SteeredClock | null
}

const shared = new Map<string, Promise<WorkerHost>>()

if (testWorkers > 1) {
  beforeEach((context) => {
    currentTest = context
  })
  afterAll(async () => {
    for (const host of shared.values()) await (await host).end()
    shared.clear()
  })
}
