// What a client says, built whole: logins to servers, cancels, resets, auxiliary queries.

import { frontend } from './message-types.ts'
import { MessageWriter } from './message-writer.ts'

const message = (type: number): MessageWriter => new MessageWriter().begin(type)

/** StartupMessage of protocol 3.0 with exactly these parameters, in this order. */
export function startupMessage(parameters: ReadonlyMap<string, string>): Buffer {
  const writer = message(0).int32(0x30000)
  for (const [name, value] of parameters) writer.cstring(name).cstring(value)
  return writer.byte(0).end().take()
}

export const sslRequest = (): Buffer => message(0).int32(80877103).end().take()

export const cancelRequest = (processId: number, secret: Buffer): Buffer =>
  message(0).int32(80877102).int32(processId).bytes(secret).end().take()

export const query = (sql: string): Buffer => message(frontend.query).cstring(sql).end().take()

export const passwordMessage = (text: string | Buffer): Buffer =>
  message(frontend.password).cstring(text).end().take()

export const saslInitialResponse = (mechanism: string, data: Buffer): Buffer =>
  message(frontend.password).cstring(mechanism).int32(data.length).bytes(data).end().take()

export const saslResponse = (data: Buffer): Buffer =>
  message(frontend.password).bytes(data).end().take()

export const sync = (): Buffer => message(frontend.sync).end().take()

export const terminate = (): Buffer => message(frontend.terminate).end().take()

/** Parse, Bind, Execute of one statement in text format through the unnamed statement and portal. */
export function extendedQuery(sql: string, parameters: readonly string[]): Buffer {
  const writer = message(frontend.parse).byte(0).cstring(sql).int16(0).end()
  writer.begin(frontend.bind).byte(0).byte(0).int16(0).int16(parameters.length)
  for (const parameter of parameters) {
    const bytes = Buffer.from(parameter)
    writer.int32(bytes.length).bytes(bytes)
  }
  writer.int16(0).end()
  return writer.begin(frontend.execute).byte(0).int32(0).end().take()
}
