// A client of a project that is changed meanwhile. It numbers its questions, knows what it has set, where it
// runs and whether it may be elsewhere, and looks at each answer.
import { explain, type ToldError } from './moving-errors.ts'
import type { Span } from './moving-ledger.ts'
import type { MovingProject } from './moving-project.ts'
import { RawClient } from './raw-client.ts'
import { LoginRefused, type LoginResult } from './raw-login.ts'
import type { RawMessage } from './raw-messages.ts'
import * as raw from './raw-messages.ts'
import { errorFields, rowsOf, typesOf } from './raw-replies.ts'
import type { Mode } from './running-pooler.ts'

/** Its connection has ended, as something that was done explains. */
export class ClientEnded extends Error {
  override readonly name = 'ClientEnded'
}

export interface Identity {
  readonly name: string
  readonly mode: Mode
  readonly role: string
  /** null: it names none. */
  readonly database: string | null
}

/** What stands between one ReadyForQuery and the next. */
export interface Reply {
  readonly messages: readonly RawMessage[]
  readonly rows: (string | null)[][]
  /** SQLSTATE of an error that is explained. */
  readonly error: string | null
}

interface Seat {
  readonly raw: RawClient
  readonly login: LoginResult
}

/** `keeps`: it has its server for itself. `may keep`: it may still have it. */
export type Hold = 'none' | 'may keep' | 'keeps'

let questions = 0

/** Asks where it runs and as whom; `more` is one more column. */
export const question = (number: string, more = '0'): string =>
  `select ${number}, (select name from place),
   (select ssl from pg_stat_ssl where pid = pg_backend_pid()), current_database(), pg_backend_pid(),
   current_user, coalesce(current_setting('kit.tag', true), ''), ${more}`

export const nextNumber = (): string => `${++questions}`

export class MovingClient {
  readonly is: Identity
  readonly project: MovingProject
  /** Of its session: gone with the connection. */
  tag = ''
  readonly channels = new Set<string>()
  readonly prepared = new Set<string>()
  hold: Hold = 'none'
  isInTransaction = false
  /** Numbers of its own notifications. */
  readonly notified: string[] = []
  readonly cancels: Span[] = []
  /** What it did, for the words of a failure. */
  doing = ''
  /** SQLSTATE that its own statement asks for. */
  expected: string | null = null
  answers = 0
  errors = 0
  endings = 0
  #seat: Seat | null = null
  #database = ''
  /** Where it was last, as `place pid`. */
  #server: string | null = null
  /** Of the transaction that is open. */
  #transactionServer: string | null = null
  /** From the beginning of its login to the end. */
  #seated: Span = { fromMs: 0, toMs: 0 }
  #heardMs = 0

  constructor(is: Identity, project: MovingProject) {
    this.is = is
    this.project = project
  }

