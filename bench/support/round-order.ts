// Who comes behind whom. What a target leaves behind (a warm cache, a garbage collection, dirty pages)
// falls on the next, so over a few rounds each follows each equally often, and each comes equally often
// at each place: the rows of a Williams square (E. J. Williams, 1949), which needs as many rounds as
// there are targets, or twice as many where their number is odd. The seed decides who is who in it.
import type { SeededRandom } from './seeded-random.ts'

export class RoundOrder<Item> {
  readonly #items: readonly Item[]
  readonly #random: SeededRandom
  #rows: Item[][] = []

  constructor(items: readonly Item[], random: SeededRandom) {
    this.#items = items
    this.#random = random
  }

  next(): readonly Item[] {
    if (this.#rows.length === 0) {
      const items = shuffled(this.#items, this.#random)
      const rows = williamsRows(items.length).map((row) => row.map((at) => items[at] as Item))
      this.#rows = shuffled(rows, this.#random)
    }
    return this.#rows.pop() ?? []
  }
}

/** 0, 1, n-1, 2, n-2, …, then the same with each number raised, and for odd n all of them reversed. */
function williamsRows(count: number): number[][] {
  const first = Array.from({ length: count }, (_, place) =>
    place % 2 === 1 ? (place + 1) / 2 : (count - place / 2) % count,
  )
  const rows = first.map((_, by) => first.map((at) => (at + by) % count))
  return count % 2 === 0 ? rows : [...rows, ...rows.map((row) => row.toReversed())]
}

function shuffled<Item>(items: readonly Item[], random: SeededRandom): Item[] {
  const left = [...items]
  return items.map(() => left.splice(random.below(left.length), 1)[0] as Item)
}
