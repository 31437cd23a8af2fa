// The question that a client's server is asked (session-question.ts, and the division of listening.ts),
// until its answer has come.
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { readDataRow } from './data-row.ts'
import { isCancel } from './query-canceled.ts'
import type { ServerLink } from './server-link.ts'

/** Settings and held things that are read of one answer, and settings that are carried for a client. */
export const answerRowsMax = 500

type Row = readonly (string | null)[]

export class AskedQuestion {
  /** 'held' is asked what it holds, 'division' nothing. */
  kind: 'settings' | 'held' | 'division' = 'settings'
  hasFailed = false
  /** A cancel that came late has met it: it is to be asked once more. */
  isCanceled = false
  #mayBeCanceled = false
  /** null: nothing is being asked. */
  #rows: Row[] | null = null

  get isUnderWay(): boolean {
    return this.#rows !== null
  }

  begin(kind: AskedQuestion['kind'], { cancelsInFlight }: ServerLink): void {
    this.kind = kind
    this.hasFailed = false
    this.#mayBeCanceled = cancelsInFlight > 0 && !this.isCanceled && kind !== 'division'
    this.isCanceled = false
    this.#rows = []
  }

  onRow(bytes: Buffer, at: number, end: number): void {
    if (this.#rows !== null && this.#rows.length < answerRowsMax)
      this.#rows.push(readDataRow(bytes, at, end))
  }

  onError(error: PostgresError, link: ServerLink): void {
    this.isCanceled = this.#mayBeCanceled && isCancel(error)
    if (this.isCanceled) return
    this.hasFailed = true
    if (this.kind !== 'division') link.dirtyBy ??= 'unanswered question'
  }

  /** The answer, which has come; null: nothing was asked. */
  take(): readonly Row[] | null {
    const rows = this.#rows
    this.#rows = null
    return rows
  }
}
