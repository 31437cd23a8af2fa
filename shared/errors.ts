// The one catalogue of errors that Latchkey makes itself. ERRORS.md beside this file explains each
// row to the person who met it; a test keeps the two equal. What Postgres says is passed on as it
// is and never appears here.

export type Severity = 'ERROR' | 'FATAL'
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface CatalogueRow {
  /** Five characters, Postgres manual appendix A. */
  readonly sqlState: string
  readonly severity: Severity
  readonly httpStatus: number
  readonly logLevel: LogLevel
  /** True when nothing of the client's work can have reached the database. */
  readonly isSafeToRetry: boolean
  /** `{name}` is filled from the values given to PoolerError. */
  readonly text: string
  readonly hint: string | null
}

const row = (
  sqlState: string,
  severity: Severity,
  httpStatus: number,
  logLevel: LogLevel,
  isSafeToRetry: boolean,
  text: string,
  hint: string | null = null,
): CatalogueRow => ({ sqlState, severity, httpStatus, logLevel, isSafeToRetry, text, hint })

export const catalogue = {
  ESTARTUPMESSAGE: row(
    '08P01',
    'FATAL',
    400,
    'info',
    true,
    'invalid startup message: {reason}',
    'Connect with a Postgres driver; a load balancer may probe with a plain HTTP GET.',
  ),
  ESTARTUPPACKETTOOLARGE: row(
    '08P01',
    'FATAL',
    400,
    'info',
    true,
    'startup packet of {bytes} bytes is too large, the limit is {limit}',
    'Send fewer or shorter startup parameters, and SET the rest after login.',
  ),
  EUNSUPPORTEDPROTOCOL: row(
    '0A000',
    'FATAL',
    400,
    'info',
    true,
    '{what} is not supported here',
    'Protocol 3.0 to 3.2 is served; replication connections belong on the session port.',
  ),
  ESTARTUPSETTING: row(
    '55P02',
    'FATAL',
    400,
    'info',
    true,
    'setting "{name}" cannot be chosen by a client of a pool',
    'It can only be set when a server connection starts; use the direct host db.<ref>.<domain> for it.',
  ),
  EOPTIONS: row(
    '42601',
    'FATAL',
    400,
    'info',
    true,
    'invalid startup options: {reason}',
    'Write options as -c name=value, separated by spaces; escape a space with a backslash.',
  ),
  EINVALIDUSERINFO: row(
    '28000',
    'FATAL',
    400,
    'info',
    true,
    '{what} name is not usable: {reason}',
    'Role and database names have 1 to 63 bytes of valid UTF-8.',
  ),
  ENOIDENTIFIER: row(
    '28000',
    'FATAL',
    400,
    'info',
    true,
    'no project ref was given',
    'Write the user name as role.ref, for example postgres.abcdefghijklmnopqrst, or add options=reference=<ref>.',
  ),
  ENOTFOUND: row(
    '28000',
    'FATAL',
    404,
    'info',
    true,
    'project "{ref}" was not found',
    'Check the project ref behind the dot of the user name, and that the host is the pooler of that project.',
  ),
  EBANNED: row(
    '28000',
    'FATAL',
    403,
    'info',
    true,
    'project "{ref}" is banned: {reason}',
    'Ask the operator of this pooler to lift the ban.',
  ),
  EADDRNOTALLOWED: row(
    '28000',
    'FATAL',
    403,
    'info',
    true,
    'address {address} is not allowed for project "{ref}"',
    "Add the address to the project's allow_list, or connect from a listed network.",
  ),
  ESSLREQUIRED: row(
    '28000',
    'FATAL',
    403,
    'info',
    true,
    'TLS is required: {reason}',
    'Add sslmode=require (better: verify-full with the root certificate) to the connection string.',
  ),
  EWRONGPASSWORD: row(
    '28P01',
    'FATAL',
    401,
    'info',
    true,
    'password authentication failed for user "{user}"',
    'A token at the pooler needs options=-c jit=on; POST /v1/projects/<ref>/database/jit/check with the token tells the reason.',
  ),
  EAUTHTIMEOUT: row(
    '08006',
    'FATAL',
    408,
    'info',
    true,
    'login was not complete after {ms} ms',
    'Check the network between client and pooler, and that the client sends its password.',
  ),
  EAUTHPROVIDER: row(
    '58000',
    'FATAL',
    503,
    'warn',
    true,
    'access could not be decided right now',
    'Nothing was counted against you; try again in a few seconds.',
  ),
  ECIRCUITBREAKER: row(
    '28000',
    'FATAL',
    429,
    'warn',
    true,
    'too many wrong passwords or tokens from your network, new logins are blocked for {seconds} s',
    'Find the client with the wrong secret; a valid token still gets in.',
  ),
  EMAXCONN: row(
    '53300',
    'FATAL',
    429,
    'warn',
    true,
    'the limit of {limit} clients of role "{role}" is reached',
    "Close unused connections, or raise the role's max_clients.",
  ),
  EMAXCONNTENANT: row(
    '53300',
    'FATAL',
    429,
    'warn',
    true,
    'the limit of {limit} clients of project "{ref}" is reached',
    "Close unused connections, or raise the project's default_max_clients.",
  ),
  EMAXCONNPROCESS: row(
    '53300',
    'FATAL',
    503,
    'warn',
    true,
    'the pooler takes no more clients: {reason}',
    'Try again, or ask the operator to raise CLIENTS_MAX and the limit of open files.',
  ),
  EMAXPOOLS: row(
    '53300',
    'FATAL',
    429,
    'warn',
    true,
    'the limit of {limit} pools of project "{ref}" is reached',
    'Use fewer (role, database, mode) combinations, or ask the operator to raise POOLS_PER_TENANT_MAX.',
  ),
  EMAXWAITERS: row(
    '53300',
    'ERROR',
    429,
    'warn',
    true,
    'the queue for a server is full with {limit} clients',
    'Transactions are too long or pool_size is too small for this load.',
  ),
  EMESSAGETOOLARGE: row(
    '54000',
    'FATAL',
    413,
    'info',
    false,
    'a {what} message of {bytes} bytes is over the limit of {limit}',
    'Send it in smaller parts, or ask the operator to raise the limit.',
  ),
  ECHECKOUTTIMEOUT: row(
    '53300',
    'ERROR',
    503,
    'warn',
    true,
    'no server became free in {ms} ms (pool size {size}, {waiters} waiting)',
    'Look for long or idle transactions, or raise pool_size.',
  ),
  EUPSTREAM: row(
    '08006',
    'ERROR',
    502,
    'warn',
    true,
    'the database of project "{ref}" cannot be reached',
    'Check that the database is up, and the db_host and db_port of the project.',
  ),
  EUPSTREAMAUTH: row(
    '08004',
    'ERROR',
    502,
    'warn',
    true,
    'the database of project "{ref}" does not let the pooler in as "{role}"',
    'Store the current password of the role, or log in with it once; the detail tells what the database said.',
  ),
  ESERVERLOST: row(
    '08006',
    'FATAL',
    502,
    'warn',
    false,
    'the server connection was lost: {reason}',
    'The transaction is not finished; reconnect and check what was committed before trying again.',
  ),
  EIDLETIMEOUT: row(
    '57P05',
    'FATAL',
    408,
    'info',
    true,
    'connection was idle for longer than {ms} ms',
    'Reconnect, or raise client_idle_timeout.',
  ),
  EIDLEINTRANSACTION: row(
    '25P03',
    'FATAL',
    408,
    'info',
    false,
    'transaction was idle for longer than {ms} ms',
    'Commit or roll back sooner; the transaction was rolled back.',
  ),
  EQUERYTIMEOUT: row(
    '57014',
    'ERROR',
    408,
    'info',
    false,
    'query ran for longer than {ms} ms',
    'Make the query faster, or raise QUERY_TIMEOUT_MS.',
  ),
  EACCESSENDED: row(
    '57P01',
    'FATAL',
    403,
    'info',
    false,
    'temporary access ended: {reason}',
    'Ask an owner or administrator of the project for new access; the running transaction was rolled back.',
  ),
  ETERMINATED: row(
    '57P01',
    'FATAL',
    503,
    'info',
    false,
    'terminating connection: {reason}',
    'Reconnect.',
  ),
  EDRAINING: row(
    '57P03',
    'FATAL',
    503,
    'info',
    true,
    'this pooler is shutting down',
    'Reconnect; another node or the next process takes the connection.',
  ),
  EPREPAREDLIMIT: row(
    '54000',
    'ERROR',
    429,
    'info',
    true,
    'the limit of {limit} prepared statements of one client is reached',
    'Close statements that are not needed, or raise CLIENT_PREPARED_STATEMENTS_MAX.',
  ),
  EPROTOCOL: row(
    '08P01',
    'FATAL',
    400,
    'info',
    false,
    'protocol violation: {reason}',
    'The driver or something between it and the pooler broke the Postgres protocol.',
  ),
  EINTERNAL: row(
    'XX000',
    'FATAL',
    500,
    'error',
    false,
    'internal error {id}',
    'This is a bug in Latchkey; its log has the same id.',
  ),
} as const satisfies Record<string, CatalogueRow>

