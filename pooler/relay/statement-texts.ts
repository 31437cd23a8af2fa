// Which of a client's prepared texts may leave something behind on a server, by the client's name.
// Harmless ones, which are most, are not kept.
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
    if (verdict === harmless) this.#suspects.delete(name)
    else if (this.#suspects.size < suspectsMax) this.#suspects.set(name, verdict)
    else this.#isFull = true
  }

  /** The statement of this name is about to be run. */
  use(name: string): void {
    if (this.#isFull) this.#onUse(unknownText)
    if (this.#suspects.size === 0) return
    const verdict = this.#suspects.get(name)
    if (verdict !== undefined) this.#onUse(verdict)
  }
}
