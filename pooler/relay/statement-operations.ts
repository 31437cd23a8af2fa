// Messages on their way that change which prepared statements there are, in the order in which the
// server gets to them. They count only when the server has confirmed them.
import type { ServerStatements } from './server-statements.ts'
import type { Statement } from './statement-catalog.ts'

/** The unnamed statement as one client last parsed it. */
export interface Unnamed {
  /** The whole Parse message; null: too long to be kept. */
  readonly parse: Buffer | null
}

export type Operation =
  /** A name of the client's for a statement; `isSent`: the server learns the statement by it. */
  | {
      readonly kind: 'name'
      readonly name: string
      readonly statement: Statement
      readonly isSent: boolean
    }
  /** A statement put in front of its use. */
  | { readonly kind: 'learn'; readonly statement: Statement }
  | { readonly kind: 'unname'; readonly name: string }
  /** A statement closed on the server to make room. */
  | { readonly kind: 'evict'; readonly serverName: string }
  | { readonly kind: 'unnamed'; readonly unnamed: Unnamed | null; readonly isClients: boolean }
  /** Sent to fail; `error` stands for the server's own words. */
  | { readonly kind: 'refuse'; readonly error: Buffer | null }

export interface OperationEvents {
  onNamed(name: string, statement: Statement): void
  onUnnamed(unnamed: Unnamed | null): void
  onClosed(name: string): void
  /** The statement is not needed under the name it was to get. */
  onGivenUp(statement: Statement): void
}

export class StatementOperations {
  readonly #events: OperationEvents
  /** From #first on; what is before it is done. */
  #queue: Operation[] = []
  #first = 0

  constructor(events: OperationEvents) {
    this.#events = events
  }

  get isEmpty(): boolean {
    return this.#first === this.#queue.length
  }

  push(operation: Operation): void {
    this.#queue.push(operation)
  }

  /** The oldest has succeeded. */
  confirm(server: ServerStatements): void {
    const operation = this.#shift()
    switch (operation?.kind) {
      case 'name':
        if (operation.isSent) server.confirm(operation.statement.serverName, true)
        this.#events.onNamed(operation.name, operation.statement)
        break
      case 'learn':
        server.confirm(operation.statement.serverName, true)
        break
      case 'unname':
        this.#events.onClosed(operation.name)
        break
      case 'evict':
        server.confirm(operation.serverName, false)
        break
      case 'unnamed':
        if (operation.isClients) this.#events.onUnnamed(operation.unnamed)
        break
      default:
        break
    }
  }

  /** The oldest was skipped or failed; it is returned. */
  lapse(): Operation | undefined {
    const operation = this.#shift()
    if (operation?.kind === 'name') this.#events.onGivenUp(operation.statement)
    return operation
  }

  *[Symbol.iterator](): Iterator<Operation> {
    for (let index = this.#first; index < this.#queue.length; index++) {
      yield this.#queue[index] as Operation
    }
  }

  #shift(): Operation | undefined {
    const operation = this.#queue[this.#first++]
    if (this.#first === this.#queue.length) {
      this.#queue = []
      this.#first = 0
    }
    return operation
  }
}
