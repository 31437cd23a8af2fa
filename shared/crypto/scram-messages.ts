// The grammar that both sides of a SCRAM exchange share (RFC 5802 section 7). Texts are handled as
// latin1, one character per byte, so that what is signed is what was on the wire, byte for byte.
import { pooledRandomBytes } from './random-pool.ts'

export const scramSha256 = 'SCRAM-SHA-256'
export const scramSha256Plus = 'SCRAM-SHA-256-PLUS'
export type ScramMechanism = typeof scramSha256 | typeof scramSha256Plus

/** Postgres' own limit for a SASL message from a client (libpq/auth-sasl.h); bounds nonces too. */
export const scramMessageBytesMax = 1024

/** The peer broke the protocol of the exchange. Its text may be shown and holds nothing secret. */
export class ScramError extends Error {
  override readonly name = 'ScramError'
}

export interface Attribute {
  readonly name: string
  readonly value: string
}

export function decodeMessage(message: Buffer): string {
  if (message.length > scramMessageBytesMax) {
    throw new ScramError(`SCRAM message of ${message.length} bytes is too long`)
  }
  const text = message.toString('latin1')
  if (text.includes('\0')) throw new ScramError('SCRAM message holds a NUL')
  return text
}

export const encodeMessage = (text: string): Buffer => Buffer.from(text, 'latin1')

/** `n=user,r=nonce` and the like. A mandatory extension ends the exchange: none is known here. */
export function readAttributes(text: string): Attribute[] {
  return text.split(',').map((part) => {
    if (!/^[A-Za-z]=/.test(part)) throw new ScramError('malformed SCRAM attribute')
    if (part.startsWith('m=')) throw new ScramError('SCRAM extension is not supported')
    return { name: part[0] as string, value: part.slice(2) }
  })
}

/** The value of the attribute at this place, which must have this name. */
export function valueAt(attributes: readonly Attribute[], index: number, name: string): string {
  const attribute = attributes[index]
  if (attribute?.name !== name) throw new ScramError(`SCRAM attribute "${name}" was expected`)
  return attribute.value
}

/** Printable ASCII without the comma, at least one character. */
export const isNonce = (text: string): boolean => /^[\x21-\x2b\x2d-\x7e]+$/.test(text)

/** 144 random bits, as many as Postgres uses. */
export const newNonce = (): string => pooledRandomBytes(18).toString('base64')

export function xor(left: Buffer, right: Buffer): Buffer {
  const result = Buffer.alloc(left.length)
  for (let at = 0; at < left.length; at++) {
    result[at] = (left[at] as number) ^ (right[at] as number)
  }
  return result
}
