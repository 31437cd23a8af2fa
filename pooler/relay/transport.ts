// One socket as the relay sees it: bytes in, bytes out, and whether the other end keeps up.
// Knows nothing of messages. TLS and plain sockets look the same from here.
import type { Socket } from 'node:net'
import type { Clock } from '../../shared/clock.ts'
import { lingerMs } from '../config/limits.ts'

export interface TransportReader {
  onTransportData(chunk: Buffer): void
  /** What was queued has left; only after `write` or `flush` said false. */
  onTransportDrain(): void
  /** Once, last. The other end closed, reset, or was destroyed by us. */
  onTransportClosed(cause: Error | null): void
  /** A bug of ours met what came in: the connection must end, the process must not. */
  onTransportFault(error: unknown): void
}

/** Queued bytes above which `write` says false and the caller stops its source. */
export const sendQueueBytesMax = 256 * 1024

export class Transport {
  readonly #socket: Socket
  #reader: TransportReader
  #cause: Error | null = null
  #isBlocked = false
  #isReading = true
  #isHeld = false

  /** Takes over a socket that nobody reads any more. Starts reading at once. */
  constructor(socket: Socket, reader: TransportReader) {
    this.#socket = socket
    this.#reader = reader
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.#onDrain())
    socket.on('error', (error) => {
      this.#cause = error
    })
    socket.on('close', () => this.#guard(() => this.#reader.onTransportClosed(this.#cause)))
    socket.resume()
  }

  /** Bytes handed in that the kernel has not taken yet. */
  get queuedBytes(): number {
    return this.#socket.writableLength
  }

  /** As queuedBytes, with what the kernel refused so far of the write under way: shrinks with every byte taken. */
  get untakenBytes(): number {
    const handle = (this.#socket as Socket & { _handle?: { writeQueueSize?: number } })._handle
    return this.#socket.writableLength + (handle?.writeQueueSize ?? 0)
  }

  /** All that has come so far. */
  get bytesRead(): number {
    return this.#socket.bytesRead
  }

  get isBlocked(): boolean {
    return this.#isBlocked
  }

  get isReading(): boolean {
    return this.#isReading
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable
  }

  setReader(reader: TransportReader): void {
    this.#reader = reader
  }

  /** Queues bytes; false when more than sendQueueBytesMax wait, then onTransportDrain follows. */
  write(chunk: Buffer): boolean {
    if (!this.#socket.writable) return true
    this.#socket.write(chunk)
    if (this.#socket.writableLength > sendQueueBytesMax) this.#isBlocked = true
    return !this.#isBlocked
  }

  /** Between `hold` and `release` everything written leaves in one system call. */
  hold(): void {
    if (this.#isHeld) return
    this.#isHeld = true
    this.#socket.cork()
  }

  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#socket.uncork()
  }

  pause(): void {
    if (!this.#isReading) return
    this.#isReading = false
    this.#socket.pause()
  }

  resume(): void {
    if (this.#isReading) return
    this.#isReading = true
    this.#socket.resume()
  }

  /** Sends what is queued and then our end of the stream; reading goes on. */
  end(): void {
    this.#socket.end()
  }

  /**
   * The end: last words, and in order where that makes sense, so that they arrive; what still comes is
   * read and thrown away by then.
   */
  close(lastWords: Buffer | null, isOrderly: boolean, clock: Clock): void {
    if (lastWords !== null) this.write(lastWords)
    this.resume()
    if (isOrderly && this.isOpen) {
      this.end()
      clock.after(lingerMs, () => this.destroy())
    } else {
      this.destroy()
    }
  }

  destroy(cause?: Error): void {
    this.#socket.destroy(cause)
  }

  #onData(chunk: Buffer): void {
    try {
      this.#reader.onTransportData(chunk)
    } catch (error) {
      this.#reader.onTransportFault(error)
    }
  }

  /** Cold: a closure here costs nothing that counts. */
  #guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#reader.onTransportFault(error)
    }
  }

  #onDrain(): void {
    if (!this.#isBlocked) return
    this.#isBlocked = false
    this.#guard(() => this.#reader.onTransportDrain())
  }
}
