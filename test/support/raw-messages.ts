// The Postgres protocol's messages in bytes (manual, chapter "Frontend/Backend Protocol"), written
// for tests alone and apart from shared/protocol, so that one may judge the other. Types are the
// letters of the manual. No checks: tests must be able to build broken messages.

export interface RawMessage {
  /** The letter, or '' for a message without one (startup, SSLRequest, CancelRequest). */
  readonly type: string
  readonly body: Buffer
}

export const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value & 0xffff)
  return bytes
}

export const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

export const cstring = (text: string | Buffer): Buffer =>
  Buffer.concat([typeof text === 'string' ? Buffer.from(text) : text, Buffer.of(0)])

/** One message: letter, length (itself included), body. */
export function message(type: string, ...body: Buffer[]): Buffer {
  const joined = Buffer.concat(body)
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(joined.length + 4), joined])
}

/** A header that lies about its length. */
export const messageHeader = (type: string, length: number): Buffer =>
  Buffer.concat([Buffer.from(type, 'latin1'), int32(length)])

// What clients send before login.

export const sslRequest = (): Buffer => Buffer.concat([int32(8), int32(80877103)])
export const gssencRequest = (): Buffer => Buffer.concat([int32(8), int32(80877104)])

/** In the place of a version. */
export const cancelCode = 80877102

export function cancelRequest(processId: number, secret: Buffer): Buffer {
  return Buffer.concat([int32(12 + secret.length), int32(cancelCode), int32(processId), secret])
}

export type StartupPairs = Readonly<Record<string, string>> | readonly (readonly [string, string])[]

/** Pairs may be a list where order or duplicates matter. */
export function startupMessage(pairs: StartupPairs, version = { major: 3, minor: 0 }): Buffer {
  const list = Array.isArray(pairs) ? pairs : Object.entries(pairs)
  const body = Buffer.concat([
    int32(version.major * 65536 + version.minor),
    ...list.flatMap(([name, value]: readonly [string, string]) => [cstring(name), cstring(value)]),
    Buffer.of(0),
  ])
  return Buffer.concat([int32(body.length + 4), body])
}

// What clients send after that.

export const passwordMessage = (password: string): Buffer => message('p', cstring(password))

export const saslInitialResponse = (mechanism: string, data: string): Buffer =>
  message('p', cstring(mechanism), int32(Buffer.byteLength(data)), Buffer.from(data))

export const saslResponse = (data: string): Buffer => message('p', Buffer.from(data))

export const query = (sql: string | Buffer): Buffer => message('Q', cstring(sql))

export const parse = (name: string, sql: string, types: readonly number[] = []): Buffer =>
  message('P', cstring(name), cstring(sql), int16(types.length), ...types.map(int32))

export interface BindOptions {
  readonly portal?: string
  readonly statement?: string
  readonly values?: readonly (string | Buffer | null)[]
  readonly formats?: readonly number[]
  readonly resultFormats?: readonly number[]
}

export function bind(options: BindOptions = {}): Buffer {
  const { values = [], formats = [], resultFormats = [] } = options
  return message(
    'B',
    cstring(options.portal ?? ''),
    cstring(options.statement ?? ''),
    int16(formats.length),
    ...formats.map(int16),
    int16(values.length),
    ...values.map(sizedValue),
    int16(resultFormats.length),
    ...resultFormats.map(int16),
  )
}

function sizedValue(value: string | Buffer | null): Buffer {
  if (value === null) return int32(-1)
  const bytes = Buffer.from(value)
  return Buffer.concat([int32(bytes.length), bytes])
}

export type Target = 'statement' | 'portal'
const targetLetter = { statement: 'S', portal: 'P' } as const

export const describeMessage = (target: Target, name = ''): Buffer =>
  message('D', Buffer.from(targetLetter[target]), cstring(name))

export const closeMessage = (target: Target, name = ''): Buffer =>
  message('C', Buffer.from(targetLetter[target]), cstring(name))

export const execute = (portal = '', rowsMax = 0): Buffer =>
  message('E', cstring(portal), int32(rowsMax))