export type ErrorCode = keyof typeof catalogue
export const errorCodes = Object.keys(catalogue) as ErrorCode[]

export type ErrorValues = Readonly<Record<string, string | number>>

export interface PoolerErrorOptions {
  /** Fills the `{name}` places of the row's text. */
  readonly values?: ErrorValues
  /** What helps the person who reads it; never a secret, never why a token was refused. */
  readonly detail?: string
  /** Replaces the row's hint where more is known. */
  readonly hint?: string
  readonly cause?: unknown
}

/** An operating error: answered, counted, logged; it ends at most one connection. */
export class PoolerError extends Error {
  override readonly name = 'PoolerError'
  readonly code: ErrorCode
  readonly detail: string | null
  readonly hint: string | null

  constructor(code: ErrorCode, options: PoolerErrorOptions = {}) {
    const text = fillText(catalogue[code].text, options.values ?? {})
    super(text, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.detail = options.detail ?? null
    this.hint = options.hint ?? catalogue[code].hint
  }

  get row(): CatalogueRow {
    return catalogue[this.code]
  }

  /** The text that a Postgres client sees. A wrong password reads as Postgres' own, without code. */
  get wireText(): string {
    return this.code === 'EWRONGPASSWORD' ? this.message : `(${this.code}) ${this.message}`
  }
}

function fillText(text: string, values: ErrorValues): string {
  return text.replace(/\{(\w+)\}/g, (_place, name: string) => String(values[name] ?? '?'))
}
