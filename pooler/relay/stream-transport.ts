// A transport on Node's public streams: TLS and plain sockets look the same from here.
import type { Socket } from 'node:net'
import { kept } from './read-memory.ts'
import { sendQueueBytesMax, type Transport, type TransportReader } from './transport.ts'
import {
  flushAtTurnEnd,
  isTurnOpen,
  tellClosed,
  tellData,
  tellDrain,
  tellEnd,
} from './write-turn.ts'

export class StreamTransport implements Transport {
  readonly #socket: Socket
  #reader: TransportReader
  #cause: Error | null = null
  #isBlocked = false
  #isReading = true
  #isHeld = false
  /** Written in this turn and not flushed. */
  #isDirty = false

  constructor(socket: Socket, reader: TransportReader) {
    this.#socket = socket
    this.#reader = reader
    // Else Node ends our side with theirs.
    socket.allowHalfOpen = true
    socket.on('data', (chunk: Buffer) => tellData(this.#reader, chunk))
    socket.on('drain', () => this.#onDrain())
    socket.on('end', () => {
      if (!tellEnd(this.#reader)) socket.end()
    })
    socket.on('error', (error) => {
      this.#cause = error
    })
    socket.on('close', () => tellClosed(this.#reader, this.#cause))
    socket.resume()
  }

  get untakenBytes(): number {
    const handle = (this.#socket as Socket & { _handle?: { writeQueueSize?: number } })._handle
    return this.#socket.writableLength + (handle?.writeQueueSize ?? 0)
  }

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

  write(chunk: Buffer): boolean {
    if (!this.#socket.writable) return true
    if (!this.#isDirty && isTurnOpen()) {
      this.#isDirty = true
      this.#socket.cork()
      flushAtTurnEnd(this)
    }
    this.#socket.write(kept(chunk))
    if (this.#socket.writableLength > sendQueueBytesMax) this.#isBlocked = true
    return !this.#isBlocked
  }

  flush(): void {
    if (!this.#isDirty) return
    this.#isDirty = false
    this.#socket.uncork()
  }

  hold(): void {
    if (this.#isHeld || isTurnOpen()) return
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

  end(): void {
    this.flush()
    this.#socket.end()
  }

  destroy(cause?: Error): void {
    this.flush()
    this.#socket.destroy(cause)
  }

  #onDrain(): void {
    if (!this.#isBlocked) return
    this.#isBlocked = false
    tellDrain(this.#reader)
  }
}

export const openStreamTransport = (socket: Socket, reader: TransportReader): Transport =>
  new StreamTransport(socket, reader)
