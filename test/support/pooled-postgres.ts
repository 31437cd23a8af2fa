// The data plane alone in front of real Postgres: one project with one role and a database of its
// own, and what Postgres itself says of the servers. Everybody is let in. With TEST_WORKERS it is a
// project of several workers instead, which nobody looks into.
import type { ServerCertificates } from '../../pooler/accept/server-certificates.ts'
import { type Config, configKeyOf, settingNames } from '../../pooler/config/settings.ts'
import type { Tenant, TenantRole } from '../../pooler/tenant/tenant.ts'
import { newProjectRef } from '../../shared/ids.ts'
import { Secret } from '../../shared/secret.ts'
import { BareDataPlane } from './bare-data-plane.ts'
import { eventually } from './eventually.ts'
import { type PostgresAccess, uniqueName } from './postgres.ts'
import { RawClient, type RawClientOptions } from './raw-client.ts'
import type { LoginOptions, LoginResult } from './raw-login.ts'
import { rowsOf } from './raw-replies.ts'
import { makeRole, makeTenant } from './tenants.ts'
import { looksInside, testWorkers, turnsBetween, WorkerHost } from './worker-host.ts'

export type Port = 'transaction' | 'session'

/** A role, and a database of its own. */
export interface PostgresHome {
  readonly role: string
  readonly database: string
}

export interface PooledPostgresOptions {
  /** Not made, and not removed by `stop`; else there is a new one. */
  readonly home?: PostgresHome
  readonly poolSize?: number
  readonly checkoutTimeoutMs?: number
  readonly config?: Partial<Config>
  /** Port of something in front of Postgres: a proxy that breaks things. */
  readonly upstreamPort?: number
  /** Attributes of the role, as in CREATE ROLE. */
  readonly attributes?: string
  /** Of the project, over the usual ones. */
  readonly tenant?: Partial<Tenant>
  /** What clients are shown that ask for TLS. */
  readonly certificates?: ServerCertificates
}

export interface Backend {
  readonly pid: number
  readonly state: string
  readonly query: string
  readonly application_name: string
}

const password = 'a password'

export class PooledPostgres {
  readonly postgres: PostgresAccess
  readonly role: string
  readonly database: string
  readonly password = password
  readonly #front: Front
  readonly #clients: RawClient[] = []
  readonly #isAtHome: boolean

  private constructor(
    postgres: PostgresAccess,
    home: PostgresHome,
    front: Front,
    isAtHome: boolean,
  ) {
    this.postgres = postgres
    this.role = home.role
    this.database = home.database
    this.#front = front
    this.#isAtHome = isAtHome
  }

  static async start(
    postgres: PostgresAccess,
    options: PooledPostgresOptions = {},
  ): Promise<PooledPostgres> {
    const home = options.home ?? (await PooledPostgres.makeHome(postgres, options.attributes))
    const open = testWorkers > 1 ? openWorkers : openDataPlane
    const front = await open(postgres, home, options)
    return new PooledPostgres(postgres, home, front, options.home === undefined)
  }

