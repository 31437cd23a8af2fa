// How errors of a server are told to its client: by the client's names, and with the reason where what ran
// was cancelled because it took too long.

import { PoolerError } from '../../shared/errors.ts'
import { errorResponseOf, type PostgresError } from '../../shared/protocol/error-response.ts'
import { errorForClient } from './client-statements.ts'
import type { PreparedStatements } from './prepared-statements.ts'
import type { RelayOptions } from './relay-options.ts'
import type { ReplyTracker } from './reply-tracker.ts'
import type { Transport } from './transport.ts'

/** Of a query that ran too long and has been cancelled. */
interface Timeout {
  /** Stands for the server's word. */
  readonly error: PoolerError
  readonly tracker: Pick<ReplyTracker, 'replies'>
  /** What the tracker had then: with the next one the query is over. */
  readonly replies: number
}

export class ErrorWording {
  readonly #transport: Transport
  readonly #onTold: RelayOptions['onTold']
  readonly #names: PreparedStatements | null
  #timeout: Timeout | null = null

  /** `names`: null in session mode. */
  constructor(
    { transport, onTold }: Pick<RelayOptions, 'transport' | 'onTold'>,
    names: PreparedStatements | null,
  ) {
    this.#transport = transport
    this.#onTold = onTold
    this.#names = names
  }

  /** True when an error's text may have to be put right. */
  get isNeeded(): boolean {
    return this.#timeout !== null || this.#names?.errors.isAny === true
  }

  /** What runs is being cancelled: the client is told why. */
  expectTimeout(error: PoolerError, tracker: Pick<ReplyTracker, 'replies'>): void {
    this.#timeout = { error, tracker, replies: tracker.replies }
  }

  /** Writes an ErrorResponse to the client, unless it is not to be told, or not yet. */
  write(error: PostgresError): void {
    const worded = this.#names === null ? error.raw : errorForClient(error, this.#names)
    const timeout = this.#timeout
    this.#timeout = null
    if (worded === null) return
    // It may have come to its end before it could be cancelled.
    const isTimeout =
      timeout !== null &&
      timeout.tracker.replies === timeout.replies &&
      error.fields.sqlState === timeout.error.row.sqlState
    this.#tell(isTimeout ? timeout.error : worded)
  }

  #tell(error: PoolerError | Buffer): void {
    if (error instanceof PoolerError) this.#onTold(error.code)
    this.#transport.write(error instanceof PoolerError ? errorResponseOf(error) : error)
  }
}
