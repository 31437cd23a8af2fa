// Points in time as people and programs write them: epoch seconds and epoch milliseconds are both in
// circulation for the same field.

/** From here on a value is epoch milliseconds; as seconds it would lie in the year 5138. */
export const firstEpochMilliseconds = 1e11

/** In milliseconds, rounded down to the whole seconds that answers are given in. */
export function readEpoch(value: number): number {
  const seconds = value >= firstEpochMilliseconds ? value / 1000 : value
  return Math.floor(seconds) * 1000
}
