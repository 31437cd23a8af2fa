// Reads a client between AuthenticationOk and the relay, while it may wait for a server: keeps what
// comes, up to a bound, and notices when it leaves.
import type { Socket } from 'node:net'
import { noBytes } from '../../shared/no-bytes.ts'
import { kept } from '../relay/read-memory.ts'
import type { OpenTransport, Transport, TransportReader } from '../relay/transport.ts'

/** Clients send little before ReadyForQuery; one that sends more is not read until it has a server. */
const keptBytesMax = 64 * 1024

export class LoginTail implements TransportReader {
  readonly transport: Transport
  #kept: Buffer[] = []
  #keptBytes = 0
  #isGone = false
  #onGone: (() => void) | null = null

  /** `rest` came behind the password. */
  constructor(socket: Socket, rest: Buffer, openTransport: OpenTransport) {
    this.#keep(rest)
    this.transport = openTransport(socket, this)
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** Called once when the client leaves; null takes the call back. */
  set onGone(call: (() => void) | null) {
    this.#onGone = call
  }

  onTransportData(chunk: Buffer): void {
    this.#keep(chunk)
    if (this.#keptBytes > keptBytesMax) this.transport.pause()
  }

  onTransportDrain(): void {}

  onTransportClosed(): void {
    this.#isGone = true
    this.#onGone?.()
  }

  onTransportFault(): void {
    this.transport.destroy()
  }

  /** All that came; reading goes on for the transport's next owner. */
  take(): Buffer {
    const kept = this.#keptBytes === 0 ? noBytes : Buffer.concat(this.#kept)
    this.#kept = []
    this.#keptBytes = 0
    this.transport.resume()
    return kept
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#kept.push(kept(bytes))
    this.#keptBytes += bytes.length
  }
}
