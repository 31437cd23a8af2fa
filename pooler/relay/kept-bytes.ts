// Bytes that may have to be read once more, up to a bound: beyond it nothing is kept. They are in one
// piece, so that a client that sends byte by byte costs no more than its bytes.

export class KeptBytes {
  #bytes: Buffer | null = null
  #length = 0
  #bytesMax = 0

  get isAny(): boolean {
    return this.#bytes !== null
  }

  begin(bytesMax: number, first: Buffer, rest: Buffer): void {
    this.#bytesMax = bytesMax
    this.#length = 0
    this.#bytes = Buffer.allocUnsafe(Math.min(first.length + rest.length, bytesMax))
    this.append(first)
    this.append(rest)
  }

  append(chunk: Buffer): void {
    if (this.#bytes === null) return
    const length = this.#length + chunk.length
    if (length > this.#bytesMax) {
      this.drop()
      return
    }
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.min(2 * length, this.#bytesMax))
      this.#bytes.copy(grown, 0, 0, this.#length)
      this.#bytes = grown
    }
    chunk.copy(this.#bytes, this.#length)
    this.#length = length
  }

  /** The last bytes come once more. */
  takeOff(bytes: number): void {
    this.#length -= bytes
  }

  drop(): void {
    this.#bytes = null
  }

  /** null: none are kept. */
  take(): Buffer | null {
    const bytes = this.#bytes
    this.#bytes = null
    return bytes === null ? null : bytes.subarray(0, this.#length)
  }
}
