// One client's prepared statements in transaction mode. The client's names stay the client's; on
// servers a statement has a name made from its content, and a server learns it when it is first
// needed there. What a server has already is answered by us, in order with its other replies.
import { type Buffer, isUtf8 } from 'node:buffer'
import { frontend, status } from '../../shared/protocol/message-types.ts'
import { ClosingTexts } from './closing-texts.ts'
import { LargeStatements } from './large-statements.ts'
import { contentFor, dropsStatements, type NamingText } from './naming-text.ts'
import type { ServerLink } from './server-link.ts'
import type { SessionAnswer } from './session-question.ts'
import { type KeptInput, StalePlanRepair } from './stale-plan-repair.ts'
import {
  asForeign,
  isLarge,
  looksLikeOurs,
  type Statement,
  type StatementCatalog,
} from './statement-catalog.ts'
import { StatementErrors } from './statement-errors.ts'
import { headOf, parseMessage, type StatementUse, type Substitute } from './statement-frames.ts'
import { StatementLedger } from './statement-ledger.ts'
import type { StatementObserver } from './statement-observer.ts'
import type { StatementReference } from './statement-references.ts'
import { StatementRefusals } from './statement-refusals.ts'
import { type ShapeVerdict, StatementShapes } from './statement-shapes.ts'
import {
  type ClientInput,
  type StatementCounters,
  type StatementLimits,
  StatementSupply,
} from './statement-supply.ts'
import type { Translation } from './statement-translation.ts'
import { StatementsInSql } from './statements-in-sql.ts'
import type { SettingsInForce, TextEnvironment } from './text-environment.ts'
import type { TextVerdict } from './text-verdict.ts'
import { UnnamedStatement } from './unnamed-statement.ts'

const unnamed = ''
const portalOf = (beforeName: Buffer): string =>
  beforeName.toString('latin1', 0, beforeName.length - 1)

export class PreparedStatements implements StatementObserver {
  readonly #catalog: StatementCatalog
  readonly #ledger: StatementLedger
  readonly #supply: StatementSupply
  readonly inSql: StatementsInSql
  readonly unnamed: UnnamedStatement
  readonly repair: StalePlanRepair
  readonly refusals: StatementRefusals
  readonly large: LargeStatements
  readonly shapes: StatementShapes
  readonly errors: StatementErrors
  readonly #onLargeLearnt: () => void
  #link: ServerLink | null = null
  readonly #closing: ClosingTexts

