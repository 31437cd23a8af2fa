// Reads a client's socket while it logs in: one chunk at a time, nothing in between, so that the
// next stage (TLS, the relay) finds every later byte still in the socket. Cold path.
import type { Socket } from 'node:net'
import type { Clock } from '../../shared/clock.ts'
import { lingerMs } from '../config/limits.ts'
import { nextEased } from '../relay/eased-reads.ts'

/** The next bytes, or null when the other end has closed or the socket broke. */
export function readChunk(socket: Socket): Promise<Buffer | null> {
  if (socket.destroyed || socket.readableEnded) return Promise.resolve(null)
  return nextEased(socket) ?? nextOfStream(socket)
}

function nextOfStream(socket: Socket): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const finish = (chunk: Buffer | null): void => {
      socket.pause()
      socket.off('data', onData)
      socket.off('end', onOver)
      socket.off('close', onOver)
      resolve(chunk)
    }
    const onData = (chunk: Buffer): void => finish(chunk)
    const onOver = (): void => finish(null)
    socket.on('data', onData)
    socket.on('end', onOver)
    socket.on('close', onOver)
    socket.resume()
  })
}

/** Sends the last words to a client, half-closes, and throws away what still comes for a while. */
export function sayGoodbye(socket: Socket, lastWords: Buffer | null, clock: Clock): void {
  if (socket.destroyed) return
  if (lastWords !== null) socket.write(lastWords)
  socket.on('data', ignore)
  socket.resume()
  socket.end()
  clock.after(lingerMs, () => socket.destroy())
}

const ignore = (): void => {}
