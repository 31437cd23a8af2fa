// What a client has sent and nobody has looked at yet, because an earlier message of its own waits.

import { frontend, headerBytes } from '../../shared/protocol/message-types.ts'
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

  /** Whether Terminate is the last of them. They begin with a whole message; else it is taken for none. */
  get endsWithTerminate(): boolean {
    const bytes = this.#bytes
    if (bytes === null) return false
    let last = 0
    for (let at = 0; at < bytes.length; ) {
      if (at + headerBytes > bytes.length) return false
      last = at
      // The length counts itself; one that is not legal leads nowhere.
      at += 1 + bytes.readUInt32BE(at + 1)
      if (at > bytes.length) return false
    }
    return bytes[last] === frontend.terminate
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
