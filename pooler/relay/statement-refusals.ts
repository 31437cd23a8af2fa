// Parse messages that are sent to fail, so that the server refuses them in the state that Postgres
// would be in: under a name that is taken, and beyond a client's limit.
import { frontend } from '../../shared/protocol/message-types.ts'
import type { ServerLink } from './server-link.ts'
import type { Statement, StatementCatalog } from './statement-catalog.ts'
import { limitReached, parseMessage, unparsable } from './statement-frames.ts'
import type { StatementLedger } from './statement-ledger.ts'
import type { StatementSupply } from './statement-supply.ts'

export class StatementRefusals {
  readonly #catalog: StatementCatalog
  readonly #ledger: StatementLedger
  readonly #supply: StatementSupply
  readonly #statementsMax: number

  /** `statementsMax`: of one client. */
  constructor(
    catalog: StatementCatalog,
    ledger: StatementLedger,
    supply: StatementSupply,
    statementsMax: number,
  ) {
    this.#catalog = catalog
    this.#ledger = ledger
    this.#supply = supply
    this.#statementsMax = statementsMax
  }

  /** Postgres' own 42P05: the Parse goes on under the name that the server has. */
  refuseTaken(name: string, taken: Statement, content: Buffer, environment: string): void {
    this.#ledger.noteUse(name, taken.serverName)
    this.#supply.ensure(taken)
    if (!(this.#supply.link as ServerLink).tracker.sentNoted(frontend.parse)) return
    const { serverName } = taken
    this.#supply.send(parseMessage(serverName, content))
    const statement = this.#catalog.take(environment, content)
    this.#supply.push({ kind: 'taken', name, serverName, statement })
  }

  /** A Parse that fails on the server, so that batch and transaction are where Postgres has them. */
  refuse(name: string): void {
    if (!(this.#supply.link as ServerLink).tracker.sentNoted(frontend.parse)) return
    this.#supply.send(unparsable)
    this.#supply.push({
      kind: 'refuse',
      error: limitReached(this.#statementsMax, name),
    })
  }
}
