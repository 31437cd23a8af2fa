// Chance that can be repeated from a seed: a digest of seed and count.
import { hash } from 'node:crypto'

export class SeededRandom {
  readonly #seed: number
  #count = 0

  constructor(seed: number) {
    this.#seed = seed
  }

  /** 0 or more, below `end`. */
  below(end: number): number {
    const digest = hash('sha256', `${this.#seed}:${this.#count++}`)
    return Math.floor((Number.parseInt(digest.slice(0, 8), 16) / 2 ** 32) * end)
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item
  }
}
