// "cached plan must not change result type": a table has changed under a statement that the server
// kept for others. Where the client cannot tell the difference its batch is run again with the
// statement made anew. That is so outside of a transaction, when nothing of the batch has been
// delivered and nothing was sent behind it, and for a client that was never told the columns or asks for them.

import { sync } from '../../shared/protocol/frontend-messages.ts'
import { frontend, status } from '../../shared/protocol/message-types.ts'
import { keptBatchBytesMax } from '../config/limits.ts'
import type { ServerLink } from './server-link.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { StatementCounters } from './statement-supply.ts'
import type { Transport } from './transport.ts'

/** The client's bytes from the batch's first use of a statement on. */
export interface KeptInput {
  passSoFar(): void
  keepFromHere(bytesMax: number): void
  dropKept(): void
  takeKept(): Buffer | null
  /** They are all there, and the client is between two messages. */
  readonly isKeptWhole: boolean
}

const none = -1
const syncMessage = sync()

export class StalePlanRepair {
  readonly #input: KeptInput
  readonly #ledger: StatementLedger
  readonly #counters: StatementCounters
  /** The batch of the first use. */
  #batch = none
  /** Its place among all that was sent, with what was put in front, and what it used on the server. */
  #first = none
  #entry = none
  #serverName = ''
  #lastName = ''
  /** No further use has followed. */
  #isAtFirst = false
  /** The client asks for the columns of the first use, or was never told them. */
  #isCovered = false
  #isFlushed = false
  #canKeep = false
  /** The batch that is run again: once is enough. */
  #againBatch = none
  /** The error while it is open whether the client gets it. */
  #withheld: Buffer | null = null
  #late: Buffer | null = null
  /** The batch has been ended, and is run again when the server is through with it. */
  isUnderWay = false

  constructor(input: KeptInput, ledger: StatementLedger, counters: StatementCounters) {
    this.#counters = counters
    this.#input = input
    this.#ledger = ledger
  }

  detach(): void {
    this.#input.dropKept()
    this.#batch = none
    this.#entry = none
    this.#withheld = null
    this.isUnderWay = false
    this.#againBatch = none
  }

  /** In front of Bind or Describe of a named statement. */
  onUse(type: number, name: string, { tracker }: ServerLink): void {
    this.#isAtFirst = tracker.batches !== this.#batch
    if (this.#isAtFirst) {
      this.#first = tracker.sentCount
      const isFirst = tracker.isStatusKnown && tracker.status === status.idle
      this.#begin(tracker.batches, isFirst && tracker.batches !== this.#againBatch)
      this.#isCovered = type === frontend.describe || !this.#ledger.isTold(name)
    }
    this.#lastName = name
    if (type === frontend.describe) this.#ledger.tell(name, 'statement')
  }

  /** The use that `onUse` was told of has been sent. */
  onSent(serverName: string, { tracker }: ServerLink): void {
    if (this.#entry !== none || !this.#canKeep) return
    this.#entry = tracker.sentCount - 1
    this.#serverName = serverName
  }

  onDescribePortal(): void {
    if (this.#lastName === '') return
    this.#ledger.tell(this.#lastName, 'portal')
    if (this.#isAtFirst) this.#isCovered = true
  }

  /** A message of the batch that cannot be run again, or that must not be run behind. */
  spoil({ tracker }: ServerLink): void {
    this.#begin(tracker.batches, false)
    this.#lastName = ''
    this.#isAtFirst = false
  }

  onFlush(): void {
    this.#isFlushed = true
  }

  /** Sync or Flush will say whether the client gets its error. */
  get isWaiting(): boolean {
    return this.#withheld !== null
  }

  /** The name on the server of what such an error is about; null: there is more than one that it may be. */
  staleIn({ tracker }: ServerLink): string | null {
    const { count } = tracker.failed
    if (count < this.#first) return null
    if (this.#entry !== none && count <= this.#entry) return this.#serverName
    return this.#isAtFirst ? this.#ledger.lastServerName : null
  }

  /** Such an error: true when the client is not to get it, or not yet. */
  onError(error: Buffer, link: ServerLink): boolean {
    const { tracker } = link
    const { count } = tracker.failed
    if (this.#entry === none || count < this.#first || count > this.#entry) return false
    // Only while it is this batch that is open: behind its Sync its ReadyForQuery is next.
    if (tracker.isBatchOpen && tracker.batches === this.#batch && !this.#isFlushed) {
      this.#withheld = error
      return true
    }
    return this.#begun(link)
  }

  /** Sync or Flush has come behind a withheld error. */
  decide(link: ServerLink): void {
    const error = this.#withheld
    this.#withheld = null
    this.#input.passSoFar()
    if (!this.#begun(link)) this.#late = error
  }

  /** An error that the client gets after all. */
  tellLate(client: Transport): void {
    if (this.#late === null) return
    client.write(this.#late)
    this.#late = null
  }

  /** The statement to be made anew. */
  get serverName(): string {
    return this.#serverName
  }

  /** What the client sent, to be read once more; null: nothing. */
  takeAgain({ tracker }: ServerLink): Buffer | null {
    if (!this.isUnderWay) return null
    this.isUnderWay = false
    this.#batch = none
    this.#againBatch = tracker.batches
    return this.#input.takeKept()
  }

  #begin(batch: number, canKeep: boolean): void {
    if (this.#canKeep) this.#input.dropKept()
    this.#batch = batch
    this.#entry = none
    this.#isFlushed = false
    this.#canKeep = canKeep
    if (canKeep) this.#input.keepFromHere(keptBatchBytesMax)
  }

  #begun({ tracker, transport }: ServerLink): boolean {
    if (!this.#isCovered || !this.#input.isKeptWhole || !tracker.isFailedBatchLast) return false
    if (tracker.isBatchOpen) transport.write(syncMessage)
    tracker.disownBatch()
    this.#counters.statementRepairs++
    this.isUnderWay = true
    return true
  }
}
