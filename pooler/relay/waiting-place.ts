// Where a client stands while it waits for a server. Made at its first wait and kept for the next ones:
// clients wait thousands of times a second, and what is made anew each time outlives V8's short
// collections as soon as one of it has (see DECISIONS.md, "What the dead keep").
import type { ServerWaiter } from './server-source.ts'

export class WaitingPlace {
  readonly waiter: ServerWaiter
  /** The list that it stands in; null: it does not wait. The next three are the list's own. */
  list: object | null = null
  before: WaitingPlace | null = null
  behind: WaitingPlace | null = null
  /** Monotonic ms. Not a whole number from the start, so that V8 keeps room for such. */
  sinceMs = Number.NaN
  timeoutMs = 0
  /** The client has been told that it waits. */
  isTold = false

  constructor(waiter: ServerWaiter) {
    this.waiter = waiter
  }
}
