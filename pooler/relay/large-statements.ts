// Named statements whose texts are too long to be kept: each is on one server, which its client then keeps.
import { noBytes } from '../../shared/no-bytes.ts'
import { frontend } from '../../shared/protocol/message-types.ts'
import type { ServerLink } from './server-link.ts'
import type { StatementCatalog } from './statement-catalog.ts'
import { headOf, type Substitute } from './statement-frames.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { StatementRefusals } from './statement-refusals.ts'
import type { StatementSupply } from './statement-supply.ts'
import type { StatementsInSql } from './statements-in-sql.ts'

export class LargeStatements {
  readonly #catalog: StatementCatalog
  readonly #ledger: StatementLedger
  readonly #supply: StatementSupply
  readonly #inSql: StatementsInSql
  readonly #refusals: StatementRefusals

  constructor(
    catalog: StatementCatalog,
    ledger: StatementLedger,
    supply: StatementSupply,
    inSql: StatementsInSql,
    refusals: StatementRefusals,
  ) {
    this.#catalog = catalog
    this.#ledger = ledger
    this.#supply = supply
    this.#inSql = inSql
    this.#refusals = refusals
  }

  /**
   * A named Parse too long to be kept, which goes on under `serverName` to the one server that will
   * ever have it. null: it is swallowed.
   */
  onParse(name: string, bodyBytes: number, serverName: string): Substitute | null {
    const { tracker } = this.#supply.link as ServerLink
    const isTaken = this.#ledger.statementOf(name) !== null
    if (!isTaken && this.#ledger.isFull(name.length, 0)) {
      this.#refusals.refuse(name)
      return null
    }
    const sentName = isTaken ? this.#refusals.ensureTaken(name).serverName : serverName
    if (!isTaken && this.#inSql.mayHaveOwn) this.#supply.tryName(name)
    if (!tracker.sentNoted(frontend.parse)) return null
    if (isTaken) this.#supply.push({ kind: 'taken', name, serverName: sentName, statement: null })
    else {
      const statement = this.#catalog.takeNamed(sentName)
      this.#supply.push({ kind: 'name', name, statement, isSent: false })
    }
    const behindName = bodyBytes - name.length - 1
    const head = headOf(frontend.parse, noBytes, sentName, behindName)
    return { head, bodyBytes: name.length + 1 }
  }
}
