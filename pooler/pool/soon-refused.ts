// Clients that get no server, and are told so when the turn in which they asked is over: the relay is
// still at the message that needs one.
import type { Refusal, ServerWaiter } from '../relay/server-source.ts'

export class SoonRefused {
  readonly #waiters = new Set<ServerWaiter>()

  add(waiter: ServerWaiter, refusal: Refusal): void {
    this.#waiters.add(waiter)
    process.nextTick(() => {
      if (this.#waiters.delete(waiter)) waiter.onNoServer(refusal)
    })
  }

  /** One that has ended must hear nothing any more. */
  withdraw(waiter: ServerWaiter): void {
    this.#waiters.delete(waiter)
  }
}
