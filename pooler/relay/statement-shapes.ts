// Sees to it that a client which was told the columns of a statement gets no others, whichever server runs it. A
// server that has made the statement at another time is asked for its columns in front of the first use, and where
// they differ, Bind or Execute meets Postgres' own error, until the client prepares the text anew.
import { Buffer } from 'node:buffer'
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { flush } from '../../shared/protocol/frontend-messages.ts'
import { frontend, status } from '../../shared/protocol/message-types.ts'
import { seenBytesMax } from './pump.ts'
import type { ReplyTracker } from './reply-tracker.ts'
import type { ServerLink } from './server-link.ts'
import { isLarge, type Statement, type StatementCatalog } from './statement-catalog.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { ShapeObserver } from './statement-observer.ts'
import { columnsOf, withTypes } from './statement-shape.ts'
import type { StatementSupply } from './statement-supply.ts'

const flushMessage = flush()
/** A copy with other types of parameters is made anew, and asked again. */
const triesMax = 2

export type ShapeVerdict = 'run' | 'wait' | 'refuse'

const isFailed = (tracker: ReplyTracker): boolean =>
  tracker.isStatusKnown && tracker.status === status.failed

const hasShape = (statement: Statement): boolean =>
  statement.naming === null && !statement.readsCursor && !isLarge(statement)

export class StatementShapes implements ShapeObserver {
  readonly #catalog: StatementCatalog
  readonly #ledger: StatementLedger
  readonly #supply: StatementSupply
  /** By the latest Bind; null: it does not matter, or the client has asked for its columns. */
  #bound: Statement | null = null
  #boundName = ''
  #boundPortal = ''
  /** The client has asked for the columns of this name, in this batch; null: of none. */
  #asked: string | null = null
  /** Of `#bound` and `#asked`. */
  #batch = 0
  /** Of the Bind that waits. */
  #tries = 0
  #isFlushed = false
  /** Of the Describe that is being answered. */
  #types: Buffer | null = null

  constructor(catalog: StatementCatalog, ledger: StatementLedger, supply: StatementSupply) {
    this.#catalog = catalog
    this.#ledger = ledger
    this.#supply = supply
  }

  detach(): void {
    this.#bound = null
    this.#asked = null
    this.#tries = 0
    this.#types = null
  }

