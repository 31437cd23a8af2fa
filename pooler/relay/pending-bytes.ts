// What a client has sent and nobody has looked at yet, because an earlier message of its own waits.
import { pendingBytesMax } from '../config/limits.ts'
import { kept } from './read-memory.ts'

export class PendingBytes {
  #bytes: Buffer | null = null

  get isEmpty(): boolean {
    return this.#bytes === null
  }

  /** So much that the client is not read any more. */
  get isFull(): boolean {
    return this.#bytes !== null && this.#bytes.length > pendingBytesMax
  }

  append(chunk: Buffer): void {
    this.#bytes = this.#bytes === null ? kept(chunk) : Buffer.concat([this.#bytes, chunk])
  }

  /** With these bytes in front. */
  takeBehind(before: Buffer | null): Buffer | null {
    const bytes = this.take()
    if (before === null || bytes === null) return before ?? bytes
    return Buffer.concat([before, bytes])
  }

  take(): Buffer | null {
    const bytes = this.#bytes
    this.#bytes = null
    return bytes
  }
}
