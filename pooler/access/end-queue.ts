// What is due when, by the wall clock: one binary heap read by a tick, not a timer each (a Node timer
// of more than 24.8 days fires at once). An item has one place; a new one replaces the old.

interface Place<Item> {
  readonly dueMs: number
  readonly item: Item
}

export class EndQueue<Item> {
  /**
   * heap[i] is due no later than heap[2i+1] and heap[2i+2]. Places that were replaced stay until they
   * come up or outnumber the others.
   */
  #heap: Place<Item>[] = []
  readonly #current = new Map<Item, Place<Item>>()

  get size(): number {
    return this.#current.size
  }

  put(item: Item, dueMs: number): void {
    const place = { dueMs, item }
    this.#current.set(item, place)
    this.#heap.push(place)
    this.#rise(this.#heap.length - 1)
    if (this.#heap.length > 2 * this.#current.size + 64) this.#rebuild()
  }

  delete(item: Item): void {
    this.#current.delete(item)
  }

  /** Takes out and returns the first item that is due at `nowMs`; null when none is. */
  take(nowMs: number): Item | null {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || first.dueMs > nowMs) return null
      this.#removeFirst()
      if (this.#current.get(first.item) !== first) continue
      this.#current.delete(first.item)
      return first.item
    }
  }

  #removeFirst(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink(0)
  }

  #rebuild(): void {
    const places = [...this.#current.values()]
    // A sorted list is a heap.
    this.#heap = places.sort((one, other) => one.dueMs - other.dueMs)
  }

  #rise(from: number): void {
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 1
      if (this.#dueMs(above) <= this.#dueMs(at)) return
      this.#swap(at, above)
      at = above
    }
  }

  #sink(from: number): void {
    let at = from
    for (;;) {
      const left = 2 * at + 1
      const right = left + 1
      const least = this.#dueMs(right) < this.#dueMs(left) ? right : left
      if (this.#dueMs(least) >= this.#dueMs(at)) return
      this.#swap(at, least)
      at = least
    }
  }

  #dueMs(at: number): number {
    return this.#heap[at]?.dueMs ?? Number.POSITIVE_INFINITY
  }

  #swap(one: number, other: number): void {
    const place = this.#heap[one]!
    this.#heap[one] = this.#heap[other]!
    this.#heap[other] = place
  }
}
