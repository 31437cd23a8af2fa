// What a server says, built whole: login answers and the few replies that Latchkey makes itself.

import { backend } from './message-types.ts'
import { MessageWriter } from './message-writer.ts'

const message = (type: number): MessageWriter => new MessageWriter().begin(type)

export const authenticationOk = (): Buffer => message(backend.authentication).int32(0).end().take()

export const authenticationCleartext = (): Buffer =>
  message(backend.authentication).int32(3).end().take()

/** AuthenticationSASL: the mechanisms in order of preference. */
export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  const writer = message(backend.authentication).int32(10)
  for (const mechanism of mechanisms) writer.cstring(mechanism)
  return writer.byte(0).end().take()
}

export const authenticationSaslContinue = (data: Buffer): Buffer =>
  message(backend.authentication).int32(11).bytes(data).end().take()

export const authenticationSaslFinal = (data: Buffer): Buffer =>
  message(backend.authentication).int32(12).bytes(data).end().take()

export const parameterStatus = (name: string, value: string): Buffer =>
  message(backend.parameterStatus).cstring(name).cstring(value).end().take()

/** The secret has exactly 4 bytes for protocol 3.0, 4 to 256 for 3.2. */
export const backendKeyData = (processId: number, secret: Buffer): Buffer =>
  message(backend.backendKeyData).int32(processId).bytes(secret).end().take()

/** `status` is one of the bytes in message-types.ts. */
export const readyForQuery = (status: number): Buffer =>
  message(backend.readyForQuery).byte(status).end().take()

/** Newest minor version served, and the `_pq_.` options that are not known here. */
export function negotiateProtocolVersion(minor: number, options: readonly string[]): Buffer {
  const writer = message(backend.negotiateProtocolVersion)
    .int32(0x30000 | minor)
    .int32(options.length)
  for (const option of options) writer.cstring(option)
  return writer.end().take()
}