  /** `onLargeLearnt`: the client's server has a statement that can be brought to no other. */
  constructor(
    catalog: StatementCatalog,
    limits: StatementLimits,
    counters: StatementCounters,
    input: ClientInput & KeptInput,
    inForce: SettingsInForce,
    onLargeLearnt: () => void,
  ) {
    this.#catalog = catalog
    this.#closing = new ClosingTexts(input)
    this.#ledger = new StatementLedger(catalog, limits.clientStatementsMax)
    this.#supply = new StatementSupply(catalog, this.#ledger, limits, input, inForce, counters)
    this.inSql = new StatementsInSql(catalog, this.#ledger, this.#supply)
    this.unnamed = new UnnamedStatement(this.#ledger, this.#supply, this.inSql)
    this.repair = new StalePlanRepair(input, this.#ledger, counters)
    this.refusals = new StatementRefusals(catalog, this.#ledger, this.#supply, limits)
    const parts = [catalog, this.#ledger, this.#supply] as const
    this.large = new LargeStatements(...parts, this.inSql, this.refusals)
    this.shapes = new StatementShapes(...parts)
    this.errors = new StatementErrors(this.#ledger, this.#supply)
    this.#onLargeLearnt = onLargeLearnt
  }

  get hasUnnamed(): boolean {
    return this.#ledger.unnamed !== null
  }

  /** No name, and none on its way. */
  get isEmpty(): boolean {
    return this.#ledger.isEmpty
  }

  attach(link: ServerLink): void {
    this.#link = link
    this.#supply.link = link
    this.#closing.attach()
    this.inSql.attach()
    link.tracker.observer = this
  }

  detach(link: ServerLink): void {
    link.tracker.observer = null
    this.#link = null
    this.#supply.link = null
    this.repair.detach()
    this.shapes.detach()
  }

  /** The client is gone. */
  leave(): void {
    this.#ledger.leave()
  }

  onNotedDone(): void {
    const { oldest } = this.#ledger
    if (oldest?.kind !== 'unnamed') {
      if (oldest?.kind === 'name' && isLarge(oldest.statement)) this.#onLargeLearnt()
      this.inSql.onDone()
    }
    this.#ledger.confirm(this.#server().statements)
  }

  onNotedLapsed(isCause: boolean): void {
    this.#ledger.lapse(isCause, this.#server().statements)
  }

  onOwnSent(): void {
    this.#server().statements.spoilUnnamed()
  }

  /**
   * True while it is not known what the name stands for, because an earlier batch that says so may
   * yet be skipped: the message has to wait.
   */
  isUncertain(name: string): boolean {
    const server = this.#server()
    const { tracker, statements } = server
    const usesName = name !== unnamed || this.unnamed.naming !== null
    if (this.#closing.mustWait(usesName, server)) return true
    if (!tracker.isAheadOfReplies) return false
    const batch = tracker.batches
    if (this.#ledger.isUncertain(name, batch)) return true
    const references = this.namingTextOf(name)?.references
    if (references?.some((one) => this.#ledger.isUncertain(one.name, batch))) return true
    if (name === unnamed) return statements.isUnnamedUncertain(batch)
    const statement = this.#ledger.statementOf(name)
    return statement !== null && statements.isUncertain(statement.serverName, batch)
  }

  /** As isUncertain, of what a text names. */
  isAnyUncertain(references: readonly StatementReference[]): boolean {
    return references.some(({ name }) => name !== unnamed && this.isUncertain(name))
  }

  /** What the text that the name stands for may leave behind on the server; null: SQL may have prepared it. */
  verdictOf(name: string): TextVerdict | null {
    if (name === unnamed) return this.unnamed.verdict
    return this.#ledger.statementOf(name)?.verdict ?? null
  }

  /** The name's text where that names statements itself; null: it does not. */
  namingTextOf(name: string): NamingText | null {
    if (name === unnamed) return this.unnamed.naming
    return this.#ledger.statementOf(name)?.naming ?? null
  }

  /** A message that had to wait may try again. */
  get mayGoOn(): boolean {
    const server = this.#server()
    const { tracker } = server
    if (this.repair.isUnderWay) return tracker.owed === 0
    return !tracker.isAheadOfReplies && !this.#closing.isAwaitedStill(server)
  }

  /** What runs next may close statements. */
  noteCloser(): void {
    this.#closing.note()
  }

  /**
   * A simple Query destroys the unnamed statement; `translation`: it names statements of the client's.
   * `body`: where it goes on as it is, and is there whole.
   */
  onQuery(translation: Translation | null, body: Buffer | null): void {
    const { tracker, statements } = this.#server()
    const isKnown = this.#ledger.unnamed !== null || statements.unnamed !== null
    // What is on its way may yet be skipped.
    const isAny = isKnown || this.#ledger.oldest !== null
    if (tracker.isBatchOpen) this.repair.spoil(this.#server())
    if (translation !== null) this.inSql.supply(this.#server(), translation)
    else if (!isAny) {
      tracker.sent(frontend.query)
      return
    }
    if (tracker.sentNoted(frontend.query)) {
      const isEncoded = this.#ledger.unnamed === null || body === null || isUtf8(body)
      this.#supply.push({ kind: 'query', translation, isEncoded, dropped: 0, failed: null })
    }
  }

  /**
   * `content` is the body behind the name: text and parameter types; it is copied where kept. False:
   * it has to wait, see isUncertain.
   */
  onParse(
    name: string,
    content: Buffer,
    environment: TextEnvironment,
    naming: NamingText | null,
  ): boolean {
    const { tracker, statements } = this.#server()
    if (this.#ledger.statementOf(name) !== null) {
      this.refusals.refuseTaken(name, content, environment)
      return true
    }
    if (this.#ledger.isFull(name.length, content.length)) {
      this.refusals.refuse(name)
      return true
    }
    const statement = this.#take(environment, content, naming)
    const { serverName } = statement
    if (tracker.isAheadOfReplies && statements.isUncertain(serverName, tracker.batches)) {
      this.#catalog.give(statement)
      return false
    }
    if (this.inSql.mayHaveOwn) this.#parseAgain(name, statement, content)
    else if (!this.#supply.has(serverName)) this.#parseNew(name, statement)
    else if (tracker.isCountKnown && tracker.isStatusKnown && tracker.status !== status.failed) {
      if (naming === null && this.#catalog.isCheckDue(statement)) {
        this.#supply.check(statement, content)
      }
      if (tracker.answered(frontend.parse)) {
        this.#supply.push({ kind: 'name', name, statement, isSent: false })
      } else this.#catalog.give(statement)
    } else this.#parseAgain(name, statement, content)
    return true
  }

  /**
   * Bind or Describe of a statement. Puts in front what the server lacks; null: the message goes on
   * as it is.
   */
  onUse(use: StatementUse): Substitute | null {
    const { name, type, beforeName, bodyBytes } = use
    const statement = this.#ledger.statementOf(name)
    this.repair.onUse(type, name, this.#server())
    if (type === frontend.bind && statement?.naming !== null) this.#bindTo(beforeName, name, null)
    let serverName: string
    if (statement !== null) {
      serverName = this.#use(use, statement)
    } else if (looksLikeOurs(name)) {
      serverName = asForeign(name)
      this.#ledger.noteUse(name, serverName)
    } else {
      return null // Unknown here, unknown there: the server says so in its own words.
    }
    const taken = beforeName.length + name.length + 1
    return { head: headOf(type, beforeName, serverName, bodyBytes - taken), bodyBytes: taken }
  }

  verdictOfBind(name: string, link: ServerLink): ShapeVerdict {
    return this.shapes.verdictOfBind(name, this.#ledger.statementOf(name), link)
  }

  /** Describe of a statement that is known: true when it has been counted. */
  onDescribe(name: string, link: ServerLink): boolean {
    return this.shapes.onDescribe(name, this.#ledger.statementOf(name), link)
  }

  /** The message of the latest `onUse` has been counted. */
  onUsed(): void {
    this.repair.onSent(this.#ledger.lastServerName, this.#server())
  }

  /** A statement has gone stale. True when the client is not told, or not yet; else it gets `error`. */
  onStale(error: Buffer): boolean {
    const stale = this.repair.staleIn(this.#server())
    const isRepairable = this.repair.onError(error, this.#server())
    if (stale !== null) this.shapes.onStale(stale)
    if (isRepairable) this.#server().statements.suspect(this.repair.serverName)
    else this.#server().statements.suspectAll()
    return isRepairable
  }

  /** Bind or Describe of the unnamed statement. */
  onUnnamedUse(type: number, beforeName: Buffer): void {
    const { naming } = this.unnamed
    if (type === frontend.bind) this.#bindTo(beforeName, unnamed, null)
    if (naming !== null) this.#useNaming(type, beforeName, naming, null)
    else if (type === frontend.bind && this.inSql.hasPortals) this.#onBind(beforeName, null)
    this.repair.spoil(this.#server())
    this.unnamed.onUse(this.#server())
  }

  /** Close of a statement: true when it goes on to the server, whose copy stays for others. */
  onClose(name: string): boolean {
    const { tracker } = this.#server()
    if (name === unnamed) {
      this.unnamed.onClose(this.#server())
      return true
    }
    const isOurs = this.#ledger.statementOf(name) !== null
    if (!isOurs && !looksLikeOurs(name)) return tracker.sent(frontend.close)
    if (tracker.isCountKnown ? tracker.answered(frontend.close) : this.#supply.closeNothing())
      this.#supply.push({ kind: 'unname', name })
    return false
  }

  /** DISCARD ALL or DEALLOCATE ALL has run. */
  onAllClosed(): void {
    this.#ledger.clear()
    this.#server().statements.clear()
  }

  /** The server has been asked what it holds. Code may have dropped what others have there. */
  onAnswer(answer: SessionAnswer): void {
    const { statements } = this.#server()
    if (answer.statements !== null && answer.statements < statements.count) statements.suspectAll()
    this.inSql.onAnswer(answer)
  }

  /** What the server has may be another's: it is made anew when it is next used. */
  suspectAll(): void {
    this.#server().statements.suspectAll()
  }

  #take(environment: TextEnvironment, content: Buffer, naming: NamingText | null): Statement {
    if (naming === null) return this.#catalog.take(environment, content)
    const translation = this.inSql.translationOf(naming)
    return this.#catalog.take(environment, contentFor(naming, translation), naming)
  }

  /** The statement's name on the server, which has it from here on. */
  #use({ name, type, beforeName }: StatementUse, statement: Statement): string {
    const { naming } = statement
    if (naming === null) {
      if (type === frontend.bind && this.inSql.hasPortals) this.#onBind(beforeName, null)
      this.#ledger.noteUse(name, statement.serverName)
      this.#supply.ensure(statement)
      if (type === frontend.bind) this.#bindTo(beforeName, name, statement)
      return statement.serverName
    }
    const variant = this.inSql.variantOf(naming)
    this.#useNaming(type, beforeName, naming, variant)
    return variant.serverName
  }

  /** `own`: the statement with this text; null: the unnamed one. */
  #useNaming(type: number, beforeName: Buffer, naming: NamingText, own: Statement | null): void {
    const translation = this.inSql.translationOf(naming)
    if (type === frontend.bind) this.#onBind(beforeName, translation)
    if (translation !== null) this.inSql.onUse(translation, own)
    else if (own !== null) this.#supply.ensure(own)
    if (dropsStatements(naming.references)) this.noteCloser()
  }

  #bindTo(beforeName: Buffer, name: string, statement: Statement | null): void {
    const portal = beforeName.length === 1 ? '' : portalOf(beforeName)
    this.shapes.onBind(name, statement, portal, this.#server())
  }

  /** `beforeName`: the portal's name with its NUL. */
  #onBind(beforeName: Buffer, translation: Translation | null): void {
    this.inSql.onBind(portalOf(beforeName), translation, this.#server())
  }

  #server(): ServerLink {
    return this.#link as ServerLink
  }

  #parseNew(name: string, statement: Statement): void {
    const { naming } = statement
    const besides = naming === null ? 0 : this.inSql.onParse(naming)
    this.#supply.closeSuspect(statement.serverName)
    if (!this.#server().tracker.sentNoted(frontend.parse)) {
      this.#catalog.give(statement)
      return
    }
    this.#supply.send(statement.parse)
    this.#supply.onMiss()
    this.#supply.push({ kind: 'name', name, statement, isSent: true })
    this.#supply.makeRoom(besides + 1)
  }

  /**
   * It is for the server to say. It has the statement, and the transaction may have failed: then
   * Postgres refuses most texts, but not ROLLBACK. Or SQL may have prepared one under that name.
   */
  #parseAgain(name: string, statement: Statement, content: Buffer): void {
    const { tracker } = this.#server()
    if (!tracker.sentNoted(frontend.parse)) {
      this.#catalog.give(statement)
      return
    }
    const isOwn = this.inSql.mayHaveOwn && !looksLikeOurs(name)
    const serverName = isOwn ? name : this.#catalog.scratchName()
    this.#supply.send(parseMessage(serverName, content))
    this.#supply.push({ kind: 'name', name, statement, isSent: false })
    this.#supply.closeQuietly(serverName, false)
  }
}
