// What a server says, built whole: login answers and the few replies that Latchkey makes itself.

import { backend } from './message-types.ts'
import { MessageWriter } from './message-writer.ts'

const message = (type: number): MessageWriter => new MessageWriter().begin(type)

/** The same for all, and written into by nobody. */
const ok = message(backend.authentication).int32(0).end().take()

export const authenticationOk = (): Buffer => ok

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

/** Both have one character for each byte. */
export const parameterStatus = (name: string, value: string): Buffer =>
  message(backend.parameterStatus)
    .cstring(Buffer.from(name, 'latin1'))
    .cstring(Buffer.from(value, 'latin1'))
    .end()
    .take()

/** The secret has exactly 4 bytes for protocol 3.0, 4 to 256 for 3.2. */
export const backendKeyData = (processId: number, secret: Buffer): Buffer =>
  message(backend.backendKeyData).int32(processId).bytes(secret).end().take()

/** `status` is one of the bytes in message-types.ts. */
export const readyForQuery = (status: number): Buffer =>
  message(backend.readyForQuery).byte(status).end().take()

export interface ResultColumn {
  readonly name: string
  /** Of the type in pg_type. */
  readonly oid: number
  /** -1: of varying length. */
  readonly typeBytes: number
  readonly isBinary: boolean
}

export function rowDescription(columns: readonly ResultColumn[]): Buffer {
  const writer = message(backend.rowDescription).int16(columns.length)
  for (const { name, oid, typeBytes, isBinary } of columns) {
    // Of no table and no column of one; no type modifier.
    writer.cstring(name).int32(0).int16(0).int32(oid).int16(typeBytes).int32(-1)
    writer.int16(isBinary ? 1 : 0)
  }
  return writer.end().take()
}

export function dataRow(values: readonly (Buffer | null)[]): Buffer {
  const writer = message(backend.dataRow).int16(values.length)
  for (const value of values) {
    if (value === null) writer.int32(-1)
    else writer.int32(value.length).bytes(value)
  }
  return writer.end().take()
}

export const commandComplete = (tag: string): Buffer =>
  message(backend.commandComplete).cstring(tag).end().take()

/** ParameterDescription of a statement without parameters. */
export const noParameters = (): Buffer =>
  message(backend.parameterDescription).int16(0).end().take()

/** A message without a body: ParseComplete, NoData and their like. */
export const bare = (type: number): Buffer => message(type).end().take()

/** Newest minor version served, and the `_pq_.` options that are not known here. */
export function negotiateProtocolVersion(minor: number, options: readonly string[]): Buffer {
  const writer = message(backend.negotiateProtocolVersion)
    .int32(0x30000 | minor)
    .int32(options.length)
  for (const option of options) writer.cstring(option)
  return writer.end().take()
}
