// The steps that scripts are made of (scripted-server.ts plays them).

import type { TLSSocketOptions } from 'node:tls'
import * as raw from './raw-messages.ts'
import { cstringsOf } from './raw-replies.ts'
import { RawScramServer, type ScramServerOptions } from './raw-scram.ts'
import type { Step } from './scripted-server.ts'
import type { Segmentation } from './segments.ts'

/** Codes that stand where a startup message has its version. */
const codes = { ssl: 80877103, gssenc: 80877104, cancel: 80877102 } as const

/** Reads one message per letter; `check` sees the last one and throws when it is wrong. */
export const expectTypes =
  (types: string, check: (message: raw.RawMessage) => void = () => {}): Step =>
  async (connection) => {
    const messages = await connection.expect(types)
    const last = messages.at(-1)
    if (last !== undefined) check(last)
  }

/** Reads a startup message of protocol 3 and gives its pairs to `check`. */
export const expectStartup =
  (check: (pairs: ReadonlyMap<string, string>) => void = () => {}): Step =>
  async ({ stream }) => {
    const { body } = await stream.next(false)
    if (body.readUInt16BE(0) !== 3) throw stream.unexpected('a startup message')
    const texts = cstringsOf(body.subarray(4))
    const pairs = new Map<string, string>()
    for (let at = 0; at + 1 < texts.length; at += 2) {
      pairs.set(texts[at] as string, texts[at + 1] as string)
    }
    check(pairs)
  }

/** Reads an SSLRequest, a GSSENCRequest or a CancelRequest (`check` gets its key). */
export const expectRequest =
  (
    kind: keyof typeof codes,
    check: (key: { processId: number; secret: Buffer }) => void = () => {},
  ): Step =>
  async ({ stream }) => {
    const { body } = await stream.next(false)
    if (body.readInt32BE(0) !== codes[kind]) throw stream.unexpected(`${kind} request`)
    if (kind === 'cancel') check({ processId: body.readInt32BE(4), secret: body.subarray(8) })
  }

/** Sends in one write, or cut as told. */
export const send =
  (bytes: Buffer | readonly Buffer[], segmentation?: Segmentation): Step =>
  ({ stream }) =>
    stream.send(Buffer.isBuffer(bytes) ? bytes : Buffer.concat([...bytes]), segmentation)

/** TLS around all that follows; goes behind `send(Buffer.from('S'))`. */
export const upgradeToTls =
  (options: TLSSocketOptions): Step =>
  (connection) =>
    connection.startTls(options)

/** Waits for a promise that the test holds: the script goes on when the test says so. */
export const holdUntil =
  (released: Promise<unknown>): Step =>
  async () => {
    await released
  }

/** Sends end-of-file. */
export const finish = (): Step => (connection) => {
  connection.stream.socket.end()
}

/** Says nothing until the client closes; fails when it sends another message. */
export const silence = (): Step => async (connection) => {
  const before = connection.received.length
  await connection.stream.untilEnd()
  if (connection.received.length > before) throw connection.stream.unexpected('no message')
}

/** Reads on, whatever comes, until the client closes. */
export const ignoreAll = (): Step => (connection) => connection.stream.untilEnd()

const usualParameters = {
  server_version: '18.4',
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  integer_datetimes: 'on',
  standard_conforming_strings: 'on',
  in_hot_standby: 'off',
  is_superuser: 'off',
  application_name: '',
}

/** What follows a good authentication: AuthenticationOk, parameters, key, ReadyForQuery. */
export const welcome = (
  options: { parameters?: Record<string, string>; processId?: number; secret?: Buffer } = {},
): Buffer =>
  Buffer.concat([
    raw.authenticationOk(),
    ...Object.entries({ ...usualParameters, ...options.parameters }).map(([name, value]) =>
      raw.parameterStatus(name, value),
    ),
    raw.backendKeyData(options.processId ?? 4711, options.secret ?? Buffer.from('0badcafe', 'hex')),
    raw.readyForQuery('I'),
  ])

/** A login that asks for nothing. */
export const trustLogin = (options: Parameters<typeof welcome>[0] = {}): Step[] => [
  expectStartup(),
  send(welcome(options)),
]

export interface HostileScram extends ScramServerOptions {
  readonly mechanisms?: readonly string[]
  /** Bend the texts on their way out. */
  readonly bendFirst?: (text: string) => string
  readonly bendFinal?: (text: string) => string
}

/** The server's side of SCRAM, up to and without AuthenticationOk; a wrong proof fails the script. */
export const scramExchange =
  (options: HostileScram): Step =>
  async (connection) => {
    const unbent = (text: string) => text
    const { bendFirst = unbent, bendFinal = unbent } = options
    const scram = new RawScramServer(options)
    const { stream } = connection
    await stream.send(raw.authenticationSasl(...(options.mechanisms ?? ['SCRAM-SHA-256'])))
    const [initial] = await connection.expect('p')
    const nameEnd = (initial as raw.RawMessage).body.indexOf(0)
    const clientFirst = (initial as raw.RawMessage).body.toString('utf8', nameEnd + 5)
    await stream.send(raw.authenticationSaslContinue(bendFirst(scram.first(clientFirst))))
    const [final] = await connection.expect('p')
    const serverFinal = scram.final((final as raw.RawMessage).body.toString())
    if (serverFinal.startsWith('e=')) throw stream.unexpected('a right proof')
    await stream.send(raw.authenticationSaslFinal(bendFinal(serverFinal)))
  }
