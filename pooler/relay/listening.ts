// The channels that one client listens to in transaction mode. A LISTEN keeps the client on its server
// first, which tells it as Postgres does; meanwhile the channels move to a connection that all
// listeners share, and then the server may go. Every server that the client gets listens as well,
// so that LISTEN, UNLISTEN and rollbacks mean what they mean, and the client's own notifications come
// as they would without a pooler. Who is told what:
//
//   channel        | by its server                  | by the shared connection
//   not moved      | all                            | nothing
//   moved          | what the client itself sent    | the rest
//
// A move divides both streams at one mark, which the server sends through Postgres' own queue: the
// server's counts up to it, the shared connection's from it on. So nothing is missed, or told twice. Where only the
// server can tell them any more, a move of the same kind leads back.
import { randomBytes } from 'node:crypto'
import { noticeResponse } from '../../shared/protocol/error-response.ts'
import { query } from '../../shared/protocol/frontend-messages.ts'
import { type Notification, notificationFrom } from '../../shared/protocol/notification.ts'
import { notificationEchoesMax, sharedChannelsMax } from '../config/limits.ts'
import { listenStatement } from './listen-statements.ts'
import { NotificationQueue } from './notification-queue.ts'
import type { NotificationListener, NotificationSource } from './notification-source.ts'
import type { ServerLink } from './server-link.ts'
import type { NotificationReader } from './server-sink.ts'

/** The client as its channels see it. */
export interface ListeningHost {
  /** Nothing is told to it any more. */
  readonly isDeaf: boolean
  /** It is in no transaction, takes what it is sent, and nothing of a message is on its way to it. */
  readonly mayBeTold: boolean
  /** The same, as the server is about to say that it is in no transaction any more. */
  readonly mayBeToldAtReady: boolean
  /** What it listens to may not be what its server said last. */
  readonly isInDoubt: boolean
  /** What it was given in BackendKeyData. */
  readonly processId: number
  /** Of the server that it has. */
  readonly serverProcessId: number | null
  tellNotification(bytes: Buffer): void
  notify(notice: Buffer): void
  /** Something that keeps the client on its server can go on, or is over. */
  onMove(): void
  /** More than `limit` bytes wait for it. */
  onFlooded(limit: number): void
  after(ms: number, run: () => void): void
  onFault(error: unknown): void
}

/** Channels on their way to the shared connection, or back. */
interface Move {
  readonly channels: ReadonlySet<string>
  readonly isReturn: boolean
  /** The shared connection listens to all of them. */
  isJoined: boolean
  mark: string | null
  isServerDivided: boolean
  isSharedDivided: boolean
}

const none: ReadonlySet<string> = new Set()
/** While another's NOTIFY is stuck in its COMMIT no mark can be sent, and the client's next message would wait. */
const divisionMsMax = 500
const divisionRetryMs = 5_000
/** What the shared connection is in front of the client's server by, in what the client itself sent. */
const awaitedShare = 16
const gapNotice = noticeResponse(
  'notifications may have been missed: the connection that listens for this client was lost',
  'What depends on them should be read anew; the same channels are listened to again.',
)

export class Listening implements NotificationListener, NotificationReader {
  readonly #source: NotificationSource
  readonly #host: ListeningHost
  readonly #queueBytesMax: number
  readonly #queue = new NotificationQueue()
  /**
   * What the client listens to, as its server said last. `none` itself: it has never listened, as most,
   * and what is asked at each transaction looks no further then.
   */
  #channels: ReadonlySet<string> = none
  /** Of these, what the shared connection tells. */
  readonly #shared = new Set<string>()
  #move: Move | null = null
  /** No mark could be sent, and for a while none is tried: whatever is to be moved meanwhile waits as well. */
  #isPaused = false
  #isEncodingShared = true

  constructor(source: NotificationSource, host: ListeningHost, queueBytesMax: number) {
    this.#source = source
    this.#host = host
    this.#queueBytesMax = queueBytesMax
  }

