// What errors of a server say of its statements: our names for them, and what the server has lost.
import type { PoolerError } from '../../shared/errors.ts'
import type { ServerLink } from './server-link.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { StatementSupply } from './statement-supply.ts'

export class StatementErrors {
  readonly #ledger: StatementLedger
  readonly #supply: StatementSupply

  constructor(ledger: StatementLedger, supply: StatementSupply) {
    this.#ledger = ledger
    this.#supply = supply
  }

  /** True when an error's text may have to be put right. */
  get isAny(): boolean {
    return this.#ledger.wasUsed || !this.#ledger.isEmpty
  }

  /**
   * An error of the server's names one of our statements: has it lost it, or does it have another? Texts
   * of clients raise such errors as well, of any names.
   */
  onNamed(serverName: string, sqlState: string | null): void {
    const { statements } = this.#supply.link as ServerLink
    if (sqlState === '26000') statements.forget(serverName)
    if (sqlState !== '42P05' || this.#ledger.failed?.kind === 'taken') return
    const isAboutIt = statements.has(serverName) || this.#ledger.hasFailedToMake(serverName)
    if (isAboutIt) statements.suspect(serverName)
  }

  /** The client's name for a statement; null: it has none. */
  nameOf(serverName: string): string | null {
    return this.#ledger.nameOf(serverName)
  }

  /** What stands for the server's error, which has been dealt with; null: nothing. */
  takeInstead(): PoolerError | Buffer | null {
    const { errorInstead } = this.#ledger
    this.#ledger.failed = null
    return errorInstead
  }
}
