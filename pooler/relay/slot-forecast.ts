// As name-forecast.ts, of the one thing that has no name: the unnamed statement. Most drivers use no
// other, several times in each transaction.

export class SlotForecast<T extends object> {
  #confirmed: T | null = null
  /** Of the latest expectation. */
  #coming: T | null = null
  #comingBatch = 0
  /** Expectations that are not settled yet. */
  #pending = 0

  /** What it will be; null: nothing. */
  get value(): T | null {
    return this.#pending > 0 ? this.#coming : this.#confirmed
  }

  /** As NameForecast.isUncertain. */
  isUncertain(batch: number): boolean {
    return this.#pending > 0 && this.#comingBatch !== batch
  }

  expect(value: T | null, batch: number): void {
    this.#coming = value
    this.#comingBatch = batch
    this.#pending++
  }

  /** It is this now. */
  confirm(value: T | null): void {
    this.#confirmed = value
    this.lapse()
  }

  /** As confirm, for what nobody expected. What it was. */
  set(value: T | null): T | null {
    const before = this.#confirmed
    this.#confirmed = value
    return before
  }

  /** The oldest expectation will not come true. */
  lapse(): void {
    if (this.#pending > 0 && --this.#pending === 0) this.#coming = null
  }
}
