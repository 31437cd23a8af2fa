// One client from accept to close: runs the stages of its life in order, each handing a named thing
// to the next (arrival, identity, authentication, login answer, relay). Every way out before the
// relay is here; the relay has its own.
import type { Socket } from 'node:net'
import type { Timer } from '../../shared/clock.ts'
import type { ErrorCode } from '../../shared/error-catalogue.ts'
import { PoolerError } from '../../shared/errors.ts'
import { type ClientId, newReportId, nextClientId } from '../../shared/ids.ts'
import { type Log, logWith } from '../../shared/log.ts'
import { noBytes } from '../../shared/no-bytes.ts'
import { errorResponseOf, PostgresError } from '../../shared/protocol/error-response.ts'
import type { RosterMember } from '../../shared/roster.ts'
import { sourceKey } from '../accept/address-filter.ts'
import type { Admission } from '../accept/connection-quota.ts'
import type { TenantCounters } from '../metrics/counters.ts'
import type { ListenerMode } from '../startup/identify-tenant.ts'
import { type Arrival, arrive } from './arrival.ts'
import type { ClientServices } from './client-services.ts'
import type { ClientSession } from './client-session.ts'
import { logIn } from './log-in.ts'
import { ClientGone } from './login-dialog.ts'
import type { Newcomer } from './newcomer.ts'
import { sayGoodbye } from './socket-reading.ts'

export class ClientConnection implements RosterMember {
  seat = -1
  readonly id: ClientId = nextClientId()
  /** The client's address, normalised. */
  readonly address: string
  readonly isProxied: boolean
  /** Of the socket's peer. */
  readonly port: number
  readonly mode: ListenerMode
  /** Monotonic ms. */
  readonly startedMs: number
  readonly #services: ClientServices
  readonly #admission: Admission
  #socket: Socket
  #firstBytes: Buffer
  #log: Log | null = null
  #session: ClientSession | null = null
  #tenantRef: string | null = null
  /** Once its project is known, that project's, also when it is deleted meanwhile: then nobody reads them. */
  #counters: TenantCounters | null = null
  #operator: string | null = null
  #isTls = false
  /** From the answer to a request for TLS, or the first bytes of it, until both ends speak it. */
  #isInHandshake = false
  #deadline: Timer | null = null
  #isOver = false

  constructor(newcomer: Newcomer, admission: Admission, services: ClientServices) {
    const { socket, address } = newcomer
    this.#socket = socket
    this.#firstBytes = newcomer.firstBytes
    this.mode = newcomer.mode
    this.address = address
    this.isProxied = newcomer.isProxied
    this.port = socket.remotePort ?? 0
    this.#admission = admission
    this.#services = services
    this.startedMs = newcomer.acceptedMs
    socket.on('error', ignore)
    socket.once('close', () => {
      this.#isOver = true
      admission.leave()
      services.connections.delete(this)
    })
    services.connections.add(this)
  }

  get log(): Log {
    this.#log ??= logWith(this.#services.log, { clientId: this.id, address: this.address })
    return this.#log
  }

  /** From AuthenticationOk on. */
  get session(): ClientSession | null {
    return this.#session
  }

  /** User at the console; null: it is no operator's. */
  get operator(): string | null {
    return this.#operator
  }

  get isTls(): boolean {
    return this.#isTls
  }

  /** It has been refused, or its socket has closed. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** The project it asked for, once that is known to exist. */
  get tenantRef(): string | null {
    return this.#tenantRef
  }

  /** The project exists: what is counted from here on is counted with it. */
  noteTenant(ref: string): void {
    this.#tenantRef = ref
    this.#counters = this.#services.counters.of(ref)
  }

  /** AuthenticationOk is about to be sent: the login deadline is met. */
  onAuthenticated(session: ClientSession): void {
    this.#deadline?.cancel()
    this.#admission.logIn()
    this.#session = session
    const { counters, clock } = this.#services
    const histogram = counters.process.logins[session.login.authenticated.method]
    histogram.observeMs(clock.monotonicMs() - this.startedMs)
  }

  /** An operator is about to get the console. */
  onOperator(name: string): void {
    this.#deadline?.cancel()
    this.#admission.logIn()
    this.#operator = name
    this.log.info({ operator: name }, 'operator at the console')
  }

  /** Fulfilled when the client is in the relay, or has been refused. Never rejects. */
  async run(): Promise<void> {
    const { clock, config } = this.#services
    const limitMs = config.clientLoginTimeoutMs
    const leftMs = this.startedMs + limitMs - clock.monotonicMs()
    this.#deadline = clock.after(Math.max(0, leftMs), () => {
      this.refuse(new PoolerError('EAUTHTIMEOUT', { values: { ms: limitMs } }))
    })
    try {
      const arrival = await this.#arrive()
      if (arrival === null) this.#bow()
      else if ((await logIn(this, arrival, this.#services)) === 'served') this.#bow()
    } catch (error) {
      this.refuse(error)
    } finally {
      this.#deadline.cancel()
      this.#deadline = null
    }
  }

  /** Ends the client whatever it is doing. */
  end(error: PoolerError): void {
    const relay = this.#session?.relay ?? null
    if (relay === null) this.refuse(error)
    else relay.fail(error)
  }

  /** A person's access ended: as `end`, and what runs in the database is stopped. */
  endAccess(error: PoolerError): void {
    const relay = this.#session?.relay ?? null
    if (relay === null) this.refuse(error)
    else relay.endAccess(error)
  }

  /** Tells why there is no login, and closes. Once; what comes later is nothing. */
  refuse(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    if (error instanceof ClientGone) {
      this.#socket.destroy()
      return
    }
    if (error instanceof PostgresError) {
      this.#part(error.raw)
      return
    }
    const known = error instanceof PoolerError ? error : this.internal(error)
    this.count(known.code)
    const source = sourceKey(this.address)
    if (this.#services.refusalLog.mayLog(known.code, source, this.#tenantRef))
      this.log[known.row.logLevel]({ code: known.code, detail: known.detail }, known.message)
    this.#part(errorResponseOf(known, 'FATAL'))
  }

  get counters(): TenantCounters {
    return this.#counters ?? this.#services.counters.process
  }

  count(code: ErrorCode): void {
    this.counters.errors.count(code)
  }

  /** Closes without a word: it was a probe, an operator who left, a cancel, or nobody. */
  #bow(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#part(null)
  }

  /** Who waits for a handshake to go on can read no words of ours, and must not take plain ones. */
  #part(lastWords: Buffer | null): void {
    if (this.#isInHandshake) this.#socket.destroy()
    else sayGoodbye(this.#socket, lastWords, this.#services.clock)
  }

  #arrive(): Promise<Arrival | null> {
    const { version, certificates, cancelRequests } = this.#services
    const firstBytes = this.#firstBytes
    this.#firstBytes = noBytes
    return arrive(this.#socket, {
      firstBytes,
      version,
      certificates,
      onCancel: (processId, secret) =>
        cancelRequests.handle(processId, secret, sourceKey(this.address)),
      onHandshake: () => {
        this.#isInHandshake = true
      },
      onSocket: (socket) => {
        this.#socket = socket
        this.#isInHandshake = false
        this.#isTls = true
        socket.on('error', ignore)
      },
    })
  }

  /** Logs a bug of ours under an id that the client is told too. */
  internal(error: unknown): PoolerError {
    const id = newReportId()
    this.log.error({ err: error, reportId: id }, 'internal error')
    return new PoolerError('EINTERNAL', { values: { id }, cause: error })
  }
}

const ignore = (): void => {}
