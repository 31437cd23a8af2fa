// How errors of a server are told to its client: by the client's names, and with the reason where what ran
// was cancelled because it took too long.

import type { PoolerError } from '../../shared/errors.ts'
import { errorResponseOf, type PostgresError } from '../../shared/protocol/error-response.ts'
import { errorForClient } from './client-statements.ts'
import type { PreparedStatements } from './prepared-statements.ts'
import type { Transport } from './transport.ts'

export class ErrorWording {
  readonly #transport: Transport
  readonly #names: PreparedStatements | null
  /** Stands for the server's word when a query that ran too long has been cancelled. */
  #timeout: PoolerError | null = null

  /** `names`: null in session mode. */
  constructor(transport: Transport, names: PreparedStatements | null) {
    this.#transport = transport
    this.#names = names
  }

  /** True when an error's text may have to be put right. */
  get isNeeded(): boolean {
    return this.#timeout !== null || this.#names?.errors.isAny === true
  }

  /** What runs is being cancelled: the client is told why. */
  expectTimeout(error: PoolerError): void {
    this.#timeout = error
  }

  /** Writes an ErrorResponse to the client, unless it is not to be told, or not yet. */
  write(error: PostgresError): void {
    const worded = this.#names === null ? error.raw : errorForClient(error, this.#names)
    const timeout = this.#timeout
    this.#timeout = null
    if (worded === null) return
    const isTimeout = timeout !== null && error.fields.sqlState === timeout.row.sqlState
    this.#transport.write(isTimeout ? errorResponseOf(timeout) : worded)
  }
}
