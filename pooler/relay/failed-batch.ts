// What had been answered when a batch failed: tells whether it may be run again (stale-plan-repair.ts).
export class FailedBatch {
  /** How many messages had been answered before the one that failed. */
  count = 0
  /** A Describe has been answered as to parameters, and not as to columns. */
  #hasParameters = false
  #hasFailedBehindParameters = false
  #repeatsParameters = false

  onParameters(): void {
    this.#hasParameters = true
  }

  onAnswered(): void {
    this.#hasParameters = false
  }

  onError(answered: number): void {
    this.count = answered
    this.#hasFailedBehindParameters = this.#hasParameters
    this.#hasParameters = false
  }

  onReady(): void {
    this.#repeatsParameters = false
  }

  /** It is run again. */
  repeat(): void {
    this.#repeatsParameters = this.#hasFailedBehindParameters
  }

  /** True once where the client has had this ParameterDescription. */
  takeRepeated(): boolean {
    const isRepeated = this.#repeatsParameters
    this.#repeatsParameters = false
    return isRepeated
  }
}
