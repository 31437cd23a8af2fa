// Attempts to open a server that are under way. Where the server would come from, or with which
// password, was read when the attempt began: what changes meanwhile outdates it.

export interface OpenAttempt {
  /** Aborted when nobody wants its server any more. */
  readonly signal: AbortSignal
  /** True when a server that it brings from this address is not to be used. */
  isOutdatedAt(address: string): boolean
  /** It has brought its server, or failed. */
  end(): void
}

export class OpenAttempts {
  readonly #underWay = new Set<Attempt>()
  #isHeld = false

  /** While they are held back, it is given up from the start. */
  begin(): OpenAttempt {
    const attempt = new Attempt(() => this.#underWay.delete(attempt))
    this.#underWay.add(attempt)
    if (this.#isHeld) attempt.giveUp()
    return attempt
  }

  giveUp(): void {
    for (const attempt of this.#underWay) attempt.giveUp()
  }

  /** Which address an attempt ends at is known at its end only, and others are as good as before. */
  leaveAddress(address: string): void {
    for (const attempt of this.#underWay) attempt.left.add(address)
  }

  /** Until `release` nothing is opened. */
  hold(): void {
    this.#isHeld = true
    this.giveUp()
  }

  release(): void {
    this.#isHeld = false
  }
}

class Attempt implements OpenAttempt {
  readonly end: () => void
  readonly left = new Set<string>()
  readonly #controller = new AbortController()

  constructor(end: () => void) {
    this.end = end
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  isOutdatedAt(address: string): boolean {
    return this.signal.aborted || this.left.has(address)
  }

  giveUp(): void {
    this.#controller.abort()
  }
}
