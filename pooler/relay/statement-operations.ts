// Messages on their way that change which prepared statements there are, in the order in which the
// server gets to them. They count only when the server has confirmed them.
import type { PoolerError } from '../../shared/errors.ts'
import type { NamingText } from './naming-text.ts'
import type { Statement } from './statement-catalog.ts'
import type { Translation } from './statement-translation.ts'
import type { TextSettings } from './text-environment.ts'
import type { TextVerdict } from './text-verdict.ts'

/** The unnamed statement as one client last parsed it. */
export interface Unnamed {
  /** The whole Parse message; null: too long to be kept. */
  readonly parse: Buffer | null
  /** As Statement's. */
  readonly naming: NamingText | null
  /** In force at its Parse. */
  readonly settings: TextSettings
  /** What its text may leave behind. */
  readonly verdict: TextVerdict
}

/**
 * 'unread': the server could make nothing of the message, and has done nothing of it; 'unreadable': if its
 * bytes are in no encoding.
 */
export type Failure = 'read' | 'unread' | 'unreadable'

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
  /**
   * Describe whose answer is looked at: of it, of a portal of it, or of the same text parsed anew (`isAnew`).
   * `name`: the client's, which is told; null: it is ours.
   */
  | {
      readonly kind: 'describe'
      readonly name: string | null
      readonly statement: Statement
      readonly isAnew: boolean
    }
  /** A statement of ours closed on the server; `wasSuspect`: it must not be used if it is not. */
  | { readonly kind: 'evict'; readonly serverName: string; readonly wasSuspect: boolean }
  /** `isClients`: the client's own message, and not one that brings its statement along. */
  | { readonly kind: 'unnamed'; readonly unnamed: Unnamed | null; readonly isClients: boolean }
  /** A simple Query, which destroys the unnamed statement; `dropped`: so many DEALLOCATEs have run. */
  | {
      readonly kind: 'query'
      readonly translation: Translation | null
      /** Its bytes are UTF-8, or nobody needs to know. */
      readonly isEncoded: boolean
      dropped: number
      failed: Failure | null
    }
  /** Execute of a DEALLOCATE. */
  | { readonly kind: 'drop'; readonly name: string; readonly standIn: string }
  /** A Parse under a name that is taken; `statement`: what it has become if the name was free. */
  | {
      readonly kind: 'taken'
      readonly name: string
      readonly serverName: string
      readonly statement: Statement | null
    }
  /** Bind, Execute or Close of ours, see lent-settings.ts; Parse of StatementSupply.tryName. */
  | { readonly kind: 'aside' }
  /** Sent to fail; `error` stands for the server's own words. */
  | { readonly kind: 'refuse'; readonly error: PoolerError | Buffer }

/** A queue. Emptied at nearly every transaction, it keeps its array: a new one would grow each time. */
export class StatementOperations {
  #queue: (Operation | null)[] = []
  /** What is before it is done. */
  #first = 0
  #end = 0

  get isEmpty(): boolean {
    return this.#first === this.#end
  }

  /** null: there is none. */
  get oldest(): Operation | null {
    return this.isEmpty ? null : (this.#queue[this.#first] as Operation)
  }

  push(operation: Operation): void {
    this.#queue[this.#end++] = operation
  }

  /** The oldest. */
  shift(): Operation | null {
    const { oldest } = this
    if (oldest === null) return null
    this.#queue[this.#first++] = null
    if (this.isEmpty) {
      if (this.#queue.length > keptMax) this.#queue = []
      this.#first = 0
      this.#end = 0
    } else if (this.#first > compactAbove && this.#first * 2 > this.#end) {
      this.#queue = this.#queue.slice(this.#first, this.#end)
      this.#end -= this.#first
      this.#first = 0
    }
    return oldest
  }
}

/** Places that an idle client may keep. */
const keptMax = 16
/** A client that is never without one on its way must not grow the queue for ever. */
const compactAbove = 1024
