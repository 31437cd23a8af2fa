// Whole messages, for the cold path only: logging in, auth query, reset. The relay never uses it.
import { PoolerError } from '../errors.ts'
import { noBytes } from '../no-bytes.ts'

export interface WholeMessage {
  readonly type: number
  readonly body: Buffer
}

export interface MessageReaderOptions {
  /** A larger body is refused before memory is taken for it. */
  readonly bodyBytesMax: number
}

export class MessageReader {
  readonly #bodyBytesMax: number
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(options: MessageReaderOptions) {
    this.#bodyBytesMax = options.bodyBytesMax
  }

  /** Adds what was read from the socket; it is kept until `next` or `takeRest` give it out. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
  }

  /** The type of the next message, as soon as its first byte is here. */
  get nextType(): number | null {
    return this.#held[0]?.[0] ?? null
  }

  /**
   * The next whole message, or null when more bytes are needed. The body stays valid.
   * Throws PoolerError: EPROTOCOL for a length below 4, EMESSAGETOOLARGE over the limit.
   */
  next(): WholeMessage | null {
    if (this.#heldBytes < 5) return null
    if ((this.#held[0] as Buffer).length < 5) this.#join()
    const head = this.#held[0] as Buffer
    const type = head[0] as number
    const bodyBytes = head.readUInt32BE(1) - 4
    if (bodyBytes < 0) {
      throw new PoolerError('EPROTOCOL', { values: { reason: 'message length below 4' } })
    }
    if (bodyBytes > this.#bodyBytesMax) {
      const what =
        type >= 0x20 && type < 0x7f ? String.fromCharCode(type) : `0x${type.toString(16)}`
      throw new PoolerError('EMESSAGETOOLARGE', {
        values: { what, bytes: bodyBytes, limit: this.#bodyBytesMax },
      })
    }
    if (this.#heldBytes < bodyBytes + 5) return null
    if (head.length < bodyBytes + 5) this.#join()
    const whole = this.#held[0] as Buffer
    const body = whole.subarray(5, 5 + bodyBytes)
    this.#held[0] = whole.subarray(5 + bodyBytes)
    this.#heldBytes -= bodyBytes + 5
    if (this.#held[0].length === 0) this.#held.shift()
    return { type, body }
  }

  /** Everything that no message has taken yet; the reader is empty afterwards. */
  takeRest(): Buffer {
    this.#join()
    const rest = this.#held[0] ?? noBytes
    this.#held = []
    this.#heldBytes = 0
    return rest
  }

  #join(): void {
    if (this.#held.length > 1) this.#held = [Buffer.concat(this.#held, this.#heldBytes)]
  }
}
