import { assert } from '../../shared/assert.ts'

/**
 * One chunk of 64 KB holds at most 13,107 messages. What we put in front of a client's messages makes
 * four entries of one at most, so this is never reached from below the high water.
 */
const entriesMax = 262_144

/**
 * A queue of small numbers that allocates only when it grows.
 *
 *     #ring:  │ … │ head │ … │ tail │ … │     indices wrap: the length is a power of two
 */
export class EntryRing {
  #ring = new Uint16Array(16)
  #head = 0
  #size = 0
  /** The oldest entry; 0 when there is none. A field: it is asked for several times for each reply. */
  head = 0

  get size(): number {
    return this.#size
  }

  /** The entry with so many older ones. */
  at(index: number): number {
    return this.#ring[(this.#head + index) & (this.#ring.length - 1)] as number
  }

  push(entry: number): void {
    if (this.#size === this.#ring.length) this.#grow()
    this.#ring[(this.#head + this.#size) & (this.#ring.length - 1)] = entry
    if (this.#size++ === 0) this.head = entry
  }

  shift(): void {
    this.#head = (this.#head + 1) & (this.#ring.length - 1)
    this.head = --this.#size === 0 ? 0 : this.at(0)
  }

  clear(): void {
    this.#size = 0
    this.head = 0
  }

  #grow(): void {
    assert(
      this.#ring.length < entriesMax,
      'a server owes no more replies than the relay lets through',
    )
    const grown = new Uint16Array(this.#ring.length * 2)
    for (let index = 0; index < this.#size; index++) grown[index] = this.at(index)
    this.#ring = grown
    this.#head = 0
  }
}