  get seat(): Seat {
    if (this.#seat === null) throw new Error('not logged in')
    return this.#seat
  }

  /** Empty until it has been seen. */
  get database(): string {
    return this.#database
  }

  get isIn(): boolean {
    return this.#seat !== null
  }

  /** Its own, as `place pid`; null: whichever it gets. */
  get keptServer(): string | null {
    return this.hold === 'may keep' ? this.#server : this.#keptServer
  }

  /** Throws ClientEnded where it is refused, as something that was done explains. */
  async logIn(): Promise<void> {
    const { pooler, ref, places } = this.project
    const { role, mode, database } = this.is
    const fromMs = performance.now()
    const given = this.project.passwordsOf(role).last
    const client = await RawClient.connect({ port: pooler.portOf(mode) })
    this.#heardMs = fromMs
    try {
      const user = `${role}.${ref}`
      const login = await client.login({ user, password: given, database })
      this.#seat = { raw: client, login }
    } catch (error) {
      const hasEnded = error instanceof LoginRefused || client.end !== 'open'
      client.close()
      if (!hasEnded) throw error
      this.#database = database ?? places.databases[0]
      const fields = error instanceof LoginRefused ? error.fields : null
      this.#explain(fields, { fromMs, toMs: performance.now() }, true)
      throw new ClientEnded()
    }
    this.#heardMs = performance.now()
    this.#seated = { fromMs, toMs: this.#heardMs }
    this.#server = null
    this.#transactionServer = null
    this.hold = mode === 'session' ? 'keeps' : 'none'
    this.isInTransaction = false
    this.tag = ''
    for (const kept of [this.channels, this.prepared]) kept.clear()
    this.notified.length = 0
    this.#database = ''
  }

  /** Leaves without a word, or with one. */
  leave(how: 'close' | 'reset' | 'terminate'): void {
    const client = this.#seat?.raw
    this.#seat = null
    if (how === 'terminate') void client?.terminate().catch(() => {})
    else client?.[how]()
  }

  /** It named no database, and the project has another one by now than it is in: that ends it. */
  get isMisplaced(): boolean {
    return this.is.database === null && this.#database !== this.project.database.last
  }

  /** Fulfilled when it is told why it is ended. */
  async awaitEnd(): Promise<void> {
    const fromMs = performance.now()
    const told = (await this.seat.raw.readAll()).filter(({ type }) => type === 'E')
    const [error, ...others] = told.map(({ body }) => errorFields(body))
    if (error === undefined || others.length > 0) throw new Error(`ended with ${told.length} words`)
    this.#explain(error, { fromMs, toMs: performance.now() })
    this.leave('close')
  }

  /** As many replies as there are of Query and Sync. Throws ClientEnded. */
  async say(...messages: Buffer[]): Promise<Reply[]> {
    const { raw: client } = this.seat
    const fromMs = performance.now()
    const letters = messages.map((message) => message.toString('latin1', 0, 1))
    const count = letters.filter((letter) => letter === 'Q' || letter === 'S').length
    await client.send(Buffer.concat(messages))
    const replies: Reply[] = []
    while (replies.length < count) replies.push(await this.#reply(fromMs))
    return replies
  }

  async ask(sql: string): Promise<Reply> {
    const [reply] = await this.say(raw.query(sql))
    return reply as Reply
  }

  /** A simple query that has to work unless something explains why not; true where it has. */
  async run(sql: string): Promise<boolean> {
    return (await this.ask(sql)).error === null
  }

  /**
   * Looks at the answer to a question of that number, whose transaction began at `sinceMs`. Where it ran, as
   * `place pid`; null: it was refused.
   */
  check(reply: Reply, number: string, sinceMs: number): string | null {
    if (reply.error !== null) return null
    const [answer, ...others] = reply.rows
    if (answer === undefined || others.length > 0) throw new Error(`${reply.rows.length} answers`)
    const [told, place, tls, database, pid, role, tag] = answer
    if (told !== number) throw new Error(`the answer to ${told}, not to ${number}`)
    if (role !== this.is.role) throw new Error(`as ${role}, not ${this.is.role}`)
    if (tag !== this.tag) throw new Error(`with the setting ${tag}, not ${this.tag}`)
    this.#checkDatabase(database ?? '')
    this.#checkServer(`${place} ${pid}`, tls === 't', sinceMs)
    this.answers++
    return this.#server
  }

  #checkDatabase(database: string): void {
    // A login that named none took the one of its time.
    const possible =
      this.is.database === null ? this.project.database.during(this.#seated) : [this.is.database]
    if (this.#database === '' && possible.includes(database)) this.#database = database
    if (database !== this.#database) throw new Error(`in ${database}, not ${this.#database}`)
  }

  /** One that it does not keep is of a place where the project was since it asked. */
  #checkServer(server: string, tls: boolean, sinceMs: number): void {
    const kept = this.#keptServer
    const before = this.#server
    this.#server = server
    if (this.isInTransaction) this.#transactionServer = server
    if (kept !== null) {
      if (server !== kept) throw new Error(`at ${server} instead of ${kept}`)
      return
    }
    if (this.hold === 'may keep') {
      if (server === before) return
      this.hold = 'none'
    }
    const now = { fromMs: sinceMs, toMs: performance.now() }
    // A session has had its server since its login.
    const possible = this.project.place.during(this.is.mode === 'session' ? this.#seated : now)
    if (possible.some((place) => server.startsWith(`${place.name} `) && place.tls === tls)) return
    const words = possible.map(({ name, tls: isOn }) => `${name}${isOn ? ' by TLS' : ''}`)
    throw new Error(`at ${server}${tls ? ' by TLS' : ''}, not ${words.join(' or ')}`)
  }

  /** null: whichever it gets. */
  get #keptServer(): string | null {
    return this.hold === 'keeps' ? this.#server : this.#transactionServer
  }

  async #reply(fromMs: number): Promise<Reply> {
    const client = this.seat.raw
    const messages: RawMessage[] = []
    let error: string | null = null
    for (;;) {
      const next = await client.next().catch((fault: Error) => {
        if (client.end === 'open') throw fault
        return null
      })
      const span = { fromMs, toMs: performance.now() }
      if (next === null) return await this.#end(null, span)
      messages.push(next)
      if (next.type === 'E') {
        const fields = errorFields(next.body)
        if (fields.S === 'FATAL') return await this.#end(fields, span)
        if (fields.C !== this.expected) this.#explain(fields, span)
        this.errors++
        error ??= fields.C ?? ''
      }
      if (next.type === 'Z') {
        this.#heardMs = performance.now()
        this.isInTransaction = next.body.toString() !== 'I'
        if (!this.isInTransaction) this.#transactionServer = null
        const deed = this.project.ledger.endingBetween({ fromMs: this.#seated.toMs, toMs: fromMs })
        if (deed !== null) throw new Error(`answered, and the project was ${deed} since its login`)
        return { messages, rows: rowsOf(messages), error }
      }
    }
  }

  async #end(fields: Record<string, string> | null, during: Span): Promise<never> {
    this.#explain(fields, during)
    const rest = await this.seat.raw.readAll()
    if (rest.length > 0) throw new Error(`told ${typesOf(rest)} behind its end`)
    this.endings++
    this.leave('close')
    throw new ClientEnded()
  }

  #explain(fields: ToldError['fields'], during: Span, isLogin = false): void {
    const { role, database } = this.is
    explain(
      {
        fields,
        role,
        database: this.#database,
        hasNamedDatabase: database !== null,
        server: this.#keptServer,
        seated: this.#seated,
        since: { fromMs: Math.min(this.#heardMs, during.fromMs), toMs: during.toMs },
        during,
        cancels: this.cancels,
        isLogin,
      },
      this.project,
    )
  }
}
