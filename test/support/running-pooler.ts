// The whole process, started in the test's own: ports, metadata database, certificate and log of its
// own, over the shared Postgres. Projects and people in it are made by running-projects.ts.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { loadConfig } from '../../pooler/config/load-config.ts'
import { Pooler } from '../../pooler/pooler.ts'
import type { TenantInput } from '../../pooler/store/tenant-input.ts'
import { CapturedLog } from './captured-log.ts'
import { TestAuthority } from './certificates.ts'
import { eventually } from './eventually.ts'
import { fastIo } from './fast-io.ts'
import { expectNoSecretIn, noteSecret } from './known-secrets.ts'
import { sharedPostgres, uniqueName } from './postgres.ts'
import { RawClient, type RawClientOptions } from './raw-client.ts'
import {
  type PersonOptions,
  type ProjectOptions,
  RunningProjects,
  type TestPerson,
  type TestProject,
  type TestRole,
} from './running-projects.ts'
import type { SteeredClock } from './steered-clock.ts'
import { looksInside, testWorkers, WorkerHost } from './worker-host.ts'

export type Mode = 'transaction' | 'session'

export interface RunningPoolerOptions {
  /** Settings over the usual ones of a test; an empty text unsets one. */
  readonly env?: Readonly<Record<string, string>>
  /** Instead of a metadata database of its own. */
  readonly databaseUrl?: string
  /** Instead of the machine's. */
  readonly clock?: SteeredClock
}

export interface UrlOptions {
  readonly role: string
  readonly password?: string
  readonly mode?: Mode
  /** null: none in the line. */
  readonly database?: string | null
  readonly host?: string
  readonly parameters?: Readonly<Record<string, string>>
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Parsed, where it is JSON. */
  readonly body: unknown
}

export const poolerDomain = 'pooler.test'

export class RunningPooler {
  readonly #pooler: Pooler | WorkerHost
  readonly #captured: CapturedLog
  /** PEM file of the authority that signed the pooler's certificate, and its text. */
  readonly caFile: string
  readonly ca: string
  readonly metadataUrl: string
  readonly #projects: RunningProjects
  readonly #apiJwtSecret: string
  readonly #undo: readonly Undo[]

