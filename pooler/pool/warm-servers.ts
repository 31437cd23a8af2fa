// Idle servers of one pool that are handed on without the library, last in, first out. The first has
// been idle longest.
import type { Clock } from '../../shared/clock.ts'
import type { ServerCloseReason, ServerConnection } from './server-connection.ts'
import { trustedIdleMs } from './server-factory.ts'

export interface WarmServersOptions {
  readonly clock: Clock
  /** What has been idle for so long is closed; 0: nothing is. */
  readonly idleTimeoutMs: number
  /** A server that cannot be handed on. */
  readonly onUnfit: (server: ServerConnection, reason: ServerCloseReason) => void
  /** A server that has been idle for so long that it must be checked before it is used, or closed. */
  readonly onCold: (server: ServerConnection) => void
}

export class WarmServers {
  readonly #options: WarmServersOptions
  readonly #servers: ServerConnection[] = []
  readonly #warmMs: number
  /** At the last tick: whether a server is too old need not be known by the millisecond. */
  #nowMs: number

  constructor(options: WarmServersOptions) {
    this.#options = options
    const { idleTimeoutMs } = options
    this.#warmMs = idleTimeoutMs > 0 ? Math.min(idleTimeoutMs, trustedIdleMs) : trustedIdleMs
    this.#nowMs = options.clock.monotonicMs()
  }

  push(server: ServerConnection): void {
    this.#servers.push(server)
  }

  take(): ServerConnection | null {
    const { onUnfit } = this.#options
    for (let server = this.#servers.pop(); server !== undefined; server = this.#servers.pop()) {
      if (!server.isUsable) onUnfit(server, 'lost')
      else if (!server.isBetweenMessages) onUnfit(server, 'broken')
      else if (server.isOver(this.#nowMs)) onUnfit(server, 'lifetime')
      else return server
    }
    return null
  }

  /** False when it is not here. */
  remove(server: ServerConnection): boolean {
    const index = this.#servers.indexOf(server)
    if (index !== -1) this.#servers.splice(index, 1)
    return index !== -1
  }

  /** All of them; none is here any more. */
  takeAll(): ServerConnection[] {
    return this.#servers.splice(0)
  }

  takeRetired(): ServerConnection[] {
    const retired = this.#servers.filter(({ isRetired }) => isRetired)
    for (const server of retired) this.remove(server)
    return retired
  }

  oldestOpenedBefore(ms: number): ServerConnection | undefined {
    return this.#servers.find(({ openedAtMs }) => openedAtMs < ms)
  }

  /** Once a second. */
  onTick(nowMs: number): void {
    this.#nowMs = nowMs
    for (let server = this.#servers[0]; server !== undefined; server = this.#servers[0]) {
      const isOver = server.isOver(nowMs)
      if (!isOver && nowMs - server.idleSinceMs < this.#warmMs) break
      this.#servers.shift()
      if (isOver) this.#options.onUnfit(server, 'lifetime')
      else this.#options.onCold(server)
    }
  }
}
