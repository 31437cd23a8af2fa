// Room for servers that pools share. Within the process it is ServerBudget; where several processes
// share it, workers/remote-budget.ts stands in its place. A pool does not tell them apart.

/** A pool, as far as it shares a budget with others. */
export interface BudgetMember {
  /** Servers being opened, open, or not closed yet. */
  readonly slots: number
  /** Of these, the ones on their way in and out. */
  readonly opening: number
  readonly closing: number
  /** Monotonic ms since when the client waits that stands at `place` (0: first); null: nobody does. */
  waitingSinceMs(place: number): number | null
  /** The server that has been idle longest, of those opened before `openedBeforeMs`; null: none. */
  oldestIdle(openedBeforeMs: number): IdleServer | null
}

export interface IdleServer {
  readonly idleSinceMs: number
  /** Closes it, to make room if nothing else is said. */
  giveUp(reason?: 'made_room' | 'retired'): void
}

/** For operators. */
export interface BudgetFigures {
  /** Infinity: none. */
  readonly limit: number
  /** Servers of this process, from before they are opened until Postgres has closed its end. */
  readonly used: number
  /** Further servers that its pools want and there is no room for. */
  readonly wanted: number
}

/** Called once, at once or later. False: nobody waits for the server any more. */
export type Decide = (isGranted: boolean) => void

export interface Budget {
  /** True while there are claims that cannot be granted. */
  readonly isContended: boolean
  /** Servers that may be opened without anybody's giving one up, as far as known. */
  readonly spare: number
  readonly figures: BudgetFigures
  /** What there is no room in, for an operator: name and limit; null: there is room. */
  readonly shortage: string | null
  /** Nobody is in it, and nothing of it is used. */
  readonly isUnused: boolean
  join(member: BudgetMember): void
  /** The pool opens nothing any more: none of its claims is granted. */
  withdraw(member: BudgetMember): void
  /** All servers of the pool are closed. */
  leave(member: BudgetMember): void
  /** Asks for room for one server. What was granted is given back with `free`. */
  claim(member: BudgetMember, decide: Decide): void
  free(): void
  /** Grants what can be granted, and makes room for the rest. Also after the limit has changed. */
  review(): void
  /**
   * True when a server that a client has just given back should be closed, so that another pool can
   * open one. `nextSinceMs`: since when the first in its own line waits; null: nobody does.
   */
  isWantedElsewhere(member: BudgetMember, openedAtMs: number, nextSinceMs: number | null): boolean
  /** Nobody joins it any more. Only when it is unused. */
  close(): void
}
