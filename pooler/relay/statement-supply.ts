// Brings a server the statements that its client's messages need: what it lacks is put in front of
// them, and beyond SERVER_PREPARED_STATEMENTS_MAX those that were used longest ago are closed, at any
// moment: in a transaction, behind a use of theirs in the same batch, before their Parse is answered.
// Whoever needs one again brings it again, and portals keep what they were bound to. Two things stay
// above the limit: what one text names at once, and texts too long to be brought again, which are
// their client's own as its PREPAREs are. What the client's names stand for is prepared-statements.ts.
import { portalRun, sync } from '../../shared/protocol/frontend-messages.ts'
import { frontend } from '../../shared/protocol/message-types.ts'
import { arrayLiteral } from './array-literal.ts'
import type { ReplyTracker } from './reply-tracker.ts'
import type { ServerLink } from './server-link.ts'
import {
  isLarge,
  looksLikeOurs,
  type Statement,
  type StatementCatalog,
} from './statement-catalog.ts'
import { closeMessage, describeMessage, noContent, parseMessage } from './statement-frames.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { Operation } from './statement-operations.ts'
import { foreignSettings, type SettingsInForce, type TextEnvironment } from './text-environment.ts'

/** Where the client's messages come from. */
export interface ClientInput {
  /** What came before the present message goes to the server now. */
  passSoFar(): void
}

export interface StatementLimits {
  /** SERVER_PREPARED_STATEMENTS_MAX. */
  readonly serverStatementsMax: number
  /** CLIENT_PREPARED_STATEMENTS_MAX. */
  readonly clientStatementsMax: number
}

/** Uses of named statements, by whether the server had the text; and what became of texts. */
export interface StatementCounters {
  statementHits: number
  statementMisses: number
  statementEvictions: number
  statementRepairs: number
}

const syncMessage = sync()
const aside: Operation = { kind: 'aside' }

export class StatementSupply {
  readonly #ledger: StatementLedger
  readonly #statementsMax: number
  readonly #input: ClientInput
  readonly #counters: StatementCounters
  readonly #catalog: StatementCatalog
  readonly #inForce: SettingsInForce
  /** What is put in front is a batch of its own. */
  #isApart = false
  /** The client's server; null: it has none. */
  link: ServerLink | null = null

  constructor(
    catalog: StatementCatalog,
    ledger: StatementLedger,
    limits: StatementLimits,
    input: ClientInput,
    inForce: SettingsInForce,
    counters: StatementCounters,
  ) {
    this.#catalog = catalog
    this.#inForce = inForce
    this.#counters = counters
    this.#ledger = ledger
    this.#statementsMax = limits.serverStatementsMax
    this.#input = input
  }

