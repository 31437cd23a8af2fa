// What names stand for: as confirmed, and as it will be when everything on its way succeeds. Each
// expectation is settled once, by `confirm` or `lapse`, in the order in which they were made.

interface Coming<T> {
  /** Of the latest expectation; null: the name will stand for nothing. */
  value: T | null
  /** The batch of that message. */
  batch: number
  /** Expectations that are not settled yet. */
  pending: number
}

export class NameForecast<T extends object | number> {
  // Made when first needed: most clients are idle, and a Map takes 200 bytes.
  #confirmed: Map<string, T> | null = null
  #coming: Map<string, Coming<T>> | null = null
  #size = 0

  /** Names that will stand for something. */
  get size(): number {
    return this.#size
  }

  /** What the name will stand for. */
  get(name: string): T | null {
    const coming = this.#coming?.get(name)
    return coming === undefined ? (this.#confirmed?.get(name) ?? null) : coming.value
  }

  /** Confirmed names, the one confirmed last at the end. */
  confirmed(): IterableIterator<[string, T]> {
    return (this.#confirmed ?? new Map<string, T>()).entries()
  }

  /**
   * True where it is not known what the name stands for when a message of this batch arrives: what an
   * earlier batch makes of it may be skipped, and this one is not.
   */
  isUncertain(name: string, batch: number): boolean {
    const coming = this.#coming?.get(name)
    return coming !== undefined && coming.batch !== batch
  }

  /** It stands for something now, whatever is on its way. */
  isConfirmed(name: string): boolean {
    return this.#confirmed?.has(name) === true
  }

  expect(name: string, value: T | null, batch: number): void {
    const before = this.get(name)
    this.#coming ??= new Map()
    const coming = this.#coming.get(name)
    if (coming === undefined) {
      this.#coming.set(name, { value, batch, pending: 1 })
    } else {
      coming.value = value
      coming.batch = batch
      coming.pending++
    }
    this.#count(before, value)
  }

  /** The name stands for this now. Returns what it stood for. */
  confirm(name: string, value: T | null): T | null {
    const previous = this.set(name, value)
    this.lapse(name)
    return previous
  }

  /** As confirm, for what nobody expected. */
  set(name: string, value: T | null): T | null {
    const before = this.get(name)
    const previous = this.#confirmed?.get(name) ?? null
    if (previous !== null) this.#confirmed?.delete(name)
    if (value !== null) {
      this.#confirmed ??= new Map()
      this.#confirmed.set(name, value)
    }
    this.#count(before, this.get(name))
    return previous
  }

  /** The oldest expectation of the name will not come true. */
  lapse(name: string): void {
    const before = this.get(name)
    const coming = this.#coming?.get(name)
    if (coming !== undefined && --coming.pending === 0) this.#coming?.delete(name)
    this.#count(before, this.get(name))
  }

  /** No name stands for anything now; what is on its way still comes. Returns what they stood for. */
  clear(): Map<string, T> {
    const cleared = this.#confirmed ?? new Map<string, T>()
    this.#confirmed = null
    this.#size = 0
    for (const { value } of this.#coming?.values() ?? []) this.#count(null, value)
    return cleared
  }

  #count(before: T | null, after: T | null): void {
    this.#size += (after === null ? 0 : 1) - (before === null ? 0 : 1)
  }
}
