// Cuts a byte stream into messages and reads the bodies that tests look at. The counterpart of
// raw-messages.ts; strict, because what it reads was written by the code under test.

import type { RawMessage } from './raw-messages.ts'

/** A test never needs a larger message; a wrong length shows at once instead of as a hang. */
const messageBytesMax = 512 * 1024 * 1024

/** Cuts what arrives into messages. `hasLetter` is false until a startup packet has been read. */
export class MessageCutter {
  #pending: Buffer[] = []
  #pendingBytes = 0

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.length
  }

  /** Bytes that no message has claimed yet. */
  get restBytes(): number {
    return this.#pendingBytes
  }

  /** The next whole message, or null when more bytes are needed. */
  next(hasLetter = true): RawMessage | null {
    const letterBytes = hasLetter ? 1 : 0
    if (this.#pendingBytes < letterBytes + 4) return null
    const head = this.#peek(letterBytes + 4)
    const length = head.readUInt32BE(letterBytes)
    if (length < 4 || length > messageBytesMax) {
      throw new Error(`message header ${head.toString('hex')} has length ${length}`)
    }
    if (this.#pendingBytes < letterBytes + length) return null
    const bytes = this.take(letterBytes + length)
    return {
      type: hasLetter ? bytes.toString('latin1', 0, 1) : '',
      body: bytes.subarray(letterBytes + 4),
    }
  }

  /** Takes bytes without cutting, for the one-byte answer to SSLRequest and for a proxy. */
  take(count = this.#pendingBytes): Buffer {
    this.#peek(count)
    const first = this.#pending[0] ?? Buffer.alloc(0)
    const taken = first.subarray(0, count)
    this.#pendingBytes -= taken.length
    if (taken.length === first.length) this.#pending.shift()
    else this.#pending[0] = first.subarray(count)
    return taken
  }

  /** Joins as many chunks as `count` bytes need; each byte is joined once per message at most. */
  #peek(count: number): Buffer {
    const first = this.#pending[0] ?? Buffer.alloc(0)
    if (first.length >= count) return first.subarray(0, count)
    const joined = Buffer.concat(this.#pending)
    this.#pending = [joined]
    return joined.subarray(0, count)
  }
}

/** The letters of a list of messages, for comparing whole conversations at a glance. */
export const typesOf = (messages: readonly RawMessage[]): string =>
  messages.map(({ type }) => type).join('')

/** Splits at zero bytes, leaving out the last, empty part. */
export function cstringsOf(body: Buffer): string[] {
  const texts = body.toString().split('\0')
  return texts.slice(0, texts.length - 1)
}

/** Fields of an ErrorResponse or NoticeResponse by letter (C is the SQLSTATE, M the text). */
export function errorFields(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const text of cstringsOf(body)) {
    if (text !== '') fields[text.slice(0, 1)] = text.slice(1)
  }
  return fields
}

/** Columns of a DataRow as text. */
export function rowValues(body: Buffer): (string | null)[] {
  const values: (string | null)[] = []
  let at = 2
  for (let column = body.readUInt16BE(0); column > 0; column -= 1) {
    const length = body.readInt32BE(at)
    at += 4
    values.push(length < 0 ? null : body.toString('utf8', at, at + length))
    at += Math.max(0, length)
  }
  if (at !== body.length) throw new Error(`DataRow of ${body.length} bytes ends at ${at}`)
  return values
}

/** All rows in a list of messages. */
export const rowsOf = (messages: readonly RawMessage[]): (string | null)[][] =>
  messages.filter(({ type }) => type === 'D').map(({ body }) => rowValues(body))

/** A short line that tells what a message says, for failure texts. */
export function describeReply({ type, body }: RawMessage): string {
  switch (type) {
    case 'E':
    case 'N': {
      const fields = errorFields(body)
      return `${type}(${fields.S} ${fields.C} ${fields.M})`
    }
    case 'Z':
      return `Z(${body.toString('latin1')})`
    case 'C':
    case 'S':
      return `${type}(${cstringsOf(body).join('=')})`
    case 'D':
      return body.length > 200 ? `D(${body.length} bytes)` : `D(${rowValues(body).join(',')})`
    case 'R':
      return `R(${body.readInt32BE(0)})`
    default:
      return type
  }
}
