// A socket that is still read through Node's streams, while its client logs in: Node would allocate
// 64 KB for each of its messages of 100 bytes. They are read into the memory that all share, and the
// stream gets a copy of just what came.
import type { Socket } from 'node:net'
import { sharedMemory } from './read-memory.ts'
import { lastReadCount, streamBinding, type TcpHandle, tcpHandleOf } from './tcp-handle.ts'

/** What is done with a socket before anything is read of it. */
export type EaseReads = (socket: Socket) => void

/** Of a plain TCP socket of which nothing has been read; any other stays as it is. */
export const easeReads: EaseReads = (socket) => {
  const handle = tcpHandleOf(socket)
  if (handle === null || streamBinding === null) return
  const onEnd = handle.onread
  handle.useUserBuffer(sharedMemory)
  handle.onread = function onEasedRead(this: TcpHandle): Buffer | undefined {
    const byteCount = lastReadCount()
    // The end of the stream and errors are the socket's business.
    if (byteCount < 0) return onEnd.call(this, undefined)
    if (byteCount === 0 || socket.destroyed) return undefined
    if (!socket.push(Buffer.from(sharedMemory.subarray(0, byteCount)))) {
      this.reading = false
      if (this.readStop() !== 0) socket.destroy()
    }
    return undefined
  }
}
