// The listening sockets of the primary. node:cluster holds them, for all workers together, and gives
// them to nobody; a successor needs their descriptors, and parting without a lost connection needs an
// order that cluster does not keep: nobody new, then all that were accepted to a worker, then the
// workers' own ends. So they are caught as they are opened.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Server } from 'node:net'
import { type SocketName, socketNames } from '../config/inherited-sockets.ts'
import type { OpenPorts } from './worker-messages.ts'

/** Of what Node keeps behind a server, what is used here. */
interface Handle {
  readonly fd: number
  onconnection: (error: number, accepted: Accepted | undefined) => void
  getsockname(into: { port?: number }): number
  close(done?: () => void): void
}

interface Accepted {
  close(done?: () => void): void
  /** What comes behind it in the list in which it waits for a worker; nothing while it is in none. */
  readonly _idleNext?: unknown
}

const opened = 'tracing:net.server.listen:asyncEnd'

export class FrontSockets {
  readonly #handles: Handle[] = []
  readonly #unassigned = new Set<Accepted>()
  #haveBeenLost = false

  constructor() {
    subscribe(opened, this.#onOpened)
  }

  /** Connections that were accepted and that no worker has yet. */
  get unassigned(): number {
    return this.#unassigned.size
  }

  /**
   * A worker has ended. What it was given and did not take cluster forgets, and its client would wait for
   * ever. The result closes that; it is called when all other workers must have taken what they were given.
   */
  onWorkerGone(): () => void {
    const left = [...this.#unassigned]
    return () => {
      for (const one of left) if (this.#unassigned.has(one) && !one._idleNext) one.close()
    }
  }

  /** True once all workers have gone together, and the sockets with them. */
  get haveBeenLost(): boolean {
    return this.#haveBeenLost
  }

  /** By name; null where it cannot be told. They are opened in the order of `socketNames`. */
  descriptors({ transaction, session, apiUrl }: OpenPorts): Record<SocketName, number> | null {
    const ports = { transaction, session, api: Number(new URL(apiUrl).port) }
    const found = socketNames.map((name, at) => {
      const handle = this.#handles[at]
      const address: { port?: number } = {}
      const isThere = handle !== undefined && handle.fd >= 0 && handle.getsockname(address) === 0
      return isThere && address.port === ports[name] ? ([name, handle.fd] as const) : null
    })
    if (this.#handles.length !== socketNames.length || found.includes(null)) return null
    return Object.fromEntries(found as [SocketName, number][]) as Record<SocketName, number>
  }

  /** Nobody is accepted any more; those who were, still come to a worker. */
  close(): void {
    for (const handle of [...this.#handles]) handle.close()
  }

  /** Watches no further. */
  forget(): void {
    unsubscribe(opened, this.#onOpened)
  }

  readonly #onOpened = (message: unknown): void => {
    const { server } = message as { server: Server }
    const handle = (server as unknown as { _handle: Handle | null })._handle
    if (handle === null) return
    this.#handles.push(handle)
    const close = handle.close.bind(handle)
    handle.close = (done) => {
      const at = this.#handles.indexOf(handle)
      if (at !== -1) this.#handles.splice(at, 1)
      this.#haveBeenLost = true
      close(done)
    }
    // By then cluster has taken the handle over.
    server.once('listening', () => setImmediate(() => this.#count(handle)))
  }

  /** cluster closes its side of a connection when a worker has it. */
  #count(handle: Handle): void {
    const pass = handle.onconnection
    handle.onconnection = (error, accepted) => {
      if (accepted !== undefined) {
        this.#unassigned.add(accepted)
        const close = accepted.close.bind(accepted)
        accepted.close = (done) => {
          this.#unassigned.delete(accepted)
          close(done)
        }
      }
      pass(error, accepted)
    }
  }
}
