// How figures of several rounds are summed up: never one number without the range it came from.

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** Null for no values at all. */
export function spreadOf(values: readonly number[]): Spread | null {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle]
  if (high === undefined) return null
  const low = sorted.length % 2 === 0 ? (sorted[middle - 1] ?? high) : high
  return { min: sorted[0] ?? high, median: (low + high) / 2, max: sorted.at(-1) ?? high }
}

/** Round by round, because what disturbs one target of a round mostly disturbs the others too. */
export function ratioOf(
  ours: readonly (number | null)[],
  theirs: readonly (number | null)[],
): Spread | null {
  const ratios: number[] = []
  ours.forEach((value, round) => {
    const other = theirs[round]
    if (value !== null && other != null && other > 0) ratios.push(value / other)
  })
  return spreadOf(ratios)
}

/** `0.71 (0.66 to 0.74)` */
export function spreadText(spread: Spread | null, digits: number): string {
  if (spread === null) return '-'
  const [min, median, max] = [spread.min, spread.median, spread.max].map((it) => it.toFixed(digits))
  return `${median} (${min} to ${max})`
}
