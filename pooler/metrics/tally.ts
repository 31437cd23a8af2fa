/** More names than any of our unions has; beyond it a name came from outside. */
const namesMax = 100

/** Counts by a name from a union of ours: a reason, a code, a method. Never a client's words. */
export class Tally<Name extends string = string> {
  readonly #counts = new Map<Name | 'other', number>()

  count(name: Name, by = 1): void {
    const isRoom = this.#counts.has(name) || this.#counts.size < namesMax
    const key = isRoom ? name : 'other'
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by)
  }

  of(name: Name): number {
    return this.#counts.get(name) ?? 0
  }

  entries(): IterableIterator<[string, number]> {
    return this.#counts.entries()
  }
}