  /** The one process; where there are several, the test is left out. */
  get pooler(): BareDataPlane {
    if (this.#front instanceof BareDataPlane) return this.#front
    return looksInside('its data plane')
  }

  static async makeHome(postgres: PostgresAccess, attributes = ''): Promise<PostgresHome> {
    const name = uniqueName('pooled')
    await postgres.createRole(name, password, attributes)
    await postgres.createDatabase(name, name)
    return { role: name, database: name }
  }

  static async removeHome(postgres: PostgresAccess, home: PostgresHome): Promise<void> {
    await postgres.dropDatabase(home.database)
    await postgres.dropRole(home.role)
  }

  target(port: Port): RawClientOptions & LoginOptions {
    const { transactionPort, sessionPort } = this.#front
    const number = port === 'transaction' ? transactionPort : sessionPort
    const user = this.#front.userOf(this.role)
    return { port: number, user, password: this.password, database: null }
  }

  /** Straight to Postgres, as the same role. */
  direct(): RawClientOptions & LoginOptions {
    const { host, port } = this.postgres
    return { host, port, user: this.role, database: this.database, password: this.password }
  }

  /** As an operator's change of the project does. */
  changeRole(changes: Partial<TenantRole>): void {
    const { pooler, role } = this
    const roles = new Map([
      [role, { ...(pooler.tenant.roles.get(role) as TenantRole), ...changes }],
    ])
    pooler.tenant = { ...pooler.tenant, roles }
  }

  /** A logged-in client; closed at the latest by `stop`. */
  async client(
    port: Port,
    options: Partial<RawClientOptions & LoginOptions> = {},
  ): Promise<RawClient> {
    return (await this.login(port, options)).client
  }

  /** As `client`, with what the login brought. */
  async login(
    port: Port,
    options: Partial<RawClientOptions & LoginOptions> = {},
  ): Promise<{ client: RawClient; login: LoginResult }> {
    const target = { ...this.target(port), ...options }
    const client = await RawClient.connect(target)
    this.#clients.push(client)
    return { client, login: await client.login(target) }
  }

  /** As `login`, at the process to which the last connection to this port came. */
  async loginBeside(port: Port): Promise<{ client: RawClient; login: LoginResult }> {
    await this.comeRound(port)
    return this.login(port)
  }

  /** Whoever comes next comes to the process to which the last one came. */
  async comeRound(port: Port): Promise<void> {
    for (let turn = 0; turn < turnsBetween; turn++) {
      this.#clients.push(await RawClient.connect(this.target(port)))
    }
  }

  /** Clients that wait for a server. */
  waiters(): Promise<number> {
    return this.#front.waiters()
  }

  /** First column of the first row, through an open client. */
  async value(client: RawClient, sql: string): Promise<string | null> {
    await client.query(sql)
    return rowsOf(await client.untilReady())[0]?.[0] ?? null
  }

  /** Servers as Postgres counts them. */
  async backends(): Promise<Backend[]> {
    const rows = await this.postgres.query(
      `select pid, state, query, application_name from pg_stat_activity
       where usename = $1 and datname = $2 order by backend_start`,
      [this.role, this.database],
    )
    return rows as unknown as Backend[]
  }

  /** Waits until a backend runs a query whose text has `part` in it, and gives it. */
  running(part: string): Promise<Backend> {
    return eventually(async () => {
      const backends = await this.backends()
      const found = backends.find(({ state, query }) => state === 'active' && query.includes(part))
      if (found === undefined) throw new Error(`none of ${JSON.stringify(backends)} runs ${part}`)
      return found
    })
  }

  /** Fails unless in the end no client, waiter or busy server is left, here and in Postgres. */
  async settled(): Promise<void> {
    await this.#front.settled()
    await eventually(async () => {
      const backends = await this.backends()
      const busy = backends.filter(({ state }) => state !== 'idle')
      if (busy.length > 0) throw new Error(JSON.stringify(busy))
    })
  }

  /** Ends all clients, checks that nothing is left of them, and removes role and database. */
  async stop(): Promise<void> {
    for (const client of this.#clients) client.close()
    await this.settled()
    await this.#front.stop()
    await eventually(async () => {
      const backends = await this.backends()
      if (backends.length > 0) throw new Error(JSON.stringify(backends))
    })
    if (this.#isAtHome) await PooledPostgres.removeHome(this.postgres, this)
  }
}

/** What clients come to. */
type Front = Pick<
  BareDataPlane,
  'transactionPort' | 'sessionPort' | 'userOf' | 'waiters' | 'settled' | 'stop'
>

async function openDataPlane(
  postgres: PostgresAccess,
  home: PostgresHome,
  options: PooledPostgresOptions,
): Promise<Front> {
  const { poolSize = 2, checkoutTimeoutMs = 30_000, upstreamPort = postgres.port } = options
  const row = makeRole(home.role, new Secret(password), { poolSize, checkoutTimeoutMs })
  const tenant = makeTenant({
    dbHost: postgres.host,
    dbPort: upstreamPort,
    dbDatabase: home.database,
    roles: new Map([[home.role, row]]),
    ...options.tenant,
  })
  const shown = options.certificates === undefined ? {} : { certificates: options.certificates }
  return BareDataPlane.start({ tenant, config: options.config ?? {}, ...shown })
}

async function openWorkers(
  postgres: PostgresAccess,
  home: PostgresHome,
  options: PooledPostgresOptions,
): Promise<Front> {
  if (options.tenant !== undefined) return looksInside('a project as only a test makes it')
  if (options.certificates !== undefined) return looksInside('certificates of a test')
  const host = await WorkerHost.sharedWith(environmentOf(options.config ?? {}))
  const { poolSize = 2, checkoutTimeoutMs = 30_000, upstreamPort = postgres.port } = options
  const ref = newProjectRef()
  const user = { dbUser: home.role, dbPassword: new Secret(password), poolSize }
  await host.stores.tenants.put(ref, {
    dbHost: postgres.host,
    dbPort: upstreamPort,
    dbDatabase: home.database,
    ipVersion: 'v4',
    users: [{ ...user, poolCheckoutTimeoutMs: checkoutTimeoutMs }],
  })
  return {
    transactionPort: host.ports.transaction,
    sessionPort: host.ports.session,
    userOf: (role) => `${role}.${ref}`,
    waiters: () => host.waiters(ref),
    settled: () => host.settled(ref),
    stop: async () => void (await host.stores.tenants.remove(ref)),
  }
}

function environmentOf(config: Partial<Config>): Record<string, string> {
  const given = settingNames.filter((name) => config[configKeyOf(name)] !== undefined)
  return Object.fromEntries(given.map((name) => [name, String(config[configKeyOf(name)] ?? '')]))
}
