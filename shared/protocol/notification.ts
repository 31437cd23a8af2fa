// NotificationResponse, Postgres manual "Message Formats". Channel and payload stay the bytes that they
// are, in whatever encoding.
import { backend, headerBytes } from './message-types.ts'
import { MessageWriter } from './message-writer.ts'

export interface Notification {
  /** Of the server that ran NOTIFY. */
  readonly processId: number
  /** The channel's bytes, one character each. */
  readonly channel: string
  /** The whole message, in memory of its own: one for all who are told. */
  readonly bytes: Buffer
}

/** Reads the body `bytes[at..end)`; null when it is none. */
export function readNotification(bytes: Buffer, at: number, end: number): Notification | null {
  const channelAt = at + 4
  const channelEnd = bytes.indexOf(0, channelAt)
  if (channelEnd === -1 || channelEnd >= end) return null
  if (bytes.indexOf(0, channelEnd + 1) !== end - 1) return null
  const body = bytes.subarray(at, end)
  return {
    processId: bytes.readInt32BE(at),
    channel: bytes.toString('latin1', channelAt, channelEnd),
    bytes: new MessageWriter().begin(backend.notificationResponse).bytes(body).end().take(),
  }
}

/** The same, as if the server of that process id had run NOTIFY. */
export function notificationFrom({ bytes }: Notification, processId: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeInt32BE(processId, headerBytes)
  return copy
}
