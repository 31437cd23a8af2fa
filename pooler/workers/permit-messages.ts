// What a worker and the permit office tell each other about one budget. Everything is a total or the
// state of now, nothing a difference: a message may stand for several, and one that crosses another
// is understood by what each side says that it has seen.

/** From a worker: what its pools want. */
export interface PermitReport {
  /** Of the budget at this worker; never used again. */
  readonly id: number
  /** Of the budget over all workers. */
  readonly key: string
  readonly seq: number
  /** What the worker knows as the limit over all workers; null: none. */
  readonly limit: number | null
  /** Permits that it lacks for servers which it would open now. */
  readonly wants: number
  /** How long the first has waited who waits for one of these; null: nobody waits, they are for the minimum. */
  readonly waitedMs: number | null
  /** Permits that it was granted, as far as it knows, and has given back, since the budget was made. */
  readonly granted: number
  readonly given: number
  /** It has nothing idle to give up for what the others wish. */
  readonly isBusy: boolean
  /** The last report of this id: it holds and wants nothing. */
  readonly isLast: boolean
}

/** From the office: what the worker has, and what the others want of it. */
export interface PermitOrder {
  readonly id: number
  /** Of the latest report that this answers. */
  readonly seq: number
  /** Totals as the office has counted them. */
  readonly granted: number
  readonly given: number
  /** Permits that it has to give back as servers become free, whoever waits for them here. */
  readonly owed: number
  /** Permits that others wish to have, by the rules of ServerBudget. */
  readonly wish: number
  /** How long the first of these others has waited; of one that has servers, when that was last reported. */
  readonly wishWaitedMs: number
  /** That one has no permit at all. */
  readonly isForNone: boolean
}
