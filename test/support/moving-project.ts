// A project that is changed while it is in use, by the API and the console, and what of it may be in force when.
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { newProjectRef } from '../../shared/ids.ts'
import { eventually } from './eventually.ts'
import { noteSecret } from './known-secrets.ts'
import { MovingLedger, Timeline } from './moving-ledger.ts'
import type { MovingPlaces, Place } from './moving-places.ts'
import { RawClient } from './raw-client.ts'
import type { RunningPooler } from './running-pooler.ts'

/** Nobody is to be told that it has waited too long. */
const checkoutTimeoutMs = 600_000
export const noLimit = 1000

const newPassword = (): string => randomBytes(12).toString('hex')

/** Where passwords are: in the metadata, or in the database alone, which a manager is asked for them. */
export type Passwords = 'stored' | 'asked for'

export class MovingProject {
  readonly passwords: Passwords
  readonly ref = newProjectRef()
  readonly ledger = new MovingLedger()
  readonly pooler: RunningPooler
  readonly places: MovingPlaces
  readonly place: Timeline<Place>
  readonly database: Timeline<string>
  readonly poolSize = new Timeline(3)
  readonly maxClients = new Timeline(noLimit)
  readonly #passwords = new Map<string, Timeline<string>>()
  readonly #unfollow: () => void
  /** Of the project as its followers in the process have been told; null: it is gone. */
  #told: { readonly id: string; readonly version: number } | null = null

  private constructor(
    pooler: RunningPooler,
    places: MovingPlaces,
    { place, passwords }: { readonly place: Place; readonly passwords: Passwords },
  ) {
    this.passwords = passwords
    this.pooler = pooler
    this.places = places
    this.place = new Timeline(place)
    this.database = new Timeline(places.databases[0])
    const roles = [...places.roles, places.manager]
    for (const role of roles) this.#passwords.set(role, new Timeline(newPassword()))
    // Behind the pooler's own, so that what it does on account of a change has been done.
    this.#unfollow = pooler.pooler.control.tenantCache.onChange(({ ref, after }) => {
      if (ref === this.ref) this.#told = after
    })
  }

  static async make(
    pooler: RunningPooler,
    places: MovingPlaces,
    first: { readonly place: Place; readonly passwords: Passwords },
  ): Promise<MovingProject> {
    const project = new MovingProject(pooler, places, first)
    for (const [role, passwords] of project.#passwords) {
      noteSecret(passwords.last)
      await places.setPassword(role, passwords.last)
    }
    await project.put()
    await project.confirm()
    return project
  }

  passwordsOf(role: string): Timeline<string> {
    return this.#passwords.get(role) as Timeline<string>
  }

  /** All that it is to be. `role`: with its password. */
  async put(...passwordsOf: string[]): Promise<void> {
    const { port, tls } = this.place.last
    const isNew = this.#told === null
    const isStored = this.passwords === 'stored'
    const users = (isStored ? this.places.roles : [this.places.manager]).map((role) => ({
      db_user: role,
      is_manager: !isStored,
      pool_size: this.poolSize.last,
      max_clients: this.maxClients.last,
      pool_checkout_timeout: checkoutTimeoutMs,
      ...((isNew || passwordsOf.includes(role)) && { db_password: this.passwordsOf(role).last }),
    }))
    await this.#ask('PUT', '', {
      tenant: {
        db_host: '127.0.0.1',
        db_port: port,
        db_database: this.database.last,
        ip_version: 'v4',
        upstream_ssl: tls,
        require_user: isStored,
        ...(!isStored && {
          default_pool_size: this.poolSize.last,
          default_max_clients: this.maxClients.last,
        }),
        users,
      },
    })
  }

  putManager(): Promise<void> {
    const { manager } = this.places
    const body = { db_user: manager, db_password: this.passwordsOf(manager).last }
    return this.#ask('POST', '/update_auth_credentials', body)
  }

  setBan(reason: string | null): Promise<void> {
    const body = reason === null ? { banned: false } : { banned: true, ban_reason: reason }
    return this.#ask('PATCH', '', body)
  }

  terminate(): Promise<void> {
    return this.#ask('POST', '/terminate')
  }

  /** Fulfilled when the process knows. */
  async remove(): Promise<void> {
    await this.#ask('DELETE', '')
    await eventually(() => this.#told === null, { pollMs: 1 })
  }

  /** What is stored has been told to all who follow. */
  async confirm(): Promise<void> {
    const stored = await this.pooler.pooler.control.tenants.findByRef(this.ref)
    if (stored === null) throw new Error('the project is gone')
    const { id, version } = stored
    await eventually(() => this.#told?.id === id && this.#told.version >= version, { pollMs: 1 })
    const facts = [this.place, this.database, this.poolSize, this.maxClients]
    for (const fact of [...facts, ...this.#passwords.values()]) fact.confirm()
  }

  /** Wrong passwords of those who came while one was replaced. */
  async liftThrottle(): Promise<void> {
    await this.#ask('DELETE', '/network_bans', { ipv4_addresses: ['127.0.0.1'] })
  }

  /** As somebody who is not of the fleet. */
  async logIn(role: string): Promise<void> {
    const user = `${role}.${this.ref}`
    const login = { user, password: this.passwordsOf(role).last, database: this.database.last }
    const client = await RawClient.loggedIn({ port: this.pooler.portOf(), ...login })
    client.close()
  }

  /** A command of the console about it. */
  command(console: pg.Client, verb: string): Promise<unknown> {
    return console.query(`${verb} ${this.ref}`)
  }

  /** Servers that the process has, as `place pid`. */
  get servers(): string[] {
    const names = new Map(this.places.all.map(({ port, name }) => [port, name]))
    return [...this.pooler.pooler.data.pools.entriesOf(this.ref)].flatMap(({ pool }) =>
      [...pool.servers].map(
        ({ place, processId }) => `${names.get(place.upstream.dbPort)} ${processId}`,
      ),
    )
  }

  unfollow(): void {
    this.#unfollow()
  }

  async #ask(method: string, path: string, body?: unknown): Promise<void> {
    const answer = await this.pooler.api(method, `/api/tenants/${this.ref}${path}`, 'api', body)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`)
  }
}
