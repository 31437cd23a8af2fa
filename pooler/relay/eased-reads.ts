// A socket that is still read through Node's streams, while its client logs in: Node would allocate
// 64 KB for each of its messages of 100 bytes. They are read into the memory that all share. Whoever
// waits for them gets a copy of just what came; what nobody waits for goes into the stream.
import type { Socket } from 'node:net'
import { assert } from '../../shared/assert.ts'
import { sharedMemory } from './read-memory.ts'
import { lastReadCount, streamBinding, type TcpHandle, tcpHandleOf } from './tcp-handle.ts'

/** What is done with a socket before anything is read of it. */
export type EaseReads = (socket: Socket) => void

type Taker = (chunk: Buffer | null) => void

interface EasedReads {
  /** Gets what comes next, once; null: nobody waits. */
  taker: Taker | null
  /** The other end has closed, or the socket broke. */
  isOver: boolean
}

/** The property under which a socket knows them. */
const readsOf: unique symbol = Symbol('eased reads')

type EasedSocket = Socket & { [readsOf]?: EasedReads }

/** Of a plain TCP socket of which nothing has been read; any other stays as it is. */
export const easeReads: EaseReads = (socket: EasedSocket) => {
  const handle = tcpHandleOf(socket)
  if (handle === null || streamBinding === null) return
  const reads: EasedReads = { taker: null, isOver: false }
  socket[readsOf] = reads
  socket.once('close', () => give(reads, null))
  const onEnd = handle.onread
  handle.useUserBuffer(sharedMemory)
  // Not assigned where it is written: V8 makes a function that is, in old memory, and whatever it refers to
  // outlives the short collections then. See DECISIONS.md, "What the dead keep".
  const onEasedRead = function (this: TcpHandle): Buffer | undefined {
    const byteCount = lastReadCount()
    if (byteCount < 0) {
      // The end of the stream and errors are the socket's business.
      const memory = onEnd.call(this, undefined)
      give(reads, null)
      return memory
    }
    if (byteCount === 0 || socket.destroyed) return undefined
    const chunk = Buffer.from(sharedMemory.subarray(0, byteCount))
    if (!give(reads, chunk) && !socket.push(chunk)) {
      this.reading = false
      if (this.readStop() !== 0) socket.destroy()
    }
    return undefined
  }
  handle.onread = onEasedRead
}

/** False: nobody waits. */
function give(reads: EasedReads, chunk: Buffer | null): boolean {
  if (chunk === null) reads.isOver = true
  const { taker } = reads
  if (taker === null) return false
  reads.taker = null
  taker(chunk)
  return true
}

/**
 * What comes next, or null when nothing comes any more; `null` in place of a promise: its reads are not
 * eased. One waits at a time.
 */
export function nextEased(socket: EasedSocket): Promise<Buffer | null> | null {
  const reads = socket[readsOf]
  if (reads === undefined) return null
  if (socket.readableLength > 0) return Promise.resolve(socket.read() as Buffer)
  if (reads.isOver) return Promise.resolve(null)
  assert(reads.taker === null, 'a client is read in one place')
  return new Promise((resolve) => {
    reads.taker = resolve
  })
}
