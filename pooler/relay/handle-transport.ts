// A transport on the TCP handle itself, past the streams: no chunk is allocated for a read, nothing
// is deferred to a tick, and a write that the kernel takes at once leaves nothing behind. The
// `net.Socket` stays the owner: ends, errors and destruction go through it as always.
//
//   read:   kernel → sharedMemory, or #bulk → reader
//   write:  pieces → a region of the arena → kernel, at the turn's end
//
// Measured with pgbench -S against the streams: see DECISIONS.md, "Below the streams".
import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import {
  bulkBytesMin,
  isShared,
  kept,
  lend,
  readBytesMax,
  sharedBytes,
  sharedMemory,
  takeBackLent,
} from './read-memory.ts'
import { StreamTransport } from './stream-transport.ts'
import {
  type HandleOwner,
  lastReadCount,
  streamBinding,
  type TcpHandle,
  tcpHandleOf,
  transportOf,
  type WriteRequest,
  wasLastWriteAsync,
} from './tcp-handle.ts'
import { sendQueueBytesMax, type Transport, type TransportReader } from './transport.ts'
import { WriteArena } from './write-arena.ts'
import {
  flushAtTurnEnd,
  flushWaiting,
  isTurnOpen,
  tellClosed,
  tellData,
  tellDrain,
  tellEnd,
} from './write-turn.ts'

/** Below which the source of a blocked transport goes on. */
const sendQueueBytesLow = 64 * 1024
/** Reads up to this size find their view of the shared memory ready-made. */
const viewBytesMax = 4096
/** As long as it will ever be: V8 keeps an array that grows by leaps as a hash table. */
const readViews: (Buffer | null)[] = new Array(viewBytesMax + 1).fill(null)
const arena = new WriteArena()

/** A write that the kernel takes at once uses its request up not at all: there is one for all. */
let spareRequest: WriteRequest | null = null

function takeRequest(): WriteRequest {
  if (spareRequest !== null) return spareRequest
  const request = new (streamBinding as NonNullable<typeof streamBinding>).WriteWrap()
  request.oncomplete = onWritten
  spareRequest = request
  return request
}

function onWritten(this: WriteRequest, status: number): void {
  this.handle?.[transportOf]?.onHandleWritten(this, status)
}

function onRead(this: TcpHandle): Buffer | undefined {
  return this[transportOf]?.onHandleRead(lastReadCount())
}

function viewOfShared(bytes: number): Buffer {
  if (bytes > viewBytesMax) return sharedMemory.subarray(0, bytes)
  readViews[bytes] ??= sharedMemory.subarray(0, bytes)
  return readViews[bytes]
}

export class HandleTransport implements Transport, HandleOwner {
  readonly #socket: Socket
  readonly #handle: TcpHandle
  readonly #onEnd: TcpHandle['onread']
  #reader: TransportReader
  #cause: Error | null = null
  #isBlocked = false
  #isReading = true
  #isHeld = false
  /** The other end has hung up; what it said before that is still being read. */
  #isHungUp = false
  /** All that the other end said has been read. */
  #hasReadEnd = false
  /** Ended, destroyed or hung up: nothing more is written. The socket's own answer is four getters deep. */
  #isShut = false
  /** Where this transport's open region begins, and in which arena. */
  #from = 0
  #memory: Buffer | null = null
  #regionBytes = 0
  /** Of writes that the kernel has not taken in full. */
  #queuedBytes = 0
  /** Memory of its own to read into, while there is much to read. */
  #bulk: Buffer | null = null

