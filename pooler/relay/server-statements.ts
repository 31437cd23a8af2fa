// Which of our prepared statements a server has: as confirmed, and as it will be when everything
// that has been sent succeeds.

export class ServerStatements {
  /** Server-side name to the hold that used it last; the least recently used first. */
  readonly #confirmed = new Map<string, number>()
  readonly #expected = new Map<string, boolean>()
  /** Whose text the unnamed statement has; null: nobody's. */
  unnamed: object | null = null
  /** Counts clients' holds of the server: what the present one has used is not evicted. */
  hold = 0

  get size(): number {
    let size = this.#confirmed.size
    for (const isThere of this.#expected.values()) size += isThere ? 1 : -1
    return size
  }

  has(name: string): boolean {
    return this.#expected.get(name) ?? this.#confirmed.has(name)
  }

  /** The present hold uses it. */
  touch(name: string): void {
    if (!this.#confirmed.delete(name)) return
    this.#confirmed.set(name, this.hold)
  }

  /** A message is on its way that makes or closes it. */
  expect(name: string, isThere: boolean): void {
    if (this.#confirmed.has(name) === isThere) this.#expected.delete(name)
    else this.#expected.set(name, isThere)
  }

  confirm(name: string, isThere: boolean): void {
    if (isThere) this.#confirmed.set(name, this.hold)
    else this.#confirmed.delete(name)
    this.#expected.delete(name)
  }

  /** Nothing is on its way any more, or what is will be expected anew. */
  forgetExpected(): void {
    this.#expected.clear()
  }

  /** The statement used least recently, not by the present hold; null: there is none. */
  evictable(): string | null {
    for (const [name, hold] of this.#confirmed) {
      if (hold !== this.hold && this.#expected.get(name) !== false) return name
    }
    return null
  }

  /** DISCARD ALL or DEALLOCATE ALL. */
  clear(): void {
    this.#confirmed.clear()
    this.#expected.clear()
    this.unnamed = null
  }
}