  /** Some channel is told by the client's server, which it has to keep. */
  get needsServer(): boolean {
    if (this.#channels === none && this.#move === null) return false
    return this.#shared.size < this.#channels.size || this.#move !== null
  }

  get isListening(): boolean {
    return this.#channels.size > 0
  }

  get hasQueued(): boolean {
    return this.#channels !== none && !this.#queue.isEmpty
  }

  /** Something is to be told in front of the ReadyForQuery that ends a transaction. */
  get isDue(): boolean {
    return this.hasQueued && this.#host.mayBeToldAtReady
  }

  /** The streams can be divided: the server is to be sent `division`. */
  get mayDivide(): boolean {
    return this.#move?.isJoined === true && this.#move.mark === null && !this.#isPaused
  }

  /** For a server that the client gets: it listens too from here on. */
  lay(link: ServerLink): void {
    link.isListening = true
    link.tracker.sentOwnQuery()
    link.transport.write(listenStatement(this.#channels, none))
  }

  /**
   * What the client listens to after a transaction; null: as before. Where its encoding is not the
   * server's it keeps its server: only Postgres converts notifications.
   */
  take(channels: ReadonlySet<string> | null, link: ServerLink): void {
    const isEncodingShared = hasServerEncoding(link)
    if (channels === null && isEncodingShared === this.#isEncodingShared) return
    this.#isEncodingShared = isEncodingShared
    if (channels !== null) this.#channels = channels
    if (this.isListening) link.isListening = true
    this.#review()
  }

  /**
   * Writes what marks both streams. False: the shared connection is lost, and joins again or is not needed; or it is
   * where the client's server is no longer, and what lies between the streams is a gap.
   */
  divide(link: ServerLink): boolean {
    const move = this.#move as Move
    if (this.#source.isElsewhere(link)) {
      this.#divideAtOnce(move)
      this.#host.onMove()
      return false
    }
    const mark = randomBytes(16).toString('hex')
    if (!this.#source.expect(this, mark)) {
      if (move.isReturn) this.#divideAtOnce(move)
      else move.isJoined = false
      return false
    }
    move.mark = mark
    const channel = this.#source.markChannel
    // In two transactions: a server tells what was notified before it says that it is ready.
    link.tracker.sentOwnQuery()
    link.tracker.sentOwnQuery()
    const send = `LISTEN "${channel}"; NOTIFY "${channel}", '${mark}'`
    link.transport.write(query(`SET LOCAL lock_timeout = ${divisionMsMax}; ${send}`))
    link.transport.write(query(`UNLISTEN "${channel}"`))
    return true
  }

  /** The server has answered. `isFailed`: it could not send the mark, unless that has come. */
  onDivided(isFailed: boolean): void {
    const move = this.#move
    if (move === null) return
    if (!isFailed) move.isServerDivided = true
    if (move.isServerDivided) {
      this.#endMove()
      return
    }
    this.#source.forget(this)
    move.mark = null
    this.#isPaused = true
    this.#host.after(divisionRetryMs, () => {
      this.#isPaused = false
      if (this.mayDivide) this.#host.onMove()
    })
  }

  /** From the client's own server. */
  onNotification(notification: Notification, link: ServerLink): void {
    const { channel } = notification
    const move = this.#move
    if (channel === this.#source.markChannel) {
      // Another mark there is not ours.
      if (move !== null && notification.bytes.includes(`\0${move.mark}\0`)) {
        move.isServerDivided = true
      }
      return
    }
    const isOwn = notification.processId === link.processId
    const isMoving = move?.channels.has(channel) === true
    const isShared = isMoving ? move.isServerDivided !== move.isReturn : this.#shared.has(channel)
    if (!isShared) {
      // What waits was notified before it.
      if (move?.isReturn === true && !this.#host.isInDoubt) this.tellQueued()
      this.#tell(notification, isOwn)
      return
    }
    if (!isOwn) return
    const mayEcho = this.#source.isConnected && !this.#source.isElsewhere(link)
    // What waits may be of a channel that the client has just left: then it is not to be told.
    if (this.#host.isInDoubt) this.#queue.takeOut(notification, mayEcho)
    else {
      const before = this.#queue.takeBefore(notification, mayEcho)
      for (const waiting of before) this.#tell(waiting, false)
    }
    this.#tell(notification, true)
    this.#bound()
  }

  onShared(notification: Notification): void {
    const { channel } = notification
    if (this.#host.isDeaf || !this.#shared.has(channel) || !this.#channels.has(channel)) return
    if (this.#queue.isEcho(notification)) return
    if (this.#queue.isEmpty && this.#host.mayBeTold) {
      this.#tell(notification, false)
      return
    }
    this.#queue.add(notification, notification.processId === this.#host.serverProcessId)
    this.#bound()
  }

  /** Tells what had to wait; only where the client may be told. */
  tellQueued(): void {
    for (const notification of this.#queue.take()) {
      if (this.#channels.has(notification.channel)) this.#tell(notification, false)
    }
  }

  onJoined(): void {
    if (this.#move === null) return
    this.#move.isJoined = true
    this.#host.onMove()
  }

  onMark(): void {
    if (this.#move === null || this.#move.isSharedDivided) return
    this.#divideShared(this.#move)
    if (this.#endMove()) this.#host.onMove()
  }

  onLost(): void {
    this.#queue.forgetEchoes()
  }

  onGap(): void {
    if (this.#shared.size > 0) this.#host.notify(gapNotice)
  }

  onFault(error: unknown): void {
    this.#host.onFault(error)
  }

  /** The client is gone. */
  leave(): void {
    this.#source.forget(this)
    this.#source.leave(this, [...this.#shared, ...(this.#move?.channels ?? [])])
    this.#shared.clear()
    this.#channels = none
    this.#move = null
    this.#queue.keepOnly(none)
  }

  #divideShared(move: Move): void {
    move.isSharedDivided = true
    for (const channel of move.channels) {
      if (move.isReturn) this.#shared.delete(channel)
      else this.#shared.add(channel)
    }
  }

  /** No mark would come: the shared connection is lost, or at another Postgres. */
  #divideAtOnce(move: Move): void {
    this.#source.forget(this)
    this.#host.notify(gapNotice)
    move.isServerDivided = true
    this.#divideShared(move)
    this.#endMove()
  }

  /** True when both streams are divided. */
  #endMove(): boolean {
    const move = this.#move
    if (move === null || !move.isServerDivided || !move.isSharedDivided) return false
    this.#move = null
    if (move.isReturn) this.#source.leave(this, move.channels)
    this.#review()
    return true
  }

  /** Brings what is shared in line with what the client listens to. */
  #review(): void {
    // Streams that are being divided are divided first; #endMove comes here again.
    if (this.#move !== null && this.#move.mark !== null) return
    const moving = this.#move?.isReturn === false ? this.#move.channels : none
    const mayMove = this.#isEncodingShared && this.#channels.size <= sharedChannelsMax
    const gone = [...this.#shared, ...moving].filter(
      (channel) => !this.#channels.has(channel) || (!mayMove && moving.has(channel)),
    )
    if (gone.length > 0) {
      for (const channel of gone) this.#shared.delete(channel)
      this.#source.leave(this, gone)
      this.#queue.keepOnly(this.#shared)
    }
    this.#move = null
    if (!this.#isEncodingShared) {
      if (this.#shared.size > 0) this.#begin(new Set(this.#shared), true, true)
      return
    }
    if (!mayMove) return
    const channels = new Set([...this.#channels].filter((channel) => !this.#shared.has(channel)))
    if (channels.size === 0) return
    const answer = this.#source.join(this, channels)
    if (answer === 'refused') this.#source.leave(this, channels)
    else this.#begin(channels, false, answer === 'joined')
  }

  #begin(channels: ReadonlySet<string>, isReturn: boolean, isJoined: boolean): void {
    const undivided = { mark: null, isServerDivided: false, isSharedDivided: false }
    this.#move = { channels, isReturn, isJoined, ...undivided }
  }

  #tell(notification: Notification, isOwn: boolean): void {
    const { processId } = this.#host
    this.#host.tellNotification(
      isOwn ? notificationFrom(notification, processId) : notification.bytes,
    )
  }

  #bound(): void {
    const { bytes, awaitedBytes, echoes } = this.#queue
    const limit = this.#queueBytesMax
    const isFlooded =
      bytes > limit || awaitedBytes > limit * awaitedShare || echoes > notificationEchoesMax
    if (isFlooded) this.#host.onFlooded(limit)
  }
}

function hasServerEncoding({ reported }: ServerLink): boolean {
  const server = reported.get('server_encoding')
  const client = reported.get('client_encoding')
  return server === client || server === 'SQL_ASCII' || client === 'SQL_ASCII'
}
