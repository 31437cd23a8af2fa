// A stand-in for Postgres within the test's own process: it owes the replies that a real server
// would owe (model-session.ts), sends them in the worst pieces, and has an auditor that proves what
// the code in front of it does with the connections. Trust authentication, no TLS, no data.

import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { ModelAuditor } from './model-auditor.ts'
import { type ModelBehaviour, ModelConnection } from './model-connection.ts'
import type { StatementReader } from './model-statements.ts'
import type { SeededRandom } from './seeded-random.ts'

export interface ModelServerOptions {
  readonly random: SeededRandom
  /** 0 or missing: any free port. */
  readonly port?: number
  /** More at once are a violation; the server itself takes them. */
  readonly connectionsMax?: number
  readonly pieceBytesMax?: number
  readonly lateChance?: number
  readonly lateMs?: number
  /** A cancel request takes up to so long to reach its backend, as with real processes. */
  readonly cancelLateMs?: number
  /** Replaces or adds ParameterStatus values. */
  readonly reported?: Readonly<Record<string, string>>
  readonly readOther?: StatementReader
}

/** What Postgres 18 reports. */
const usualSettings = {
  application_name: '',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  default_transaction_read_only: 'off',
  in_hot_standby: 'off',
  integer_datetimes: 'on',
  IntervalStyle: 'postgres',
  is_superuser: 'off',
  scram_iterations: '4096',
  search_path: '"$user", public',
  server_encoding: 'UTF8',
  server_version: '18.4',
  session_authorization: 'model',
  standard_conforming_strings: 'on',
  TimeZone: 'Etc/UTC',
} as const

export class ModelServer {
  readonly auditor: ModelAuditor
  /** New connections answer nothing behind their login, see ModelConnection.stall. */
  stallsNew = false
  readonly #server: net.Server
  readonly #connections = new Set<ModelConnection>()
  readonly #options: ModelServerOptions
  #refusal: Record<string, string> | null = null
  #lastProcessId = 1000

  private constructor(server: net.Server, options: ModelServerOptions) {
    this.#server = server
    this.#options = options
    this.auditor = new ModelAuditor(options.connectionsMax)
    const behaviour = this.#behaviour(options)
    server.on('connection', (socket) => {
      this.#lastProcessId += 1
      const connection = new ModelConnection(socket, this.#lastProcessId, behaviour)
      this.#connections.add(connection)
      if (this.stallsNew) connection.stall()
      void connection.closed.then(() => this.#connections.delete(connection))
    })
  }

  static async start(options: ModelServerOptions): Promise<ModelServer> {
    const server = net.createServer({ noDelay: true, allowHalfOpen: true })
    const model = new ModelServer(server, options)
    server.listen(options.port ?? 0, '127.0.0.1')
    await once(server, 'listening')
    return model
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections that are logged in, in the order in which they came. */
  get connections(): ModelConnection[] {
    return [...this.#connections].filter(({ isLoggedIn }) => isLoggedIn)
  }

  /** New logins get this FATAL; null lets them in again. Cancel requests are served all the same. */
  refuse(sqlState: string | null, text = 'refused by the test'): void {
    this.#refusal = sqlState === null ? null : { S: 'FATAL', V: 'FATAL', C: sqlState, M: text }
  }

  /** Ends all connections with a FATAL and closes the port. */
  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const connection of this.#connections) connection.drop()
    await closed
  }

  #behaviour(options: ModelServerOptions): ModelBehaviour {
    const { random, reported = {} } = options
    return {
      random,
      auditor: this.auditor,
      pieceBytesMax: options.pieceBytesMax ?? 0,
      lateChance: options.lateChance ?? 0,
      lateMs: options.lateMs ?? 3,
      reported: new Map(Object.entries({ ...usualSettings, ...reported })),
      readOther: options.readOther ?? (() => null),
      refusal: () => this.#refusal,
      cancel: (processId, secret) => this.#cancel(processId, secret),
    }
  }

  async #cancel(processId: number, secret: Buffer): Promise<void> {
    await delay(this.#options.random.int((this.#options.cancelLateMs ?? 0) + 1))
    const connection = this.connections.find((one) => one.processId === processId)
    if (connection === undefined || connection.secret.length !== secret.length) return
    if (timingSafeEqual(connection.secret, secret)) connection.interrupt()
  }
}
