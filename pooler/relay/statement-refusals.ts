// Parse messages that are sent to fail, so that the server refuses them in the state that Postgres
// would be in: under a name that is taken, and beyond a limit of ours.
import type { PoolerError } from '../../shared/errors.ts'
import { frontend } from '../../shared/protocol/message-types.ts'
import { statementNameBytesMax } from '../config/limits.ts'
import type { ServerLink } from './server-link.ts'
import type { Statement, StatementCatalog } from './statement-catalog.ts'
import {
  limitReached,
  nameTooLong,
  parseMessage,
  stalePlan,
  unparsable,
} from './statement-frames.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { StatementLimits, StatementSupply } from './statement-supply.ts'
import type { TextEnvironment } from './text-environment.ts'

export class StatementRefusals {
  readonly #catalog: StatementCatalog
  readonly #ledger: StatementLedger
  readonly #supply: StatementSupply
  readonly #statementsMax: number

  constructor(
    catalog: StatementCatalog,
    ledger: StatementLedger,
    supply: StatementSupply,
    limits: StatementLimits,
  ) {
    this.#catalog = catalog
    this.#ledger = ledger
    this.#supply = supply
    this.#statementsMax = limits.clientStatementsMax
  }

  /** Postgres' own 42P05: the Parse goes on under a name that the server has. */
  refuseTaken(name: string, content: Buffer, environment: TextEnvironment): void {
    const { serverName } = this.ensureTaken(name)
    if (!(this.#supply.link as ServerLink).tracker.sentNoted(frontend.parse)) return
    this.#supply.send(parseMessage(serverName, content))
    const statement = this.#catalog.take(environment, content)
    this.#supply.push({ kind: 'taken', name, serverName, statement })
  }

  /** The server has what a Parse meets under this name, whatever became of the tables of its statement. */
  ensureTaken(name: string): Statement {
    const taken = this.#catalog.taken(name)
    this.#ledger.noteUseInSql(name, taken.serverName)
    this.#supply.ensure(taken)
    return taken
  }

  /** The client has as many statements as it may have, or this one's name is too long. */
  refuse(name: string): void {
    if (name.length > statementNameBytesMax) this.refuseName()
    else this.#fail(limitReached(this.#statementsMax))
  }

  /** In place of any message of a batch with a name that is too long. */
  refuseName(): void {
    this.#fail(nameTooLong)
  }

  /** In place of an Execute: the client was told other columns. */
  refuseStale(): void {
    this.#fail(stalePlan)
  }

  /** By a Parse that fails on the server, so that batch and transaction are where Postgres has them. */
  #fail(error: PoolerError | Buffer): void {
    if (!(this.#supply.link as ServerLink).tracker.sentNoted(frontend.parse)) return
    this.#supply.send(unparsable)
    this.#supply.push({ kind: 'refuse', error })
  }
}
