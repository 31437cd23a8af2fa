// Bytes that may have to be read once more, up to a bound: beyond it nothing is kept. They are in one
// piece, so that a client that sends byte by byte costs no more than its bytes; a little memory stays
// for the next time, which is the client's next transaction.

// The global `Buffer` is a getter.
import { Buffer } from 'node:buffer'
import { noBytes } from '../../shared/no-bytes.ts'

/** Of its own, as a slice of Node's pool would keep the pool alive for an idle client. */
const heldBytesMax = 256
/** Fewer are copied faster here than by a call. */
const calledBytesMin = 128

export class KeptBytes {
  #memory: Buffer = noBytes
  #length = 0
  #bytesMax = 0
  #isAny = false

  get isAny(): boolean {
    return this.#isAny
  }

  /** Begins anew, with `first` and what is in `chunk` from `from` on. */
  begin(bytesMax: number, first: Buffer, chunk: Buffer, from: number): void {
    this.#isAny = true
    this.#bytesMax = bytesMax
    this.#length = 0
    if (first.length > 0) this.append(first, 0)
    this.append(chunk, from)
  }

  append(chunk: Buffer, from: number): void {
    if (!this.#isAny) return
    const length = this.#length + chunk.length - from
    if (length > this.#bytesMax) {
      this.drop()
      return
    }
    if (length > this.#memory.length) this.#grow(length)
    this.#copy(chunk, from)
    this.#length = length
  }

  /** The last bytes come once more. */
  takeOff(bytes: number): void {
    this.#length -= bytes
  }

  drop(): void {
    this.#isAny = false
    if (this.#memory.length > heldBytesMax) this.#memory = noBytes
  }

  /** null: none are kept. */
  take(): Buffer | null {
    if (!this.#isAny) return null
    const bytes = this.#memory.subarray(0, this.#length)
    this.#isAny = false
    this.#memory = noBytes
    return bytes
  }

  #grow(length: number): void {
    const bytes = Math.max(heldBytesMax, Math.min(2 * length, this.#bytesMax))
    const grown = Buffer.allocUnsafeSlow(bytes)
    this.#memory.copy(grown, 0, 0, this.#length)
    this.#memory = grown
  }

  #copy(chunk: Buffer, from: number): void {
    const memory = this.#memory
    if (chunk.length - from >= calledBytesMin) {
      chunk.copy(memory, this.#length, from)
      return
    }
    for (let at = from, to = this.#length; at < chunk.length; at++, to++) {
      memory[to] = chunk[at] as number
    }
  }
}
