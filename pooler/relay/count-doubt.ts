// Whether it can be known how many replies a server owes, and what came since it was asked: see
// count-question.ts.

export class CountDoubt {
  /** Set when it cannot be known how many replies are due. */
  isAny = false
  /** The question is on its way. */
  isAsked = false
  #readies = 0

  ask(): void {
    this.isAsked = true
    this.#readies = 0
  }

  onReady(): true {
    this.#readies++
    return true
  }

  /** How many ReadyForQuery that have come since then are the client's; null: not even the question's own. */
  takeAnswer(): number | null {
    if (!this.isAsked || this.#readies === 0) return null
    this.isAsked = false
    this.isAny = false
    return this.#readies - 1
  }
}
