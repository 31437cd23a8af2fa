// The questions to one tenant's database: one connection, kept for a short while, and those who ask
// wait for each other and for nobody else's database.
import type { Clock, Timer } from '../../shared/clock.ts'
import { scramIterationsMax, scramIterationsUsual } from '../../shared/crypto/scram-keys.ts'
import { PoolerError } from '../../shared/errors.ts'
import type { Log } from '../../shared/log.ts'
import { PostgresError } from '../../shared/protocol/error-response.ts'
import { ServerOpenError } from '../pool/server-open-error.ts'
import { withTimeLimit } from '../pool/time-limit.ts'
import type { UpstreamAddresses } from '../pool/upstream-address.ts'
import type { Tenant } from '../tenant/tenant.ts'
import { type AuthQueryAnswer, readAnswer } from './auth-query-answer.ts'
import { AuthQueryConnection, ConnectionLostError } from './auth-query-connection.ts'

export interface AuthQueryLaneOptions {
  readonly connectTimeoutMs: number
  readonly loginTimeoutMs: number
  readonly globalCa: string | null
  readonly clock: Clock
  readonly log: Log
  readonly addresses?: UpstreamAddresses
}

/** Logins of one tenant that wait for each other: far more than a pool opens at once. */
const waitingMax = 200
/** Those from one source: who makes up roles, and proves nothing, leaves the others their turn. */
const waitingOfSourceMax = 100
/** From asking to the answer, waiting included: below the time that a login may take. */
const askMsMax = 10_000
/** Long enough for a burst of logins, short enough to leave the tenant its connections. */
const idleMsMax = 10_000
/** After a failure to connect everybody is told at once, and the database is left in peace so long. */
const failureMs = 500

/** One tenant's connection and the questions that wait for it, one after the other. */
export class AuthQueryLane {
  readonly #tenant: Tenant
  readonly #options: AuthQueryLaneOptions
  readonly #onClosed: () => void
  readonly #stop = new AbortController()
  #tail: Promise<unknown> = Promise.resolve()
  #waiting = 0
  readonly #bySource = new Map<string, number>()
  #connection: AuthQueryConnection | null = null
  #failure: { readonly error: PoolerError; readonly untilMs: number } | null = null
  #idleTimer: Timer | null = null

  constructor(tenant: Tenant, options: AuthQueryLaneOptions, onClosed: () => void) {
    this.#tenant = tenant
    this.#options = options
    this.#onClosed = onClosed
  }

  get isIdle(): boolean {
    return this.#waiting === 0
  }

