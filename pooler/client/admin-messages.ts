// Messages of a client at the console, read whole: names and texts of the extended protocol.
import { PoolerError } from '../../shared/errors.ts'
import { refused } from '../pool/command-refusal.ts'

/** Reads one message's body from front to end. */
export class BodyReader {
  readonly #body: Buffer
  #at = 0

  constructor(body: Buffer) {
    this.#body = body
  }

  byte(): number {
    return this.#take(1).readUInt8()
  }

  int16(): number {
    return this.#take(2).readUInt16BE()
  }

  int32(): number {
    return this.#take(4).readInt32BE()
  }

  text(): string {
    const end = this.#body.indexOf(0, this.#at)
    if (end === -1) throw malformed()
    const text = this.#body.toString('utf8', this.#at, end)
    this.#at = end + 1
    return text
  }

  #take(bytes: number): Buffer {
    if (this.#body.length - this.#at < bytes) throw malformed()
    this.#at += bytes
    return this.#body.subarray(this.#at - bytes, this.#at)
  }
}

export interface BindMessage {
  readonly portal: string
  readonly statement: string
  /** One for each column, one for all, or none: text. */
  readonly resultFormats: readonly number[]
}

/** Throws EADMINCOMMAND for parameters, since no command has any, and EPROTOCOL for what is cut short. */
export function readBind(body: Buffer): BindMessage {
  const reader = new BodyReader(body)
  const portal = reader.text()
  const statement = reader.text()
  for (let formats = reader.int16(); formats > 0; formats--) reader.int16()
  if (reader.int16() > 0) {
    throw refused('commands take no parameters')
  }
  const resultFormats: number[] = []
  for (let formats = reader.int16(); formats > 0; formats--) resultFormats.push(reader.int16())
  return { portal, statement, resultFormats }
}

const malformed = (): PoolerError =>
  new PoolerError('EPROTOCOL', { values: { reason: 'a message is shorter than what it holds' } })
