// Builds messages into one growing buffer. Cold path, and frames that are made once and kept.

export class MessageWriter {
  #buffer = Buffer.allocUnsafe(256)
  #at = 0
  #lengthAt = 0

  /** Starts a message; 0 starts a packet without type byte, as before login. */
  begin(type: number): this {
    this.#reserve(5)
    if (type !== 0) this.#buffer[this.#at++] = type
    this.#lengthAt = this.#at
    this.#at += 4
    return this
  }

  byte(value: number): this {
    this.#reserve(1)
    this.#buffer[this.#at++] = value
    return this
  }

  int16(value: number): this {
    this.#reserve(2)
    this.#at = this.#buffer.writeUInt16BE(value & 0xffff, this.#at)
    return this
  }

  int32(value: number): this {
    this.#reserve(4)
    this.#at = this.#buffer.writeInt32BE(value | 0, this.#at)
    return this
  }

  bytes(value: Buffer): this {
    this.#reserve(value.length)
    this.#at += value.copy(this.#buffer, this.#at)
    return this
  }

  /** The text and a NUL. The text must hold none itself. */
  cstring(text: string | Buffer): this {
    return this.bytes(typeof text === 'string' ? Buffer.from(text) : text).byte(0)
  }

  /** Closes the message that `begin` opened by writing its length. */
  end(): this {
    this.#buffer.writeInt32BE(this.#at - this.#lengthAt, this.#lengthAt)
    return this
  }

  /** All finished messages as one buffer of its own; the writer is empty afterwards. */
  take(): Buffer {
    const taken = Buffer.from(this.#buffer.subarray(0, this.#at))
    this.#at = 0
    return taken
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes))
    this.#buffer.copy(grown, 0, 0, this.#at)
    this.#buffer = grown
  }
}