  /** `source`: whose login asks. */
  async ask(role: string, source: string): Promise<AuthQueryAnswer> {
    if (this.#waiting >= waitingMax) throw notAsked('too many logins of the project are waiting')
    const ofSource = this.#bySource.get(source) ?? 0
    if (ofSource >= waitingOfSourceMax) {
      throw notAsked('too many logins of the project from your network are waiting')
    }
    const { clock } = this.#options
    const byMs = clock.monotonicMs() + askMsMax
    this.#idleTimer?.cancel()
    this.#waiting++
    this.#bySource.set(source, ofSource + 1)
    const asked = this.#tail.then(() => this.#askWithin(role, byMs - clock.monotonicMs()))
    this.#tail = asked.catch(() => {})
    try {
      return await asked
    } finally {
      this.#waiting--
      this.#leave(source)
      if (this.#waiting === 0 && !this.#stop.signal.aborted) {
        this.#idleTimer = clock.after(idleMsMax, () => this.close())
      }
    }
  }

  #leave(source: string): void {
    const left = (this.#bySource.get(source) ?? 1) - 1
    if (left === 0) this.#bySource.delete(source)
    else this.#bySource.set(source, left)
  }

  /** Questions under way fail; whoever asks next gets a new lane. */
  close(): void {
    this.#idleTimer?.cancel()
    this.#stop.abort(notAsked('the connection for auth_query is closed'))
    this.#connection?.close()
    this.#connection = null
    this.#onClosed()
  }

  async #askWithin(role: string, ms: number): Promise<AuthQueryAnswer> {
    const makeReason = () => notAsked('auth_query took too long')
    if (ms <= 0) throw makeReason()
    const { clock, log } = this.#options
    const limit = { clock, ms, signal: this.#stop.signal, makeReason }
    try {
      return await withTimeLimit(limit, (signal) => this.#askOnce(role, signal))
    } catch (error) {
      // Told again by others while it is fresh; one line for it is enough.
      if (error === this.#failure?.error) throw error
      const told = this.#told(error)
      log.warn({ tenant: this.#tenant.ref, err: told.cause ?? told }, 'auth_query failed')
      throw told
    }
  }

  /** A connection that was kept may have been closed by the server meanwhile: then once more. */
  async #askOnce(role: string, signal: AbortSignal): Promise<AuthQueryAnswer> {
    const kept = this.#connection
    if (kept?.isOpen) {
      try {
        return await this.#run(kept, role, signal)
      } catch (error) {
        if (!(error instanceof ConnectionLostError)) throw error
      }
    }
    return await this.#run(await this.#connect(signal), role, signal)
  }

  async #run(
    connection: AuthQueryConnection,
    role: string,
    signal: AbortSignal,
  ): Promise<AuthQueryAnswer> {
    const rows = await connection.query(this.#tenant.authQuery ?? '', role, signal)
    return readAnswer(rows, role, usualIterations(connection.scramIterations))
  }

  async #connect(signal: AbortSignal): Promise<AuthQueryConnection> {
    const { clock } = this.#options
    if (this.#failure !== null && clock.monotonicMs() < this.#failure.untilMs) {
      throw this.#failure.error
    }
    const tenant = this.#tenant
    const manager = [...tenant.roles.values()].find(({ isManager }) => isManager)
    const password = manager?.password ?? null
    if (manager === undefined || password === null) {
      throw notAsked('the project has no manager with a stored password')
    }
    const { role } = manager
    try {
      const database = tenant.dbDatabase
      const credentials = { password }
      this.#connection = await AuthQueryConnection.open({
        ...this.#options,
        tenant,
        role,
        database,
        credentials,
        signal,
      })
      return this.#connection
    } catch (error) {
      signal.throwIfAborted()
      this.#failure = { error: this.#told(error), untilMs: clock.monotonicMs() + failureMs }
      throw error
    }
  }

  /** Clients that have not logged in see it: it names no address, role or text of the database. */
  #told(error: unknown): PoolerError {
    if (error instanceof PoolerError && error.code !== 'EPROTOCOL') return error
    if (error instanceof ServerOpenError) {
      if (error.postgres === null && error.poolerError.code === 'EUPSTREAM') {
        return error.poolerError
      }
      const state = error.postgres?.fields.sqlState
      const detail = `the manager role could not log in${state ? ` (SQLSTATE ${state})` : ''}`
      const values = { ref: this.#tenant.ref }
      return new PoolerError('EUPSTREAM', { values, detail, cause: error })
    }
    if (error instanceof PostgresError) {
      return notAsked(`auth_query failed (SQLSTATE ${error.fields.sqlState})`, error)
    }
    if (error instanceof ConnectionLostError) {
      const values = { ref: this.#tenant.ref }
      return new PoolerError('EUPSTREAM', { values, detail: error.message, cause: error })
    }
    return notAsked('auth_query failed', error)
  }
}

/** Nothing was decided and nothing is counted against the client. */
export const notAsked = (detail: string, cause?: unknown): PoolerError =>
  new PoolerError('EAUTHPROVIDER', { detail, ...(cause === undefined ? {} : { cause }) })

function usualIterations(reported: string | null): number {
  const iterations = Number(reported ?? scramIterationsUsual)
  const isUsable = Number.isInteger(iterations) && iterations >= 1
  return isUsable && iterations <= scramIterationsMax ? iterations : scramIterationsUsual
}
