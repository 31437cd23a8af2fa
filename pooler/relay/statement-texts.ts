// Which of a client's prepared texts may leave something behind on a server, by the client's name.
// Harmless ones, which are most, are not kept.
import { statementKey } from './statement-frames.ts'
import { harmless, type TextVerdict, unknownText } from './text-verdict.ts'

/** Suspect statements of one client; with more, every statement counts as suspect. */
const suspectsMax = 1000

export class StatementTexts {
  readonly #suspects = new Map<string, TextVerdict>()
  readonly #onUse: (verdict: TextVerdict) => void
  #isFull = false

  /** `onUse` is told of each suspect text that is about to be run. */
  constructor(onUse: (verdict: TextVerdict) => void) {
    this.#onUse = onUse
  }

  /** A name stands for this text from here on, if the server takes it. */
  set(name: string, verdict: TextVerdict): void {
    const key = statementKey(name)
    if (verdict === harmless) this.#suspects.delete(key)
    else if (this.#suspects.size < suspectsMax) this.#suspects.set(key, verdict)
    else this.#isFull = true
  }

  /** `use` of this name would tell of something. */
  isSuspect(name: string): boolean {
    return this.#isFull || (this.#suspects.size > 0 && this.#suspects.has(statementKey(name)))
  }

  /** The statement of this name is about to be run. */
  use(name: string): void {
    if (this.#isFull) this.#onUse(unknownText)
    if (this.#suspects.size === 0) return
    const verdict = this.#suspects.get(statementKey(name))
    if (verdict !== undefined) this.#onUse(verdict)
  }

  /** This text is about to be run. */
  run(verdict: TextVerdict): void {
    this.#onUse(verdict)
  }
}
