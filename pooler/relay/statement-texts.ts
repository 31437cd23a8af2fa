// Which of a client's prepared texts may leave something behind on a server, by the client's name.
// Harmless ones, which are most, are not kept.
import { statementKey } from './statement-frames.ts'
import { harmless, type TextVerdict, unknownText } from './text-verdict.ts'

/** Suspect statements of one client; with more, every statement counts as suspect. */
const suspectsMax = 1000

export class StatementTexts {
  /** Made when first needed: most clients have none. */
  #suspects: Map<string, TextVerdict> | null = null
  readonly #onSet: (verdict: TextVerdict) => void
  readonly #onUse: (verdict: TextVerdict) => void
  #isFull = false

  /** Told of each suspect text that is about to be prepared, and to be run. */
  constructor(onSet: (verdict: TextVerdict) => void, onUse: (verdict: TextVerdict) => void) {
    this.#onSet = onSet
    this.#onUse = onUse
  }

  /** A name stands for this text from here on, if the server takes it. */
  set(name: string, verdict: TextVerdict): void {
    if (verdict === harmless && this.#suspects === null) return
    const key = statementKey(name)
    if (verdict === harmless) {
      this.#suspects?.delete(key)
      return
    }
    this.#onSet(verdict)
    this.#suspects ??= new Map()
    if (this.#suspects.size < suspectsMax) this.#suspects.set(key, verdict)
    else this.#isFull = true
  }

  /** `use` of this name would tell of something. */
  isSuspect(name: string): boolean {
    return this.#isFull || this.#suspects?.has(statementKey(name)) === true
  }

  /** The statement of this name is about to be run. */
  use(name: string): void {
    if (this.#isFull) this.#onUse(unknownText)
    if (this.#suspects === null) return
    const verdict = this.#suspects.get(statementKey(name))
    if (verdict !== undefined) this.#onUse(verdict)
  }

  /** This text is about to be run. */
  run(verdict: TextVerdict): void {
    this.#onUse(verdict)
  }
}
