// Bytes as clients send them, for the tests of the start of a connection.

import { cstring, int32 } from '../../support/raw-messages.ts'

export type Pair = readonly [name: string | Buffer, value: string | Buffer]

/** A packet with its right length; `version` is major * 65536 + minor. */
export function packet(version: number, body: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([int32(8 + body.length), int32(version), body])
}

export function pairs(list: readonly Pair[]): Buffer {
  return Buffer.concat(list.flatMap(([name, value]) => [cstring(name), cstring(value)]))
}

export function startup(list: readonly Pair[], version = 0x30000): Buffer {
  return packet(version, Buffer.concat([pairs(list), Buffer.of(0)]))
}

export const sslRequest = packet(80877103)
export const gssencRequest = packet(80877104)

export function cancel(processId: number, secret: Buffer): Buffer {
  return packet(80877102, Buffer.concat([int32(processId), secret]))
}
