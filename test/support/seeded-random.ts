// The one source of chance in tests: the same seed gives the same run, so a failure prints its seed
// and can be had again. Not for secrets.

export class SeededRandom {
  readonly seed: number
  #state: number

  constructor(seed: number) {
    this.seed = seed >>> 0
    this.#state = this.seed
  }

  /** A whole number in 0..below-1. Mulberry32: 32 bits of state, a period of 2^32. */
  int(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * below)
  }

  /** True with the given probability, 0 to 1. */
  chance(probability: number): boolean {
    return this.int(1_000_000) < probability * 1_000_000
  }

  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new RangeError('nothing to pick from')
    return items[this.int(items.length)] as Item
  }

  /** Picks by weight: `{ query: 5, copy: 1 }` gives `query` five times of six. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries(weights) as [Name, number][]
    let rest = this.int(entries.reduce((sum, [, weight]) => sum + weight, 0))
    for (const [name, weight] of entries) {
      if (rest < weight) return name
      rest -= weight
    }
    throw new RangeError('weights are whole numbers with a sum above zero')
  }

  /** A generator of its own for one part of the run, so that parts do not disturb one another. */
  fork(): SeededRandom {
    return new SeededRandom(this.int(0x1_0000_0000))
  }
}

/** A seed for this run: SEED from the environment when a failure is to be had again. */
export function freshSeed(): number {
  const wanted = process.env.SEED
  return wanted === undefined ? (Math.random() * 0x1_0000_0000) >>> 0 : Number(wanted) >>> 0
}

/** Runs `body` and puts the seed into the text of what it throws. */
export async function withSeed<Result>(
  seed: number,
  body: (random: SeededRandom) => Promise<Result> | Result,
): Promise<Result> {
  try {
    return await body(new SeededRandom(seed))
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new Error(`SEED=${seed}: ${text}`, { cause: error })
  }
}