  /** The server has the statement when what comes next gets there. */
  ensure(statement: Statement): void {
    if (this.#bring(statement)) this.makeRoom(1)
  }

  /** As `ensure`, of what one text needs together. */
  ensureAll(statements: readonly Statement[]): void {
    let isAny = false
    for (const one of statements) if (this.#bring(one)) isAny = true
    if (isAny) this.makeRoomBehind(statements)
  }

  #bring(statement: Statement): boolean {
    // Too long to be kept: it is there, or it is gone for good.
    if (isLarge(statement) || this.#hasForSure(statement.serverName)) return false
    const lent = this.lend(statement.environment)
    const isSent = this.#learn(statement)
    if (lent !== null) this.giveBack(lent)
    return isSent
  }

  /** The Parse that comes next is read by these settings. What `giveBack` wants behind it; null: nothing. */
  lend(environment: TextEnvironment): string | null {
    const foreign = foreignSettings(environment, this.#inForce)
    if (foreign === null) return null
    const { lend, giveBack } = this.#catalog
    // Both before the Parse: what was used longest ago is closed first.
    for (const own of [lend, giveBack]) if (!this.#hasForSure(own.serverName)) this.#learn(own)
    const names = arrayLiteral(foreign.map(([name]) => name))
    this.#run(lend, [names, arrayLiteral(foreign.map(([, value]) => value))])
    return names
  }

  giveBack(lent: string): void {
    this.#run(this.#catalog.giveBack, [lent])
  }

  #run({ serverName }: Statement, parameters: readonly string[]): void {
    for (const type of [frontend.bind, frontend.execute, frontend.close] as const) {
      if (!this.#note(type)) return
      this.push(aside)
    }
    this.send(portalRun(serverName, 'lk_lent', parameters))
  }

  /** The server has it, and keeps it as long as others. */
  has(serverName: string): boolean {
    const { statements } = this.#server()
    if (!statements.has(serverName)) return false
    statements.touch(serverName)
    this.#counters.statementHits++
    return true
  }

  /** As `has`, whatever becomes of an earlier batch that may yet be skipped. */
  #hasForSure(serverName: string): boolean {
    return !this.#isUncertain(serverName) && this.has(serverName)
  }

  #isUncertain(serverName: string): boolean {
    const { statements, tracker } = this.#server()
    return statements.isUncertain(serverName, tracker.batches)
  }

  /** The server has been sent a client's own Parse. */
  onMiss(): void {
    this.#counters.statementMisses++
  }

  /** As `ensureAll`, in a batch of its own: what fails there skips nothing of the client's. */
  ensureApart(wanted: readonly Statement[]): void {
    const { tracker } = this.#server()
    const lacking = wanted.filter((one) => !isLarge(one) && !this.#hasForSure(one.serverName))
    if (lacking.length === 0) return
    this.#isApart = true
    for (const statement of lacking) this.#bring(statement)
    this.makeRoomBehind(wanted)
    this.#isApart = false
    tracker.sentOwnSync()
    this.send(syncMessage)
  }

  /** The server refuses what comes next if SQL has prepared a statement of this name. */
  tryName(name: string): void {
    if (looksLikeOurs(name) || !this.#note(frontend.parse)) return
    this.send(parseMessage(name, noContent))
    this.push(aside)
    this.closeQuietly(name, false)
  }

  /** The server tells its columns when it gets there; an error is the client's. */
  describe(statement: Statement): void {
    if (!this.#note(frontend.describe)) return
    this.send(describeMessage(statement.serverName))
    this.push({ kind: 'describe', name: null, statement, isAnew: false })
  }

  /** The text of a Parse that is answered by us is parsed all the same; an error is the client's. */
  check(statement: Statement, content: Buffer): void {
    const name = this.#catalog.scratchName()
    if (!this.#note(frontend.parse)) return
    this.send(parseMessage(name, content))
    this.push(aside)
    if (!this.#note(frontend.describe)) return
    this.send(describeMessage(name))
    this.push({ kind: 'describe', name: null, statement, isAnew: true })
    this.closeQuietly(name, false)
  }

  /** One that must not be used as it is there, and is about to be made anew. */
  closeSuspect(serverName: string): void {
    if (this.#server().statements.takeSuspect(serverName)) this.closeQuietly(serverName, true)
  }

  /** False where the server skips all up to a Sync. */
  closeQuietly(serverName: string, wasSuspect: boolean): boolean {
    if (!this.#note(frontend.close)) {
      if (wasSuspect) this.#server().statements.keepSuspect(serverName)
      return false
    }
    this.send(closeMessage(serverName))
    this.push({ kind: 'evict', serverName, wasSuspect })
    return true
  }

  /** For an answer in the server's order. False where it skips all up to a Sync. */
  closeNothing(): boolean {
    if (!this.#server().tracker.sentNoted(frontend.close)) return false
    this.send(closeMessage(this.#catalog.scratchName()))
    return true
  }

  /** As `makeRoom`, behind what is `needed` together: what lent it settings, and was used later, goes first. */
  makeRoomBehind(needed: readonly Statement[]): void {
    const { statements } = this.#server()
    for (const { serverName } of needed)
      if (statements.has(serverName)) statements.touch(serverName)
    this.makeRoom(needed.length)
  }

  /** Behind a message that makes a statement; so many that were used last are `needed` together. */
  makeRoom(needed: number): void {
    for (let gone = this.#nextToGo(needed); gone !== null; gone = this.#nextToGo(needed)) {
      if (!this.closeQuietly(gone.serverName, gone.wasSuspect)) return
    }
  }

  /** The statement to be closed next; null: the server has no more than it may. */
  #nextToGo(needed: number): { serverName: string; wasSuspect: boolean } | null {
    const { statements } = this.#server()
    if (statements.size <= Math.max(this.#statementsMax, needed)) return null
    this.#counters.statementEvictions++
    const suspect = statements.takeAnySuspect()
    if (suspect !== null) return { serverName: suspect, wasSuspect: true }
    return { serverName: statements.leastUsed as string, wasSuspect: false }
  }

  /** Behind what the client has sent so far. */
  send(bytes: Buffer): void {
    const { transport } = this.#server()
    transport.hold()
    this.#input.passSoFar()
    transport.write(bytes)
  }

  push(operation: Operation): void {
    this.#ledger.push(operation, this.#server().statements, this.#server().tracker.batches)
  }

  #learn(statement: Statement): boolean {
    const { serverName } = statement
    // The server may have it or not: closing what there is not is no error.
    if (this.#isUncertain(serverName)) this.closeQuietly(serverName, false)
    this.closeSuspect(serverName)
    if (!this.#note(frontend.parse)) return false
    this.send(statement.shape.parse ?? statement.parse)
    this.onMiss()
    this.push({ kind: 'learn', statement })
    return true
  }

  #note(type: Parameters<ReplyTracker['sentQuietly']>[0]): boolean {
    const { tracker } = this.#server()
    if (!this.#isApart) return tracker.sentQuietly(type)
    tracker.sentOwnNoted(type)
    return true
  }

  #server(): ServerLink {
    return this.link as ServerLink
  }
}
