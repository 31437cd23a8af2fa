// SQL of the client's that names statements which it prepared by protocol: EXECUTE, DEALLOCATE and
// PREPARE. Its text is translated, the server is given what it names, and what it drops is dropped for
// this client alone. Which names there are is prepared-statements.ts.
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { frontend, status } from '../../shared/protocol/message-types.ts'
import { contentFor, type NamingText } from './naming-text.ts'
import { query } from './reply-entries.ts'
import type { ServerLink } from './server-link.ts'
import type { SessionAnswer } from './session-question.ts'
import type { Statement, StatementCatalog } from './statement-catalog.ts'
import { parseMessage } from './statement-frames.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { Operation, Unnamed } from './statement-operations.ts'
import type { StatementReference } from './statement-references.ts'
import type { StatementSupply } from './statement-supply.ts'
import { clientPosition, type Translation, translate } from './statement-translation.ts'
import { type TextVerdict, unknownText, verdictOfPrepared } from './text-verdict.ts'

const none: readonly TextVerdict[] = []

/** Portals of one transaction whose SQL names statements; with more, no further one is translated. */
const portalsMax = 1000

export class StatementsInSql {
  readonly #catalog: StatementCatalog
  readonly #ledger: StatementLedger
  readonly #supply: StatementSupply
  /** What Execute of a portal will run; made when first needed. */
  #portals: Map<string, Translation> | null = null
  /** Of the latest Bind. */
  #batch = 0
  /** What the server said when it refused a statement in front of a Query. */
  #refusal: PostgresError | null = null
  /** The tag of a DEALLOCATE that has been dealt with is about to come. */
  #isTagDue = false
  /** The server may have statements that SQL has prepared, under the client's own names. */
  mayHaveOwn = false
  /** Of those that may leave something behind where they are run. */
  leaving: readonly TextVerdict[] = none

  constructor(catalog: StatementCatalog, ledger: StatementLedger, supply: StatementSupply) {
    this.#catalog = catalog
    this.#ledger = ledger
    this.#supply = supply
  }

  get hasPortals(): boolean {
    return this.#portals !== null
  }

  /** The client gets a server, on which nothing is its own yet. */
  attach(): void {
    this.forgetPortals()
    this.mayHaveOwn = false
    this.leaving = none
  }

  /** SQL is about to prepare one, or may do so. */
  onPrepare(): void {
    this.mayHaveOwn = true
    this.leaving = [unknownText]
  }

  /** There is none on the server. */
  forgetPortals(): void {
    this.#portals = null
    this.#isTagDue = false
  }

  /** The server has been asked what it holds. */
  onAnswer({ prepared, isAllTold }: SessionAnswer): void {
    this.mayHaveOwn = prepared.length > 0
    this.leaving = isAllTold
      ? prepared.map(verdictOfPrepared).filter((one) => one !== null)
      : [unknownText]
  }

