// Rounds of a seeded model test. Each has a seed of its own, one above that of the round before, so
// that a long run can be cut short, gone on with, and its failing round had again alone:
//
//     SEED=8100 ROUNDS=1    that round      SEED=8100 MINUTES=60    from there on
import { freshSeed, type SeededRandom, withSeed } from './seeded-random.ts'

const { ROUNDS, MINUTES } = process.env
const roundMsMax = 60_000

/** Time that a test of so many rounds may take; MINUTES and ROUNDS come first. */
export const roundsMsMax = (usual: number): number =>
  MINUTES === undefined
    ? Number(ROUNDS ?? usual) * roundMsMax
    : Number(MINUTES) * 60_000 + roundMsMax

/**
 * `round` gives figures to be added up and printed. Throws what the first round that fails throws.
 * `usualSeed`: the first of a run that asks for nothing else; without it each run has others.
 */
export async function seededRounds<Figures extends Record<string, number>>(
  name: string,
  usual: number,
  round: (random: SeededRandom) => Promise<Figures>,
  usualSeed: number | null = null,
): Promise<Figures> {
  const isAsked = [process.env.SEED, ROUNDS, MINUTES].some((one) => one !== undefined)
  const first = usualSeed === null || isAsked ? freshSeed() : usualSeed
  const endMs = MINUTES === undefined ? null : performance.now() + Number(MINUTES) * 60_000
  const wanted =
    endMs !== null && ROUNDS === undefined ? Number.POSITIVE_INFINITY : Number(ROUNDS ?? usual)
  const isLong = endMs !== null || ROUNDS !== undefined
  const sums: Record<string, number> = {}
  let seed = first
  for (; seed - first < wanted; seed++) {
    const startMs = performance.now()
    if (endMs !== null && startMs > endMs) break
    const figures = await withSeed(seed, round)
    for (const [key, value] of Object.entries(figures)) sums[key] = (sums[key] ?? 0) + value
    if (isLong)
      console.log(name, `SEED=${seed}`, `${Math.round(performance.now() - startMs)} ms`, figures)
  }
  console.log(`${name}: SEED=${first} to ${seed - 1}`, sums)
  return sums as Figures
}
