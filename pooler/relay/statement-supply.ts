// Brings a server the statements that its client's messages need: what it lacks is put in front of
// them, and what it has had too long is closed behind them. What the client's names stand for is
// prepared-statements.ts.
import { sync } from '../../shared/protocol/frontend-messages.ts'
import { frontend } from '../../shared/protocol/message-types.ts'
import type { ServerLink } from './server-link.ts'
import { isLarge, type Statement } from './statement-catalog.ts'
import { closeMessage } from './statement-frames.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { Operation } from './statement-operations.ts'

/** Where the client's messages come from. */
export interface ClientInput {
  /** What came before the present message goes to the server now. */
  passSoFar(): void
}

/** Uses of named statements, by whether the server had the text; and what became of texts. */
export interface StatementCounters {
  statementHits: number
  statementMisses: number
  statementEvictions: number
  statementRepairs: number
}

const syncMessage = sync()

export class StatementSupply {
  readonly #ledger: StatementLedger
  readonly #statementsMax: number
  readonly #input: ClientInput
  readonly #counters: StatementCounters
  /** The client's server; null: it has none. */
  link: ServerLink | null = null

  /** `statementsMax`: on one server. */
  constructor(
    ledger: StatementLedger,
    statementsMax: number,
    input: ClientInput,
    counters: StatementCounters,
  ) {
    this.#counters = counters
    this.#ledger = ledger
    this.#statementsMax = statementsMax
    this.#input = input
  }

  /** The server has the statement when what comes next gets there. */
  ensure(statement: Statement): void {
    const { tracker } = this.#server
    const { serverName, parse } = statement
    if (this.has(serverName)) return
    // Too long to be kept: it is there, or it is gone for good.
    if (isLarge(statement)) return
    this.closeSuspect(serverName)
    if (!tracker.sentQuietly(frontend.parse)) return
    this.send(parse)
    this.#learn(statement)
    this.makeRoom()
  }

  /** The server has it, and keeps it as long as others. */
  has(serverName: string): boolean {
    const { statements } = this.#server
    if (!statements.has(serverName)) return false
    statements.touch(serverName)
    this.#counters.statementHits++
    return true
  }

  /** The server has been sent a client's own Parse. */
  onMiss(): void {
    this.#counters.statementMisses++
  }

  /** As `ensure`, in a batch of its own: what fails there skips nothing of the client's. */
  ensureApart(wanted: readonly Statement[]): void {
    const { tracker, statements } = this.#server
    const lacking = wanted.filter((one) => !this.has(one.serverName) && !isLarge(one))
    if (lacking.length === 0) return
    for (const statement of lacking) {
      const { serverName } = statement
      if (statements.has(serverName)) continue
      if (statements.takeSuspect(serverName)) {
        tracker.sentOwnNoted(frontend.close)
        this.send(closeMessage(serverName))
        this.push({ kind: 'evict', serverName })
      }
      tracker.sentOwnNoted(frontend.parse)
      this.send(statement.parse)
      this.#learn(statement)
    }
    tracker.sentOwnSync()
    this.send(syncMessage)
  }

  /** One that must not be used as it is there, and is about to be made anew. */
  closeSuspect(serverName: string): void {
    if (this.#server.statements.takeSuspect(serverName)) this.closeQuietly(serverName)
  }

  /** False where the server skips all up to a Sync. */
  closeQuietly(serverName: string): boolean {
    const { tracker, statements } = this.#server
    if (!tracker.sentQuietly(frontend.close)) {
      statements.keepSuspect(serverName)
      return false
    }
    this.send(closeMessage(serverName))
    this.push({ kind: 'evict', serverName })
    return true
  }

  /** Behind a message that makes a statement: those that have not been used for long are closed. */
  makeRoom(): void {
    const { statements } = this.#server
    while (statements.size > this.#statementsMax) {
      const serverName = statements.takeEvictable()
      if (serverName === null || !this.closeQuietly(serverName)) return
      this.#counters.statementEvictions++
    }
  }

  /** Behind what the client has sent so far. */
  send(bytes: Buffer): void {
    const { transport } = this.#server
    transport.hold()
    this.#input.passSoFar()
    transport.write(bytes)
  }

  push(operation: Operation): void {
    this.#ledger.push(operation, this.#server.statements, this.#server.tracker.batches)
  }

  #learn(statement: Statement): void {
    this.onMiss()
    this.push({ kind: 'learn', statement })
  }

  get #server(): ServerLink {
    return this.link as ServerLink
  }
}
