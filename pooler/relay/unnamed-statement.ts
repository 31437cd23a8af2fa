// A client's unnamed statement, which follows it as long as its text is short enough to be kept.
import { frontend, headerBytes } from '../../shared/protocol/message-types.ts'
import { unnamedTextsBytesMax } from '../config/limits.ts'
import type { NamingText } from './naming-text.ts'
import type { ServerLink } from './server-link.ts'
import { closeMessage, parseOf } from './statement-frames.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { Unnamed } from './statement-operations.ts'
import type { StatementSupply } from './statement-supply.ts'
import type { StatementsInSql } from './statements-in-sql.ts'
import { environmentOf, type TextSettings } from './text-environment.ts'

interface ParseAt {
  readonly chunk: Buffer
  readonly at: number
  readonly bodyBytes: number
}

const closeUnnamed = closeMessage('')

export class UnnamedStatement {
  readonly #ledger: StatementLedger
  readonly #supply: StatementSupply
  readonly #inSql: StatementsInSql

  constructor(ledger: StatementLedger, supply: StatementSupply, inSql: StatementsInSql) {
    this.#ledger = ledger
    this.#supply = supply
    this.#inSql = inSql
  }

  /** Its text where that names statements; null: it does not. */
  get naming(): NamingText | null {
    return this.#ledger.unnamed?.naming ?? null
  }

  /**
   * Its Parse, with a body of so many bytes at `at`. True where that is the text it has already: drivers
   * parse the same one again and again, and then nothing is copied.
   */
  repeats(
    { tracker }: ServerLink,
    { chunk, at, bodyBytes }: ParseAt,
    settings: TextSettings,
  ): boolean {
    const known = this.#ledger.unnamed
    if (known === null || known.parse === null) return false
    const { parse, naming } = known
    if (naming !== null || known.settings !== settings) return false
    if (parse.length !== headerBytes + bodyBytes) return false
    if (chunk.compare(parse, headerBytes, parse.length, at, at + bodyBytes) !== 0) return false
    if (tracker.sentNoted(frontend.parse)) {
      this.#supply.push({ kind: 'unnamed', unnamed: known, isClients: true })
    }
    return true
  }

  /** Its Parse; null where the body is too long to be kept. `naming`: the text names statements. */
  onParse(
    { tracker }: ServerLink,
    body: Buffer | null,
    naming: NamingText | null,
    settings: TextSettings,
  ): void {
    if (!tracker.sentNoted(frontend.parse)) return
    const isKept = body !== null && this.#ledger.unnamedBytes + body.length <= unnamedTextsBytesMax
    const parse = isKept ? parseOf(body) : null
    this.#supply.push({ kind: 'unnamed', unnamed: { parse, naming, settings }, isClients: true })
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
    this.#supply.makeRoom(1)
  }

  #lendFor({ settings }: Unnamed, parse: Buffer): string | null {
    const textAt = headerBytes + 1
    const text = parse.toString('latin1', textAt, parse.indexOf(0, textAt))
    return this.#supply.lend(environmentOf(text, settings))
  }

  onClose({ tracker }: ServerLink): void {
    if (!tracker.sentNoted(frontend.close)) return
    this.#supply.push({ kind: 'unnamed', unnamed: null, isClients: true })
  }
}
