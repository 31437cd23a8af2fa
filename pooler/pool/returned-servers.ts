// What is done with a server that comes back from a client, before it is handed on or closed: reset,
// rollback, cancel, end of access.
import type { PoolOptions } from './pool-options.ts'
import type { ServerCloseReason, ServerConnection } from './server-connection.ts'
import { clearServer, endsWhenIdle, resetServer, rollbackServer } from './server-reset.ts'
import { abortServer, stopServer } from './server-stop.ts'

export interface ReturnEvents {
  readonly onClean: (server: ServerConnection) => void
  readonly onSpent: (server: ServerConnection, reason: ServerCloseReason) => void
}

/** A rollback of a client that left may take so long before the server is discarded instead. */
const rollbackTimeoutMs = 1000

export class ReturnedServers {
  readonly #options: PoolOptions
  readonly #events: ReturnEvents

  constructor(options: PoolOptions, events: ReturnEvents) {
    this.#options = options
    this.#events = events
  }

  checkin(server: ServerConnection): void {
    const { mode } = this.#options.key
    if (mode === 'direct') this.#events.onSpent(server, 'client_left')
    else if (server.dirtyBy !== null || mode === 'session') this.#reset(server)
    else if (server.needsResetAll || server.isListening || endsWhenIdle(server)) this.#clear(server)
    else this.#events.onClean(server)
  }

  rollback(server: ServerConnection): void {
    const { key, clock } = this.#options
    const isOwn = server.isListening || endsWhenIdle(server)
    if (key.mode === 'direct') {
      this.#events.onSpent(server, 'client_left')
    } else if (key.mode === 'session' || server.dirtyBy !== null || isOwn) {
      this.#reset(server)
    } else {
      this.#work(server, 'reset_failed', () => rollbackServer(server, rollbackTimeoutMs, clock))
    }
  }

  abort(server: ServerConnection): void {
    const { upstream, clock } = this.#options
    this.#work(server, 'client_left', async () => {
      await abortServer(server, upstream, clock)
      return false
    })
  }

  endAccess(server: ServerConnection): void {
    const { upstream, clock, times } = this.#options
    this.#work(server, 'access_ended', async () => {
      const isStopped = await stopServer(server, upstream, clock)
      return isStopped && (await resetServer(server, times.serverResetTimeoutMs, clock))
    })
  }

  #reset(server: ServerConnection): void {
    const { times, clock } = this.#options
    this.#work(server, 'reset_failed', () => resetServer(server, times.serverResetTimeoutMs, clock))
  }

  #clear(server: ServerConnection): void {
    const { times, clock } = this.#options
    this.#work(server, 'reset_failed', () => clearServer(server, times.serverResetTimeoutMs, clock))
  }

  /** Something of ours with a server that nobody holds; `job` says whether it is clean afterwards. */
  #work(server: ServerConnection, reason: ServerCloseReason, job: () => Promise<boolean>): void {
    server.moveTo('working')
    job()
      .then((isClean) => {
        if (isClean) this.#events.onClean(server)
        else this.#events.onSpent(server, reason)
      })
      .catch((error: unknown) => {
        this.#options.log.error({ err: error, serverId: server.id }, 'server given up')
        this.#events.onSpent(server, 'broken')
      })
  }
}
