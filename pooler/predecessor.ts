// The process that this one is to replace, over the channel that it started this one with: it hears when
// this one serves. Its own side is succession.ts.

/** Word of a successor to its predecessor over the channel between them. */
export const successorReady = 'latchkey ready'

export class Predecessor {
  #hasHeard = false

  private constructor(onLost: () => void) {
    process.once('disconnect', () => {
      if (!this.#hasHeard) onLost()
    })
  }

  /** null: there is none. `onLost`: it is gone, and has not heard that this process serves. */
  static ofThisProcess(onLost: () => void): Predecessor | null {
    return process.connected === true ? new Predecessor(onLost) : null
  }

  serves(): void {
    if (!process.connected) return
    this.#hasHeard = true
    // What is closed meanwhile says so by its end.
    process.send?.(successorReady, undefined, undefined, () => {})
  }
}
