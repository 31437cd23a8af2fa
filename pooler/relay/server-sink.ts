// Whoever has a server right now: a client's relay, a conversation of ours, or the idle pool.
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import type { Notification } from '../../shared/protocol/notification.ts'
import type { ServerLink } from './server-link.ts'
import type { SessionTag } from './session-tags.ts'
import type { Transport } from './transport.ts'

/** What a server tells of the session state of the client that holds it. */
export interface SessionSink {
  /** ParameterStatus; `isOwn` when it came while a message of ours was being answered. */
  onReport(name: string, value: string, isOwn: boolean, link: ServerLink): void
  /** One that is too long to be kept; it has been passed on. */
  onLongReport(): void
  onTag(tag: SessionTag, link: ServerLink): void
  /** A ReadyForQuery has come, while the server bears a name that it must not, or has a schema changed. */
  onReady(link: ServerLink): void
  /** True: ErrorResponses are not forwarded but come to onError, which passes them on. */
  readonly readsErrors: boolean
  onError(error: PostgresError): void
}

/** Takes NotificationResponses out of a server's replies and passes on what it makes of them. */
export interface NotificationReader {
  onNotification(notification: Notification, link: ServerLink): void
  /** Notifications wait for the end of the transaction: `tellQueued` in front of its ReadyForQuery. */
  readonly isDue: boolean
  tellQueued(): void
}

export interface ServerSink {
  /** The last message to the server has not been sent whole: it waits for the rest. */
  readonly isCutOff?: boolean
  /** It may be about to give the server back: an error now answers nothing, see isFatalUntold. */
  readonly isOwedNothing?: boolean
  /** Where replies go that are not answers to messages of ours; null: they are dropped. */
  readonly replyTransport: Transport | null
  /** Whose session it is; null: nobody's. */
  readonly session: SessionSink | null
  /** null: NotificationResponses are passed on as they are. */
  readonly listening: NotificationReader | null
  /** ErrorResponse to a message of ours. */
  onOwnError(error: PostgresError): void
  /** One DataRow's body in the answer to a message of ours; valid during the call. */
  onOwnRow(bytes: Buffer, at: number, end: number): void
  /** A chunk of so many bytes has been worked through; the tracker is up to date. */
  onServerProgress(bytes: number): void
  onServerDrain(): void
  /** The server broke the protocol; nothing it says can be relied on any more. */
  onServerBroken(reason: string): void
  /** A bug of ours met what the server sent. */
  onServerFault(error: unknown): void
  /** The server's connection is gone; `fatal` is what it said last, when it said something. */
  onServerClosed(fatal: PostgresError | null, cause: Error | null): void
}

/** For a server whose words concern nobody. */
export const mutedSink: ServerSink = {
  replyTransport: null,
  session: null,
  listening: null,
  onOwnError() {},
  onOwnRow() {},
  onServerProgress() {},
  onServerDrain() {},
  onServerBroken() {},
  onServerFault() {},
  onServerClosed() {},
}