  /**
   * May a Bind of this name go on, by a client that was told for good? It waits while a server that has not
   * been asked is, where Postgres would refuse it.
   */
  verdictOfBind(name: string, statement: Statement | null, { tracker }: ServerLink): ShapeVerdict {
    this.#enter(tracker.batches)
    if (statement === null || !hasShape(statement) || this.#asked === name) return 'run'
    const { columns, hasOtherColumns } = statement.shape
    if (columns === null || !this.#ledger.isToldForGood(name)) return 'run'
    if (hasOtherColumns) return 'refuse'
    if (!this.#isOpen(statement) || isFailed(tracker)) return 'run'
    if (this.#ledger.describing === 0) {
      if (this.#tries++ === triesMax) return 'run'
      this.#supply.ensure(statement)
      this.#supply.describe(statement)
      // The server skips all up to a Sync.
      if (this.#ledger.describing === 0) return 'run'
      this.#isFlushed = false
    }
    return this.#wait()
  }

  /** In front of a Bind of the client's to this portal; null: not of a named statement. */
  onBind(name: string, statement: Statement | null, portal: string, { tracker }: ServerLink): void {
    this.#enter(tracker.batches)
    this.#isFlushed = false
    this.#tries = 0
    this.#bound = statement === null || !hasShape(statement) ? null : statement
    if (this.#bound === null || statement === null) return
    this.#boundName = name
    this.#boundPortal = portal
    if (statement.shape.columns === null || this.#asked === name) return
    if (statement.shape.hasOtherColumns || !this.#isOpen(statement)) return
    if (this.#ledger.isTold(name)) this.#supply.describe(statement)
  }

  /** Describe of a statement: true when it has been counted, because its answer is looked at. */
  onDescribe(name: string, statement: Statement | null, { tracker }: ServerLink): boolean {
    this.#enter(tracker.batches)
    this.#asked = name
    return statement !== null && this.#look(name, statement, tracker)
  }

  /** As `onDescribe`, of a portal. */
  onDescribePortal(portal: string, { tracker }: ServerLink): boolean {
    this.#enter(tracker.batches)
    const bound = this.#bound
    if (bound === null || this.#boundPortal !== portal) return false
    this.#bound = null
    return this.#look(this.#boundName, bound, tracker)
  }

  /** The client executes a portal whose columns it may not have asked for. */
  get isAnyBound(): boolean {
    return this.#bound !== null
  }

  /** May such an Execute go on? */
  verdictOf(portal: string, link: ServerLink): ShapeVerdict {
    this.#enter(link.tracker.batches)
    const bound = this.#bound
    if (bound === null || this.#boundPortal !== portal || this.#asked === this.#boundName)
      return 'run'
    const { columns, hasOtherColumns } = bound.shape
    if (columns === null || !this.#ledger.isTold(this.#boundName)) return 'run'
    if (hasOtherColumns) return 'refuse'
    if (this.#ledger.describing === 0 || !this.#isOpen(bound)) return 'run'
    return this.#wait()
  }

  /**
   * The error of a Bind that had formats for the columns that the client was told, and met others: Postgres
   * would have refused the statement first.
   */
  isOfOtherColumns({ fields }: PostgresError): boolean {
    const bound = this.#bound
    if (fields.sqlState !== '08P01' || bound?.shape.hasOtherColumns !== true) return false
    return this.#ledger.isTold(this.#boundName)
  }

  /** The body of a ParameterDescription. */
  onParameters(bytes: Buffer, at: number, end: number): void {
    this.#types = end - at < seenBytesMax ? Buffer.from(bytes.subarray(at, end)) : null
  }

  /** The body of a RowDescription, or of NoData. */
  onColumns(bytes: Buffer, at: number, end: number): void {
    const types = this.#types
    this.#types = null
    const described = this.#ledger.described
    const columns = end - at < seenBytesMax ? columnsOf(bytes, at, end) : null
    if (described === null || columns === null) return
    const { statement, isAnew, name } = described
    const { shape, serverName } = statement
    const parse = types === null ? shape.parse : withTypes(serverName, statement.parse, types)
    const hasOtherColumns = shape.columns !== null && shape.columns !== columns
    if (hasOtherColumns || (shape.parse !== null && parse?.equals(shape.parse) === false)) {
      this.#outdate(statement, hasOtherColumns)
      if (name !== null) this.#renew(name, statement, columns, types)
      // It is learnt again with the types that clients were told.
      else if (!isAnew) this.#supply.link?.statements.suspect(serverName)
      return
    }
    shape.columns = columns
    shape.parse = parse
    if (!isAnew) this.#supply.link?.statements.onShapeSeen(serverName, shape)
  }

  /** Postgres has refused this one, because its columns are others by now. */
  onStale(serverName: string): void {
    const name = this.#ledger.nameOf(serverName)
    const statement = name === null ? null : this.#ledger.statementOf(name)
    // Else it is those of an older copy.
    if (statement !== null && !this.#isOpen(statement)) this.#outdate(statement, true)
  }

  #outdate({ shape }: Statement, hasOtherColumns: boolean): void {
    if (!shape.isOutdated) this.#catalog.onOutdated()
    shape.isOutdated = true
    if (hasOtherColumns) shape.hasOtherColumns = true
  }

  /** The client has been told what there is now, and the server's copy is not what others were told. */
  #renew(name: string, statement: Statement, columns: string, types: Buffer | null): void {
    const renewed = this.#ledger.renew(name, statement)
    if (renewed === null) return
    this.#supply.link?.statements.suspect(statement.serverName)
    const { shape, serverName, parse } = renewed
    if (shape.columns !== null) return
    shape.columns = columns
    shape.parse = types === null ? null : withTypes(serverName, parse, types)
  }

  /** The columns of the server's own are not known to be those that clients were told. */
  #isOpen({ serverName, shape }: Statement): boolean {
    return this.#supply.link?.statements.isShapeSeen(serverName, shape) !== true
  }

  #look(name: string, statement: Statement, tracker: ReplyTracker): boolean {
    if (!hasShape(statement) || !this.#isOpen(statement)) return false
    if (tracker.sentNoted(frontend.describe)) {
      this.#supply.push({ kind: 'describe', name, statement, isAnew: false })
    }
    return true
  }

  #wait(): ShapeVerdict {
    // Else the server keeps its answer until the Sync that comes behind this message.
    if (!this.#isFlushed) this.#supply.send(flushMessage)
    this.#isFlushed = true
    return 'wait'
  }

  #enter(batch: number): void {
    if (batch === this.#batch) return
    this.#batch = batch
    this.#bound = null
    this.#asked = null
    this.#tries = 0
  }
}