  translate(text: string, references: readonly StatementReference[]): Translation | null {
    return translate(text, references, (name) => this.#ledger.statementOf(name), this.#catalog)
  }

  /** In front of a simple Query, outside of any batch: an error of ours must not skip the Query. */
  supply(link: ServerLink, { used, deallocated }: Translation): void {
    if (link.tracker.needsClient && !link.tracker.isBatchOpen) return
    for (const { name, statement } of used) this.#ledger.noteUseInSql(name, statement.serverName)
    const wanted = [...used, ...deallocated].flatMap((one) => (one === null ? [] : one.statement))
    if (link.tracker.isBatchOpen) this.#supply.ensureAll(wanted)
    else this.#supply.ensureApart(wanted)
  }

  /** A prepared text that names statements, as it is for the server now. */
  variantOf(naming: NamingText): Statement {
    const latest = this.#latestOf(naming)
    latest.variant ??= this.#catalog.variant(naming, contentFor(naming, latest.translation))
    return latest.variant
  }

  /** As `translate`, of a prepared text. */
  translationOf(naming: NamingText): Translation | null {
    return this.#latestOf(naming).translation
  }

  /** The whole Parse of the unnamed statement. */
  parseOf(naming: NamingText): Buffer {
    const translation = this.translationOf(naming)
    return parseMessage('', contentFor(naming, translation))
  }

  /** As `variantOf`; null: it is what it was. */
  unnamedVariantOf({ parse, naming, settings, verdict }: Unnamed): Unnamed | null {
    if (naming === null) return null
    const made = this.parseOf(naming)
    return parse?.equals(made) === true ? null : { parse: made, naming, settings, verdict }
  }

  /** A portal is about to be bound; `translation`: to a text that names statements. */
  onBind(portal: string, translation: Translation | null, { tracker }: ServerLink): void {
    const isBetween = tracker.isStatusKnown && tracker.status === status.idle
    // Those of the transaction before are gone.
    if (isBetween && tracker.batches !== this.#batch) this.forgetPortals()
    this.#batch = tracker.batches
    this.#portals?.delete(portal)
    if (translation === null) return
    this.#portals ??= new Map()
    if (this.#portals.size < portalsMax) this.#portals.set(portal, translation)
  }

  /** In front of Parse of such a text, by which the server settles its columns. How many it needs. */
  onParse(naming: NamingText): number {
    const translation = this.translationOf(naming)
    if (translation === null) return 0
    this.onUse(translation, null)
    return translation.used.length
  }

  /** In front of a message that runs such a text, or looks into it; `own`: what it needs besides. */
  onUse({ used }: Translation, own: Statement | null): void {
    for (const { name, statement } of used) this.#ledger.noteUseInSql(name, statement.serverName)
    const wanted = used.map(({ statement }) => statement)
    if (own !== null) wanted.push(own)
    this.#supply.ensureAll(wanted)
  }

  /** In front of Describe of a portal: Postgres looks its columns up once more. */
  onDescribe(portal: string): void {
    const translation = this.#portals?.get(portal)
    if (translation !== undefined) this.onUse(translation, null)
  }

  /** True when the tracker has been told of this Execute. */
  onExecute(portal: string, { tracker }: ServerLink): boolean {
    const translation = this.#portals?.get(portal)
    if (translation === undefined) return false
    const [dropped = null] = translation.deallocated
    this.onUse(translation, dropped?.statement ?? null)
    if (dropped === null) return false
    if (tracker.sentNoted(frontend.execute)) {
      const standIn = dropped.statement.serverName
      this.#supply.push({ kind: 'drop', name: dropped.name, standIn })
    }
    return true
  }

  /** A message noted has succeeded; the ledger is about to be told. */
  onDone(): void {
    const { oldest } = this.#ledger
    if (oldest?.kind === 'drop') this.#isTagDue = true
    else if (oldest?.kind === 'query') this.#refusal = null
  }

  /** The tag DEALLOCATE. True when it is known what it has dropped. */
  onDropped(link: ServerLink): boolean {
    if (this.#isTagDue) {
      this.#isTagDue = false
      return true
    }
    const query = this.#query
    const dropped = query?.translation?.deallocated[query.dropped++] ?? null
    if (dropped === null) return false
    link.statements.forget(dropped.statement.serverName)
    this.#ledger.drop(dropped.name)
    return true
  }

  /** An error to a message of ours: true when it was to a statement in front of a Query. */
  onOwnError(error: PostgresError): boolean {
    const kind = this.#ledger.failed?.kind
    if (kind !== 'learn' && kind !== 'aside') return false
    this.#ledger.failed = null
    this.#refusal ??= error
    return true
  }

  /** The Query's error as its client would have met it: why there is no such statement. */
  causeOf(error: PostgresError): PostgresError {
    if (this.#refusal === null || this.#query === null) return error
    const { sqlState } = error.fields
    return sqlState === '26000' || sqlState === '25P02' ? this.#refusal : error
  }

  /** The body of an error in one character for each byte, with its position in the client's text. */
  withClientPosition(body: string): string {
    const translation = this.#query?.translation ?? null
    if (translation === null) return body
    return body.replace(positionField, (_field, before: string, position: string) => {
      return `${before}P${clientPosition(Number(position), translation.shifts)}\0`
    })
  }

  #latestOf(naming: NamingText): NonNullable<NamingText['latest']> {
    const { text, references, latest } = naming
    const stoodFor = this.#ledger.statementOf(references[0].name)
    if (latest !== null && latest.stoodFor === stoodFor) return latest
    const translation = this.translate(text, references)
    naming.latest = { stoodFor, translation, variant: null }
    return naming.latest
  }

  /** The Query that is being answered; null: it is not that. */
  get #query(): Extract<Operation, { kind: 'query' }> | null {
    const { oldest } = this.#ledger
    const isHere =
      this.#supply.link?.tracker.isNotedReply(query) === true && oldest?.kind === 'query'
    return isHere ? oldest : null
  }
}

const positionField = /(^|\0)P(\d{1,9})\0/