  private constructor(parts: Parts, pooler: Pooler | WorkerHost, undo: readonly Undo[]) {
    this.#pooler = pooler
    this.#captured = parts.captured
    this.caFile = parts.caFile
    this.ca = parts.ca
    this.metadataUrl = parts.metadataUrl
    this.#apiJwtSecret = parts.apiJwtSecret
    this.#undo = undo
    const stores = pooler instanceof Pooler ? pooler.control : pooler.stores
    this.#projects = new RunningProjects(stores, (ref, version) => {
      const known = this.pooler.control.tenantCache.peek(ref)
      return (known?.version ?? version) >= version
    })
  }

  static async start(options: RunningPoolerOptions = {}): Promise<RunningPooler> {
    const undo: Undo[] = []
    try {
      const parts = await prepare(options, undo)
      if (testWorkers > 1) {
        const host = await WorkerHost.start(parts.settings, options.clock)
        undo.push(() => host.end())
        return new RunningPooler({ ...parts, metadataUrl: host.metadataUrl }, host, undo)
      }
      const { clock } = options
      const { config, captured } = parts
      const pooler = await Pooler.start({ config, log: captured.log, ...(clock && { clock }) })
      undo.push(() => pooler.stop())
      return new RunningPooler(parts, pooler, undo)
    } catch (error) {
      await undoAll(undo)
      throw error
    }
  }

  /** The one process; where there are several, the test is left out. */
  get pooler(): Pooler {
    return this.#pooler instanceof Pooler ? this.#pooler : looksInside('its parts')
  }

  get captured(): CapturedLog {
    return this.#pooler instanceof Pooler ? this.#captured : looksInside('its log')
  }

  portOf(mode: Mode = 'transaction'): number {
    const pooler = this.#pooler
    return pooler instanceof Pooler ? (pooler.data.portOf(mode) as number) : pooler.ports[mode]
  }

  get apiUrl(): string {
    const pooler = this.#pooler
    return pooler instanceof Pooler ? pooler.apiUrl : `http://127.0.0.1:${pooler.ports.api}`
  }

  /** With a database of its own; roles with stored passwords unless `auth` says `query`. */
  project(options: ProjectOptions = {}): Promise<TestProject> {
    return this.#projects.make(options)
  }

  /** Puts what is given over what is stored, and waits until the process knows. */
  change(project: TestProject, input: Partial<TenantInput>): Promise<void> {
    return this.#projects.change(project, input)
  }

  /** Out of the metadata, and not by the API. */
  removeProject(project: TestProject): Promise<void> {
    return this.#projects.removeProject(project)
  }

  /** A role in the database alone, dropped with the rest. */
  role(prefix: string, attributes?: string): Promise<TestRole> {
    return this.#projects.role(prefix, attributes)
  }

  /** A member of the project with a classic token and a rule for each of the roles. */
  person(project: TestProject, options: PersonOptions = {}): Promise<TestPerson> {
    return this.#projects.person(project, options)
  }

  /** As people paste it; libpq reads `%20` and never `+`. */
  url(project: TestProject, options: UrlOptions): string {
    const { role, password, mode = 'transaction', parameters = {}, host = '127.0.0.1' } = options
    const database = options.database === undefined ? project.database : options.database
    const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`
    const user = `${encodeURIComponent(`${role}.${project.ref}`)}${secret}`
    const query = Object.entries(parameters).map(
      ([name, value]) => `${name}=${encodeURIComponent(value)}`,
    )
    const path = database === null ? '' : `/${encodeURIComponent(database)}`
    const tail = query.length === 0 ? '' : `?${query.join('&')}`
    return `postgres://${user}@${host}:${this.portOf(mode)}${path}${tail}`
  }

  /** Raw bytes to one of the ports. */
  raw(options: Partial<RawClientOptions> & { mode?: Mode } = {}): Promise<RawClient> {
    const { mode, ...rest } = options
    return RawClient.connect({ port: this.portOf(mode), ...rest })
  }

  /** `bearer`: a person's token; `api`: a JWT of the operator. */
  async api(method: string, path: string, bearer: string, body?: unknown): Promise<ApiAnswer> {
    const token = bearer === 'api' ? await this.#apiJwt() : bearer
    noteSecret(token)
    const authorization = `Bearer ${token}`
    const answer = await fetch(`${this.apiUrl}${path}`, {
      method,
      headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    const isJson = /^application\/(\w+\+)?json/.test(answer.headers.get('content-type') ?? '')
    const parsed: unknown = isJson && text !== '' ? JSON.parse(text) : null
    return { status: answer.status, headers: answer.headers, text, body: parsed }
  }

  /** No clients, no server in anybody's hands, nobody waiting, nobody among the live sessions. */
  async settled(): Promise<void> {
    if (this.#pooler instanceof WorkerHost) {
      await this.#pooler.settled(null)
      return
    }
    const { data, control } = this.pooler
    await eventually(() => {
      const pools = [...data.pools.entries()].map(({ pool }) => pool)
      const busy = pools
        .flatMap(({ servers }) => [...servers])
        .filter((one) => one.state !== 'idle')
      const left = {
        clients: data.connections.size,
        loggedIn: data.quota.loggedInCount,
        beforeLogin: data.quota.beforeLoginCount,
        waiters: pools.reduce((sum, { waiters }) => sum + waiters, 0),
        busyServers: busy.length,
        liveSessions: control.liveSessions.size,
      }
      if (Object.values(left).some((count) => count > 0)) throw new Error(JSON.stringify(left))
    })
  }

  /** Fails when anything that was logged has a token or password of this test file in it. */
  async stop(): Promise<void> {
    await undoAll(this.#undo)
    await this.#projects.remove()
    expectNoSecretIn(this.#captured.text)
  }

  #apiJwt(): Promise<string> {
    const key = new TextEncoder().encode(this.#apiJwtSecret)
    return new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('5m').sign(key)
  }
}

type Undo = () => Promise<void>

async function undoAll(undo: readonly Undo[]): Promise<void> {
  for (const one of undo.toReversed()) await one()
}

type Parts = Awaited<ReturnType<typeof prepare>>

/** All that a process finds in place when it starts. */
async function prepare({ env = {}, databaseUrl }: RunningPoolerOptions, undo: Undo[]) {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-running-'))
  undo.push(() => rm(folder, { recursive: true, force: true }))
  const { certFile, keyFile, caFile, ca } = await writeCertificate(folder)
  const metadataUrl = databaseUrl ?? (await makeMetadata(undo))
  const apiJwtSecret = randomBytes(24).toString('hex')
  const vaultKey = randomBytes(32).toString('hex')
  for (const secret of [apiJwtSecret, vaultKey, sharedPostgres().password]) noteSecret(secret)
  const settings = {
    DATABASE_URL: metadataUrl,
    API_JWT_SECRET: apiJwtSecret,
    VAULT_ENC_KEY: vaultKey,
    PORT: '0',
    PROXY_HOST: '127.0.0.1',
    PROXY_PORT_TRANSACTION: '0',
    PROXY_PORT_SESSION: '0',
    POOLER_DOMAIN: poolerDomain,
    POOLER_FAST_IO: fastIo,
    GLOBAL_DOWNSTREAM_CERT_PATH: certFile,
    GLOBAL_DOWNSTREAM_KEY_PATH: keyFile,
    ...env,
  }
  const config = loadConfig(settings)
  return { settings, config, captured: new CapturedLog(), metadataUrl, apiJwtSecret, caFile, ca }
}

async function writeCertificate(folder: string) {
  const authority = new TestAuthority()
  const names = [poolerDomain, `*.${poolerDomain}`, 'localhost', '127.0.0.1']
  const { cert, key } = authority.issue(names)
  const certFile = join(folder, 'server.crt')
  const keyFile = join(folder, 'server.key')
  const caFile = join(folder, 'ca.crt')
  await writeFile(certFile, cert)
  await writeFile(keyFile, key, { mode: 0o600 })
  await writeFile(caFile, authority.cert)
  return { certFile, keyFile, caFile, ca: authority.cert }
}

async function makeMetadata(undo: Undo[]): Promise<string> {
  const postgres = sharedPostgres()
  const name = uniqueName('metadata')
  await postgres.createDatabase(name)
  undo.push(() => postgres.dropDatabase(name))
  return postgres.url(name)
}
