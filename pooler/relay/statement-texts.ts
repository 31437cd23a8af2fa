// Tells what the texts of a client's messages may leave behind on its server, when they are sent. What runs
// is what its names stand for then: a Parse on its way that is skipped changes nothing.
import type { PreparedStatements } from './prepared-statements.ts'
import type { Translation } from './statement-translation.ts'
import { harmless, type TextVerdict } from './text-verdict.ts'

export interface TextEvents {
  /** A text that may leave something behind is about to be prepared. */
  readonly onPrepared: (verdict: TextVerdict) => void
  /** Such a text is about to be run. */
  readonly onText: (verdict: TextVerdict) => void
}

export class StatementTexts {
  readonly #names: PreparedStatements
  readonly #events: TextEvents

  constructor(names: PreparedStatements, events: TextEvents) {
    this.#names = names
    this.#events = events
  }

  /** This text is about to be prepared. */
  prepare(verdict: TextVerdict): void {
    if (verdict !== harmless) this.#events.onPrepared(verdict)
  }

  /** This text is about to be run. */
  run(verdict: TextVerdict): void {
    const { inSql } = this.#names
    this.#events.onText(verdict)
    if (verdict.mayNameStatements) this.#runOwn()
    if (verdict.mayPrepare) inSql.onPrepare()
  }

  /** As `run`, of SQL that runs statements prepared by protocol. */
  runInSql({ verdict, used }: Translation): void {
    this.run(verdict)
    for (const { statement } of used)
      if (statement.verdict !== harmless) this.run(statement.verdict)
  }

  /** The statement of this name is about to be run. */
  use(name: string): void {
    const verdict = this.#names.verdictOf(name)
    if (verdict === null) this.#runOwn()
    if (verdict === null || verdict === harmless) return
    const naming = this.#names.namingTextOf(name)
    const translation = naming && this.#names.inSql.translationOf(naming)
    if (translation === null) this.run(verdict)
    else this.runInSql(translation)
  }

  /** One that SQL has prepared is about to be run, or may be. */
  #runOwn(): void {
    for (const verdict of this.#names.inSql.leaving) this.#events.onText(verdict)
  }
}
