// A client's unnamed statement, which follows it as long as its text is short enough to be kept.
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { frontend, headerBytes } from '../../shared/protocol/message-types.ts'
import { unnamedTextsBytesMax } from '../config/limits.ts'
import type { NamingText } from './naming-text.ts'
import { query } from './reply-entries.ts'
import type { ReplyTracker } from './reply-tracker.ts'
import type { ServerLink } from './server-link.ts'
import { closeMessage, parseOf } from './statement-frames.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { ErrorObserver } from './statement-observer.ts'
import type { Operation, Unnamed } from './statement-operations.ts'
import type { StatementSupply } from './statement-supply.ts'
import type { StatementsInSql } from './statements-in-sql.ts'
import { environmentOf, type TextSettings } from './text-environment.ts'
import { harmless, type TextVerdict } from './text-verdict.ts'

interface ParseAt {
  readonly chunk: Buffer
  readonly at: number
  readonly bodyBytes: number
}

const closeUnnamed = closeMessage('')
/** Fewer are compared faster here than by a call. */
const calledBytesMin = 256

/** `bytes` go on from `at` as `known` does from `from` to its end. */
function endsLike(known: Buffer, from: number, bytes: Buffer, at: number): boolean {
  const length = known.length - from
  if (length >= calledBytesMin) {
    return bytes.compare(known, from, known.length, at, at + length) === 0
  }
  let index = 0
  while (index < length && known[from + index] === bytes[at + index]) index++
  return index === length
}

/** The form of a message. What a text runs may raise it as well, and then the error tells where. */
const isBroken = ({ fields }: PostgresError): boolean =>
  fields.sqlState === '08P01' && fields.where === null
/** The encoding of a message, or of a literal in it (`E'\\xff'`). */
const isUnreadable = ({ fields }: PostgresError): boolean =>
  fields.sqlState === '22021' || fields.sqlState === '22P05'

export class UnnamedStatement implements ErrorObserver {
  readonly #ledger: StatementLedger
  readonly #supply: StatementSupply
  readonly #inSql: StatementsInSql
  /** What the client's latest Parse has done. */
  #latest: Extract<Operation, { kind: 'unnamed' }> | null = null

  constructor(ledger: StatementLedger, supply: StatementSupply, inSql: StatementsInSql) {
    this.#ledger = ledger
    this.#supply = supply
    this.#inSql = inSql
  }

  /** Its text where that names statements; null: it does not. */
  get naming(): NamingText | null {
    return this.#ledger.unnamed?.naming ?? null
  }

  /** What it may leave behind; where there is none, it cannot be run. */
  get verdict(): TextVerdict {
    return this.#ledger.unnamed?.verdict ?? harmless
  }

  /**
   * Its Parse, with a body of so many bytes at `at`. Where that is the text it has already, it goes on,
   * and what is known of the text is returned: drivers parse the same one again and again, and then
   * nothing is copied, or looked at twice.
   */
  repeat(
    { tracker }: ServerLink,
    { chunk, at, bodyBytes }: ParseAt,
    settings: TextSettings,
  ): TextVerdict | null {
    const known = this.#ledger.unnamed
    if (known === null || this.#latest?.unnamed !== known || known.parse === null) return null
    const { parse, naming } = known
    if (naming !== null || known.settings !== settings) return null
    if (parse.length !== headerBytes + bodyBytes) return null
    if (!endsLike(parse, headerBytes, chunk, at)) return null
    if (tracker.sentNoted(frontend.parse)) this.#supply.push(this.#latest)
    return known.verdict
  }

  /** Its Parse; null where the body is too long to be kept. `naming`: the text names statements. */
  onParse(
    { tracker }: ServerLink,
    body: Buffer | null,
    naming: NamingText | null,
    settings: TextSettings,
    verdict: TextVerdict,
  ): void {
    if (!tracker.sentNoted(frontend.parse)) return
    const isKept = body !== null && this.#ledger.unnamedBytes + body.length <= unnamedTextsBytesMax
    const parse = isKept ? parseOf(body) : null
    const unnamed = { parse, naming, settings, verdict }
    this.#latest = { kind: 'unnamed', unnamed, isClients: true }
    this.#supply.push(this.#latest)
  }

  /** Bind or Describe: the server has this client's, or none, from here on. */
  onUse({ tracker, statements }: ServerLink): void {
    const before = this.#ledger.unnamed
    const changed = before === null ? null : this.#inSql.unnamedVariantOf(before)
    const wanted = changed ?? before
    if (statements.unnamed === wanted) return
    // Another client's text must not be run with this one's values: what cannot be parsed again is
    // closed, and the server says that there is no such statement.
    const parse = wanted?.parse ?? null
    const lent = wanted !== null && parse !== null ? this.#lendFor(wanted, parse) : null
    if (!tracker.sentQuietly(parse === null ? frontend.close : frontend.parse)) return
    this.#supply.send(parse ?? closeUnnamed)
    const sent = parse === null ? null : wanted
    this.#supply.push({ kind: 'unnamed', unnamed: sent, isClients: changed !== null })
    if (lent !== null) this.#supply.giveBack(lent)
    // What its text names has been brought in front of it, and has to be there still.
    const named = before?.naming ? this.#inSql.translationOf(before.naming)?.used : undefined
    this.#supply.makeRoomBehind((named ?? []).map(({ statement }) => statement))
  }

  #lendFor({ settings }: Unnamed, parse: Buffer): string | null {
    const textAt = headerBytes + 1
    const text = parse.toString('latin1', textAt, parse.indexOf(0, textAt))
    return this.#supply.lend(environmentOf(text, settings))
  }

  onError(error: PostgresError, tracker: ReplyTracker): void {
    const failure = isBroken(error) ? 'unread' : isUnreadable(error) ? 'unreadable' : 'read'
    if (tracker.isNotedReply(query)) this.#ledger.failQuery(failure)
    else this.#ledger.failUnnamed(failure)
  }

  onClose({ tracker }: ServerLink): void {
    if (!tracker.sentNoted(frontend.close)) return
    this.#supply.push({ kind: 'unnamed', unnamed: null, isClients: true })
  }
}