export const sync = (): Buffer => message('S')
export const flush = (): Buffer => message('H')
export const terminate = (): Buffer => message('X')
export const copyData = (data: string | Buffer): Buffer => message('d', Buffer.from(data))
export const copyDone = (): Buffer => message('c')
export const copyFail = (reason: string): Buffer => message('f', cstring(reason))

/** All arguments and the result as text. */
export const functionCall = (oid: number, values: readonly (string | null)[] = []): Buffer =>
  message('F', int32(oid), int16(0), int16(values.length), ...values.map(sizedValue), int16(0))

// What servers send.

export const authenticationOk = (): Buffer => message('R', int32(0))
export const authenticationCleartext = (): Buffer => message('R', int32(3))
export const authenticationMd5 = (salt: Buffer): Buffer => message('R', int32(5), salt)

export const authenticationSasl = (...mechanisms: string[]): Buffer =>
  message('R', int32(10), ...mechanisms.map(cstring), Buffer.of(0))

export const authenticationSaslContinue = (data: string): Buffer =>
  message('R', int32(11), Buffer.from(data))

export const authenticationSaslFinal = (data: string): Buffer =>
  message('R', int32(12), Buffer.from(data))

export const parameterStatus = (name: string, value: string): Buffer =>
  message('S', cstring(name), cstring(value))

export const backendKeyData = (processId: number, secret: Buffer): Buffer =>
  message('K', int32(processId), secret)

export type TransactionStatus = 'I' | 'T' | 'E'

export const readyForQuery = (status: string): Buffer => message('Z', Buffer.from(status, 'latin1'))
export const commandComplete = (tag: string): Buffer => message('C', cstring(tag))
export const emptyQueryResponse = (): Buffer => message('I')
export const parseComplete = (): Buffer => message('1')
export const bindComplete = (): Buffer => message('2')
export const closeComplete = (): Buffer => message('3')
export const noData = (): Buffer => message('n')
export const portalSuspended = (): Buffer => message('s')

export const parameterDescription = (types: readonly number[]): Buffer =>
  message('t', int16(types.length), ...types.map(int32))

export const dataRow = (values: readonly (string | Buffer | null)[]): Buffer =>
  message('D', int16(values.length), ...values.map(sizedValue))

/** Columns of type text (oid 25), no table behind them. */
export function rowDescription(names: readonly string[]): Buffer {
  const columns = names.map((name) =>
    Buffer.concat([cstring(name), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)]),
  )
  return message('T', int16(names.length), ...columns)
}

/** `letter` is G (in), H (out) or W (both); text format. */
export const copyResponse = (letter: 'G' | 'H' | 'W', columns: number): Buffer =>
  message(letter, Buffer.of(0), int16(columns), ...Array(columns).fill(int16(0)))

export const functionCallResponse = (value: string | null): Buffer =>
  message('V', sizedValue(value))

/** Fields by their letters (manual, "Error and Notice Message Fields"); none is added. */
export const errorResponse = (fields: Readonly<Record<string, string>>): Buffer =>
  message('E', fieldList(fields))

export const noticeResponse = (fields: Readonly<Record<string, string>>): Buffer =>
  message('N', fieldList(fields))

const fieldList = (fields: Readonly<Record<string, string>>): Buffer =>
  Buffer.concat([
    ...Object.entries(fields).map(([letter, text]) =>
      Buffer.concat([Buffer.from(letter, 'latin1'), cstring(text)]),
    ),
    Buffer.of(0),
  ])

/** An error as Postgres writes it. */
export const postgresError = (severity: string, sqlState: string, text: string): Buffer =>
  errorResponse({ S: severity, V: severity, C: sqlState, M: text })

export const notificationResponse = (processId: number, channel: string, payload: string) =>
  message('A', int32(processId), cstring(channel), cstring(payload))

export const negotiateProtocolVersion = (minor: number, options: readonly string[]): Buffer =>
  message('v', int32(3 * 65536 + minor), int32(options.length), ...options.map(cstring))
