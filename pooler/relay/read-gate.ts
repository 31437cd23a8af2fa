// Whether a client is read: not while any reason against it holds.
import type { Transport } from './transport.ts'

/** It waits for a server and has sent as much ahead as is kept for it. */
export const waits = 1
/** Its server does not take what it sends. */
export const serverIsBlocked = 2
/** Its server owes so many replies that no more are asked for. */
export const owesMuch = 4
/** It does not take its own replies, and would start a further transaction. */
export const outputIsBlocked = 8

export class ReadGate {
  readonly #transport: Transport
  #reasons = 0

  constructor(transport: Transport) {
    this.#transport = transport
  }

  isClosedBy(reason: number): boolean {
    return (this.#reasons & reason) !== 0
  }

  close(reason: number): void {
    this.#reasons |= reason
    this.#transport.pause()
  }

  /** Takes these reasons away. */
  open(reasons: number): void {
    if (this.#reasons === 0) return
    this.#reasons &= ~reasons
    if (this.#reasons === 0) this.#transport.resume()
  }
}
