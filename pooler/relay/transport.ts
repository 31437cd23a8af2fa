// One socket as the relay sees it: bytes in, bytes out, and whether the other end keeps up. Two
// implementations: stream-transport.ts on Node's public streams, for every socket; and
// handle-transport.ts below them, for plain TCP. Knows nothing of messages.
import type { Socket } from 'node:net'
import type { Clock } from '../../shared/clock.ts'
import { lingerMs } from '../config/limits.ts'
import type { Lane } from './lanes.ts'

export interface TransportReader {
  /** Whose turns its own are among; without one it is never kept waiting. */
  readonly lane?: Lane | undefined
  /** What has come and waits in the lane. */
  late?: Buffer | null
  /** It has said goodbye and is still to be answered: asked when the other end says no more. Else: no. */
  readonly isLeaving?: boolean
  /** `chunk` is valid during the call: what is kept longer goes through `kept` (read-memory.ts). */
  onTransportData(chunk: Buffer): void
  /** What was queued has left; only after `write` said false. */
  onTransportDrain(): void
  /** Once, last. The other end closed, reset, or was destroyed by us; one that is leaving only when it is through. */
  onTransportClosed(cause: Error | null): void
  /** A bug of ours met what came in: the connection must end, the process must not. */
  onTransportFault(error: unknown): void
}

export interface Transport {
  /** As bytes handed in that the kernel has not taken yet; shrinks with every byte taken. */
  readonly untakenBytes: number
  /** All that has come so far. */
  readonly bytesRead: number
  readonly isBlocked: boolean
  readonly isReading: boolean
  readonly isOpen: boolean
  setReader(reader: TransportReader): void
  /**
   * Queues bytes, which leave at the end of the turn (write-turn.ts); false when more than
   * sendQueueBytesMax wait, then onTransportDrain follows. `chunk` may be the reader's.
   */
  write(chunk: Buffer): boolean
  /** Outside of a turn: what is written between `hold` and `release` leaves in one system call. */
  hold(): void
  release(): void
  pause(): void
  resume(): void
  /** Sends what is queued and then our end of the stream; reading goes on. */
  end(): void
  destroy(cause?: Error): void
}

/** Takes over a socket that nobody reads any more, and starts reading. */
export type OpenTransport = (socket: Socket, reader: TransportReader) => Transport

/** Queued bytes above which `write` says false and the caller stops its source. */
export const sendQueueBytesMax = 256 * 1024

/**
 * The end: last words, and in order where that makes sense, so that they arrive; what still comes is
 * read and thrown away by then.
 */
export function closeTransport(
  transport: Transport,
  lastWords: Buffer | null,
  isOrderly: boolean,
  clock: Clock,
): void {
  if (lastWords !== null) transport.write(lastWords)
  transport.resume()
  if (isOrderly && transport.isOpen) {
    transport.end()
    clock.after(lingerMs, () => transport.destroy())
  } else {
    transport.destroy()
  }
}
