// Where notifications come from for clients that hold no server: a connection that all listeners of a
// pool share. The pool implements it; the relay knows no more of it than this. Channels are their
// bytes in the server's encoding, one character each.
import type { Notification } from '../../shared/protocol/notification.ts'
import type { ServerLink } from './server-link.ts'

/** A client that listens. */
export interface NotificationListener {
  /** On one of its channels, in the order of Postgres' queue. */
  onShared(notification: Notification): void
  /** The connection listens to all that `join` named; only after its answer `later`. */
  onJoined(): void
  /** The mark that `expect` announced has come, or what came before it is lost. */
  onMark(): void
  /** The connection was lost: it repeats nothing of before. */
  onLost(): void
  /** The connection was lost and is there again: what was notified in between is lost. */
  onGap(): void
  /** A bug of ours met this listener. */
  onFault(error: unknown): void
}

export interface NotificationSource {
  /** A channel that the connection always listens to, under a name that nobody can guess. */
  readonly markChannel: string
  /** It is there; what is notified from here on it may bring. */
  readonly isConnected: boolean
  /**
   * It is there, and at another Postgres than this server, since the project has moved: it brings nothing of what is
   * notified at that one.
   */
  isElsewhere(link: ServerLink): boolean
  /** `later`: onJoined follows. `refused`: it has as many channels, or listeners, as it may. */
  join(
    listener: NotificationListener,
    channels: ReadonlySet<string>,
  ): 'joined' | 'later' | 'refused'
  /** Nothing of these channels comes to the listener any more. */
  leave(listener: NotificationListener, channels: Iterable<string>): void
  /** onMark follows when `mark` comes on the channel of marks. False: not now; onJoined follows. */
  expect(listener: NotificationListener, mark: string): boolean
  /** No mark of this listener is waited for any more. */
  forget(listener: NotificationListener): void
}
