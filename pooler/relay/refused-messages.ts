// Answers to a client that gets no server: each Query, FunctionCall or Sync that it has sent gets its
// own error and ReadyForQuery, as if the server had refused it; a batch is skipped up to its Sync.
import type { Severity } from '../../shared/error-catalogue.ts'
import { PoolerError } from '../../shared/errors.ts'
import { readyForQuery } from '../../shared/protocol/backend-messages.ts'
import { encodeError, errorResponseOf } from '../../shared/protocol/error-response.ts'
import { frontend, status } from '../../shared/protocol/message-types.ts'
import type { RelayOptions } from './relay-options.ts'
import type { Refusal } from './server-source.ts'
import type { Transport } from './transport.ts'

export const readyIdle = readyForQuery(status.idle)

export const refusalBytes = (refusal: Refusal, severity?: Severity): Buffer => {
  if (refusal instanceof PoolerError) return errorResponseOf(refusal, severity)
  return severity === undefined ? refusal.raw : encodeError({ ...refusal.fields, severity })
}

/** Postgres' FATALs end the client; what is only about this checkout does not. */
export const isFatal = (refusal: Refusal): boolean =>
  refusal instanceof PoolerError
    ? refusal.row.severity === 'FATAL'
    : refusal.fields.severity !== 'ERROR'

export class RefusedMessages {
  readonly #transport: Transport
  readonly #onTold: RelayOptions['onTold']
  #refusal: Refusal | null = null
  /** An extended message was refused: nothing is answered until its Sync. */
  #isSkipping = false

  constructor({ transport, onTold }: Pick<RelayOptions, 'transport' | 'onTold'>) {
    this.#transport = transport
    this.#onTold = onTold
  }

  /** True while messages must come here instead of asking for a server. */
  get isActive(): boolean {
    return this.#refusal !== null || this.#isSkipping
  }

  /** Messages are refused from here until `end`; what comes later may try again. */
  begin(refusal: Refusal): void {
    this.#refusal = refusal
    if (refusal instanceof PoolerError) this.#onTold(refusal.code)
  }

  end(): void {
    this.#refusal = null
  }

  /** Answers one message other than Terminate; false where it should go on to a server after all. */
  take(type: number): boolean {
    if (type === frontend.sync) {
      this.#isSkipping = false
      this.#transport.write(readyIdle)
      return true
    }
    if (this.#isSkipping) return true
    const refusal = this.#refusal
    switch (type) {
      case frontend.flush:
      case frontend.copyData:
      case frontend.copyDone:
      case frontend.copyFail:
        return true
      case frontend.query:
      case frontend.functionCall:
        if (refusal === null) return false
        this.#transport.write(refusalBytes(refusal))
        this.#transport.write(readyIdle)
        return true
      default:
        if (refusal === null) return false
        this.#isSkipping = true
        this.#transport.write(refusalBytes(refusal))
        return true
    }
  }
}
