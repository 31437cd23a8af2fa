// Whose HTTP connections there are, so that no source takes all of them. A proxy, named or on this machine,
// speaks for many, and still leaves a quarter to everybody else.
import type { IncomingMessage, Server } from 'node:http'
import { isAllowed, isLoopback, sourceKey } from '../accept/address-filter.ts'

export class ConnectionShares {
  readonly #connectionsMax: number
  readonly #proxies: readonly string[]
  /** Only sources that have a connection. */
  readonly #bySource = new Map<string, number>()

  /** `proxies`: addresses or CIDRs of those who speak for others. */
  constructor(connectionsMax: number, proxies: readonly string[]) {
    this.#connectionsMax = connectionsMax
    this.#proxies = proxies
  }

  /** Bounds all connections of the server, and closes those beyond their source's share at once. */
  guard(server: Server): void {
    server.maxConnections = this.#connectionsMax
    server.prependListener('connection', (socket: IncomingMessage['socket']) => {
      const leave = this.admit(socket.remoteAddress ?? '')
      if (leave === null) socket.destroy()
      else socket.once('close', leave)
    })
  }

  /** null: its source has its share. Else to be called once, when the connection has closed. */
  admit(address: string): (() => void) | null {
    const isProxy = isLoopback(address) || isAllowed(this.#proxies, address)
    const source = sourceKey(address)
    const count = this.#bySource.get(source) ?? 0
    if (count >= this.#connectionsMax * (isProxy ? 0.75 : 0.25)) return null
    this.#bySource.set(source, count + 1)
    return () => this.#leave(source)
  }

  #leave(source: string): void {
    const left = (this.#bySource.get(source) ?? 1) - 1
    if (left === 0) this.#bySource.delete(source)
    else this.#bySource.set(source, left)
  }
}
