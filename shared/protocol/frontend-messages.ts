// What a client says, built whole: logins to servers, cancels, resets, auxiliary queries. pg-protocol
// builds them; what it does not know (protocol 3.0 without client_encoding, SASL data as bytes,
// cancel secrets of any length) is built here.
import { serialize } from 'pg-protocol'
import { frontend } from './message-types.ts'
import { MessageWriter } from './message-writer.ts'

const message = (type: number): MessageWriter => new MessageWriter().begin(type)

/** StartupMessage of protocol 3.0 with exactly these parameters, in this order. */
export function startupMessage(parameters: ReadonlyMap<string, string>): Buffer {
  const writer = message(0).int32(0x30000)
  for (const [name, value] of parameters) writer.cstring(name).cstring(value)
  return writer.byte(0).end().take()
}

export const sslRequest = (): Buffer => serialize.requestSsl()

export const cancelRequest = (processId: number, secret: Buffer): Buffer =>
  message(0).int32(80877102).int32(processId).bytes(secret).end().take()

export const query = (sql: string): Buffer => serialize.query(sql)

export const passwordMessage = (text: string): Buffer => serialize.password(text)

export const saslInitialResponse = (mechanism: string, data: Buffer): Buffer =>
  message(frontend.password).cstring(mechanism).int32(data.length).bytes(data).end().take()

export const saslResponse = (data: Buffer): Buffer =>
  message(frontend.password).bytes(data).end().take()

export const sync = (): Buffer => serialize.sync()

export const flush = (): Buffer => serialize.flush()

export const terminate = (): Buffer => serialize.end()

/** Bind, Execute and Close of a portal to a prepared statement, in text format. */
export const portalRun = (
  statement: string,
  portal: string,
  parameters: readonly string[],
): Buffer =>
  Buffer.concat([
    serialize.bind({ statement, portal, values: [...parameters] }),
    serialize.execute({ portal }),
    serialize.close({ type: 'P', name: portal }),
  ])

/** As extendedQuery, and the unnamed portal stays: through one with a name, which is closed. */
export const portalQuery = (sql: string, parameters: readonly string[]): Buffer =>
  Buffer.concat([serialize.parse({ text: sql }), portalRun('', 'lk_own', parameters)])

/** Parse, Bind, Execute of one statement in text format through the unnamed statement and portal. */
export const extendedQuery = (sql: string, parameters: readonly string[]): Buffer =>
  Buffer.concat([
    serialize.parse({ text: sql }),
    serialize.bind({ values: [...parameters] }),
    serialize.execute(),
  ])
