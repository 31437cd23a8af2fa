// Listens to a server that nobody holds. What it says asynchronously has been noted by the link
// (settings, a FATAL); anything else here means that it cannot be used any more.
import type { ServerSink } from '../relay/server-sink.ts'
import type { ServerConnection } from './server-connection.ts'

export type OnIdleServerGone = (server: ServerConnection, reason: 'lost' | 'broken') => void

export class IdleWatcher implements ServerSink {
  readonly replyTransport = null
  readonly session = null
  readonly listening = null
  readonly #server: ServerConnection
  readonly #onGone: OnIdleServerGone

  constructor(server: ServerConnection, onGone: OnIdleServerGone) {
    this.#server = server
    this.#onGone = onGone
  }

  onOwnError(): void {}
  onOwnRow(): void {}
  onServerProgress(): void {}
  onServerDrain(): void {}

  onServerBroken(): void {
    this.#onGone(this.#server, 'broken')
  }

  onServerFault(): void {
    this.#onGone(this.#server, 'broken')
  }

  onServerClosed(): void {
    this.#onGone(this.#server, 'lost')
  }
}
