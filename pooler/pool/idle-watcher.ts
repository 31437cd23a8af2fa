// Listens to a server that nobody holds. What it says asynchronously has been noted by the link
// (settings, a FATAL); anything else here means that it cannot be used any more.
import type { ServerSink } from '../relay/server-sink.ts'

export interface IdleEvents {
  onIdleServerGone(reason: 'lost' | 'broken'): void
}

export class IdleWatcher implements ServerSink {
  readonly replyTransport = null
  readonly session = null
  readonly listening = null
  readonly #events: IdleEvents

  constructor(events: IdleEvents) {
    this.#events = events
  }

  onOwnError(): void {}
  onOwnRow(): void {}
  onServerProgress(): void {}
  onServerDrain(): void {}

  onServerBroken(): void {
    this.#events.onIdleServerGone('broken')
  }

  onServerFault(): void {
    this.#events.onIdleServerGone('broken')
  }

  onServerClosed(): void {
    this.#events.onIdleServerGone('lost')
  }
}