  constructor(socket: Socket, handle: TcpHandle, reader: TransportReader) {
    this.#socket = socket
    this.#handle = handle
    this.#reader = reader
    this.#onEnd = handle.onread
    handle[transportOf] = this
    handle.useUserBuffer(sharedMemory)
    handle.onread = onRead
    // Else Node ends our side with theirs.
    socket.allowHalfOpen = true
    socket.on('error', (error) => {
      this.#cause = error
      this.#isShut = true
    })
    socket.on('end', () => this.#onReadEnd())
    socket.on('close', () => {
      this.#isShut = true
      tellClosed(this.#reader, this.#cause)
    })
    // Flowing, so that the end of the stream is told; nothing else ever comes through it.
    socket.resume()
    this.#readStart()
  }

  get untakenBytes(): number {
    return this.#regionBytes + (this.#socket.destroyed ? 0 : this.#handle.writeQueueSize)
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
    return !this.#isShut
  }

  setReader(reader: TransportReader): void {
    this.#reader = reader
  }

  write(chunk: Buffer): boolean {
    if (this.#isShut) return true
    const bytes = chunk.length
    if (bytes >= bulkBytesMin) {
      this.flush()
      this.#send(isShared(chunk) ? Buffer.from(chunk) : chunk)
    } else if (bytes > 0) {
      this.#append(chunk, bytes)
      if (!this.#isHeld && !isTurnOpen()) this.flush()
    }
    if (this.#queuedBytes + this.#regionBytes > sendQueueBytesMax) this.#isBlocked = true
    return !this.#isBlocked
  }

  flush(): void {
    const bytes = this.#regionBytes
    if (bytes === 0) return
    this.#regionBytes = 0
    const memory = this.#memory as Buffer
    // An idle transport must not keep an arena that has been replaced.
    this.#memory = null
    const view = arena.view(memory, this.#from, this.#from + bytes)
    arena.close()
    if (!this.#isShut) this.#send(view)
  }

  hold(): void {
    if (!isTurnOpen()) this.#isHeld = true
  }

  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    if (!isTurnOpen()) this.flush()
  }

  pause(): void {
    if (!this.#isReading) return
    this.#isReading = false
    if (this.#isHungUp) this.#socket.destroy()
    else this.#readStop()
  }

  resume(): void {
    if (this.#isReading) return
    this.#isReading = true
    this.#readStart()
  }

  end(): void {
    this.flush()
    this.#isShut = true
    this.#socket.end()
  }

  destroy(cause?: Error): void {
    this.flush()
    this.#isShut = true
    this.#socket.destroy(cause)
  }

  /** Returns the memory for the next reads where it changes. */
  onHandleRead(byteCount: number): Buffer | undefined {
    // The end of the stream and errors are the socket's business.
    if (byteCount < 0) return this.#onEnd.call(this.#handle, undefined)
    if (byteCount === 0) return undefined
    // Node may have started to read again, when the socket was set to flow.
    if (!this.#isReading) this.#readStop()
    const bulk = this.#bulk
    lend(bulk === null ? sharedBytes : bulk.buffer)
    tellData(this.#reader, bulk === null ? viewOfShared(byteCount) : bulk.subarray(0, byteCount))
    return this.#nextMemory(byteCount, takeBackLent())
  }

  onHandleWritten(request: WriteRequest, status: number): void {
    this.#queuedBytes -= request.buffer?.length ?? 0
    request.buffer = null
    request.handle = null
    if (this.#socket.destroyed) return
    if (status < 0) {
      this.#onWriteFailed(errorOf(status, 'write'))
      return
    }
    if (!this.#isBlocked || this.#queuedBytes > sendQueueBytesLow) return
    this.#isBlocked = false
    tellDrain(this.#reader)
  }

  #onReadEnd(): void {
    this.#hasReadEnd = true
    if (tellEnd(this.#reader)) return
    this.#isShut = true
    this.#socket.end()
  }

  #nextMemory(byteCount: number, isKept: boolean): Buffer | undefined {
    if (this.#bulk === null) {
      if (byteCount < bulkBytesMin) return undefined
      this.#bulk = Buffer.allocUnsafeSlow(readBytesMax)
      return this.#bulk
    }
    if (byteCount < bulkBytesMin) {
      this.#bulk = null
      return sharedMemory
    }
    if (!isKept) return undefined
    this.#bulk = Buffer.allocUnsafeSlow(readBytesMax)
    return this.#bulk
  }

  #append(chunk: Buffer, bytes: number): void {
    const isLast = this.#from + this.#regionBytes === arena.at && this.#memory === arena.memory
    if (this.#regionBytes === 0 || !isLast || !arena.hasRoom(bytes)) {
      this.flush()
      this.#openRegion(bytes)
      this.#from = arena.at
      this.#memory = arena.memory
      if (isTurnOpen()) flushAtTurnEnd(this)
    }
    arena.append(chunk)
    this.#regionBytes += bytes
  }

  #openRegion(bytes: number): void {
    if (arena.open(bytes)) return
    flushWaiting()
    if (arena.open(bytes)) return
    // Others hold theirs.
    arena.replace()
    arena.open(bytes)
  }

  #send(bytes: Buffer): void {
    const request = takeRequest()
    const status = this.#handle.writeBuffer(request, bytes)
    if (status === 0 && !wasLastWriteAsync()) return
    spareRequest = null
    if (status !== 0) {
      this.#onWriteFailed(errorOf(status, 'write'))
      return
    }
    request.handle = this.#handle
    request.buffer = kept(bytes)
    this.#queuedBytes += bytes.length
    if (bytes.buffer === arena.memory.buffer) arena.replace()
  }

  /**
   * A server says why it ends a connection and closes it while we may still be writing: its words
   * have come, and the end of the stream, or its reset, comes behind them. Streams would lose them.
   */
  #onWriteFailed(error: NodeJS.ErrnoException): void {
    const isHangUp = error.code === 'EPIPE' || error.code === 'ECONNRESET'
    this.#isShut = true
    if (isHangUp && this.#isReading && !this.#hasReadEnd) this.#isHungUp = true
    else this.#socket.destroy(error)
  }

  #readStart(): void {
    const handle = this.#handle
    if (handle.reading || this.#socket.destroyed) return
    handle.reading = true
    const status = handle.readStart()
    if (status !== 0) this.#socket.destroy(errorOf(status, 'read'))
  }

  #readStop(): void {
    const handle = this.#handle
    if (!handle.reading || this.#socket.destroyed) return
    handle.reading = false
    const status = handle.readStop()
    if (status !== 0) this.#socket.destroy(errorOf(status, 'read'))
  }
}

/** As Node words them. */
function errorOf(status: number, call: 'read' | 'write'): NodeJS.ErrnoException {
  const code = getSystemErrorName(status)
  return Object.assign(new Error(`${call} ${code}`), { code, errno: status, syscall: call })
}

/** A transport on the handle, where the socket is plain TCP and nothing waits in its streams. */
export function openHandleTransport(socket: Socket, reader: TransportReader): Transport {
  const handle = tcpHandleOf(socket)
  const isClean = socket.readableLength === 0 && socket.writableLength === 0 && socket.writable
  if (handle === null || !isClean || socket.destroyed) return new StreamTransport(socket, reader)
  return new HandleTransport(socket, handle, reader)
}
