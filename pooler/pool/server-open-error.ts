// Why a server could not be opened, and whether waiting may help: the pool waits out what is
// transient and tells all waiters at once what is permanent.
import { PoolerError } from '../../shared/errors.ts'
import type { PostgresError } from '../../shared/protocol/error-response.ts'

const cannotConnectNow = '57P03'
const tooManyConnections = '53300'
/** Where Postgres has no connection left for anybody. What a role or a database has used up is told by others. */
const fullRoutines: ReadonlySet<string> = new Set([
  'BackendInitialize',
  'InitPostgres',
  'InitProcess',
  'ProcArrayAdd',
  'ProcessStartupPacket',
])

export type OpenErrorKind = 'transient' | 'permanent'

export interface ServerOpenErrorOptions {
  /** What Postgres itself said; its raw bytes go to the client unchanged. */
  readonly postgres?: PostgresError
  readonly cause?: unknown
}

export class ServerOpenError extends Error {
  override readonly name = 'ServerOpenError'
  readonly kind: OpenErrorKind
  readonly postgres: PostgresError | null
  /** What a client gets where Postgres said nothing: EUPSTREAM or EUPSTREAMAUTH. */
  readonly poolerError: PoolerError
  /** Where Postgres said it, or was on its way to; null: nobody was reached. */
  address: string | null = null

  constructor(kind: OpenErrorKind, poolerError: PoolerError, options: ServerOpenErrorOptions = {}) {
    super(poolerError.detail ?? poolerError.message, { cause: options.cause })
    this.kind = kind
    this.postgres = options.postgres ?? null
    this.poolerError = poolerError
  }

  /** Others of the same Postgres would fail as well; false: as far as is known, this role and database alone. */
  get concernsAll(): boolean {
    if (this.postgres === null) return true
    const { sqlState, routine, message } = this.postgres.fields
    if (sqlState !== tooManyConnections) return sqlState.startsWith('57P')
    // Streams of replication have a limit of their own, told by the same routine.
    return fullRoutines.has(routine ?? '') && !message.includes('max_wal_senders')
  }

  /**
   * Postgres takes no connection at this address just now. Where servers of ours still live there, it
   * is shutting down and waits for them. Its text, which would say so, is in the language of its host.
   */
  get closingAddress(): string | null {
    return this.postgres?.fields.sqlState === cannotConnectNow ? this.address : null
  }
}

/** Who is being opened, as far as error texts say it. */
export interface OpenTarget {
  readonly ref: string
  readonly role: string
  /** The credentials are a person's own token: no password of ours would help. */
  readonly isTokenPassed?: boolean
}

/** EUPSTREAM. The detail reaches clients that have not logged in yet: it names no address. */
export function unreachable(
  kind: OpenErrorKind,
  target: OpenTarget,
  detail: string,
  cause?: unknown,
): ServerOpenError {
  const poolerError = new PoolerError('EUPSTREAM', { values: { ref: target.ref }, detail, cause })
  return new ServerOpenError(kind, poolerError, { cause })
}

/** EUPSTREAMAUTH: trying again with the same credentials changes nothing. */
export function notLetIn(target: OpenTarget, detail: string, cause?: unknown): ServerOpenError {
  const { ref, role, isTokenPassed = false } = target
  const poolerError = new PoolerError('EUPSTREAMAUTH', {
    values: { ref, role },
    detail,
    cause,
    ...(isTokenPassed && { hint: tokenHint }),
  })
  return new ServerOpenError('permanent', poolerError, { cause })
}

const tokenHint =
  'This project passes tokens on (jit_upstream: token): the database itself checks them, and did not accept this one. Ask whoever runs that check, or use a token that it knows.'

/** The server broke the protocol, or asks for what we do not do. */
export const brokenProtocol = (target: OpenTarget, what: string, cause?: unknown) =>
  unreachable('permanent', target, `the server broke the Postgres protocol: ${what}`, cause)

/** Sorted by SQLSTATE, Postgres manual appendix A; a server may send any or none. */
export function saidByPostgres(target: OpenTarget, postgres: PostgresError): ServerOpenError {
  const { sqlState, message } = postgres.fields
  const detail = `the database said: ${message}`
  const isAuth = sqlState.startsWith('28')
  const poolerError = isAuth
    ? notLetIn(target, detail, postgres).poolerError
    : unreachable('permanent', target, detail, postgres).poolerError
  const kind = isPassing(sqlState) ? 'transient' : 'permanent'
  return new ServerOpenError(kind, poolerError, { postgres, cause: postgres })
}

// Class 53: out of connections, memory, disk. 57P01 to 57P03: shutting down, crashed, starting up.
// Class 08: what a proxy in between says of a server behind it.
const isPassing = (sqlState: string): boolean =>
  sqlState.startsWith('53') || sqlState.startsWith('08') || /^57P0[123]$/.test(sqlState)

const reasonByCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no route to network',
  ETIMEDOUT: 'connection timed out',
  EMFILE: 'the pooler has no file descriptor left',
  ENFILE: 'the pooler has no file descriptor left',
}

/** A fault of the socket. Its own text would tell the address. */
export function socketFault(target: OpenTarget, error: Error): ServerOpenError {
  const code = 'code' in error ? String(error.code) : 'unknown'
  const reason = Object.hasOwn(reasonByCode, code) ? reasonByCode[code] : null
  return unreachable('transient', target, reason ?? `connection failed (${code})`, error)
}
