// What one target did in one round of one case, in the same terms for every scenario, and how rounds
// are summed up and compared.
import { ratioOf, type Spread, spreadOf } from './spread.ts'

export interface Measure {
  readonly target: string
  /** From 1. */
  readonly round: number
  /** Its place among the targets of this round, from 1. */
  readonly turn: number
  /** Units of work done: the case says which. */
  readonly work: number
  readonly perSecond: number | null
  /** User and system time of the pooler's process; null for direct. */
  readonly cpuUsPerUnit: number | null
  readonly p50Ms: number | null
  readonly p95Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
  /** Resident memory of the pooler at its highest in this round; null where it is many processes. */
  readonly peakMb: number | null
  /** Further figures of one scenario, by their names. */
  readonly extra?: Readonly<Record<string, number>>
  readonly errors: number
  /** The first of them, for whoever has to find out. */
  readonly firstError: string | null
  /** Parts of the machine, 0 to 1: busy with others, given by the host to other guests. With a given
   *  Postgres nobody knows who the others are. */
  readonly othersShare: number | null
  readonly stolenShare: number
}

export interface Case {
  readonly name: string
  /** What `perSecond` and `cpuUsPerUnit` count: transactions, MB, logins, clients. */
  readonly unit: string
  readonly measures: readonly Measure[]
}

export const figureNames = [
  'perSecond',
  'cpuUsPerUnit',
  'p50Ms',
  'p95Ms',
  'p99Ms',
  'maxMs',
  'peakMb',
] as const
export type FigureName = (typeof figureNames)[number]

export const targetsOf = ({ measures }: Case): string[] => [
  ...new Set(measures.map(({ target }) => target)),
]

/** By round, null where a target has none. */
export function valuesOf(of: Case, target: string, figure: string): (number | null)[] {
  const values: (number | null)[] = []
  for (const measure of of.measures) {
    if (measure.target !== target) continue
    const extra = measure.extra?.[figure]
    values[measure.round - 1] =
      extra ?? (measure as unknown as Record<string, number>)[figure] ?? null
  }
  return values
}

export const spreadIn = (of: Case, target: string, figure: string): Spread | null =>
  spreadOf(valuesOf(of, target, figure).filter((value) => value !== null && value !== undefined))

/** Round by round. */
export const ratioIn = (of: Case, ours: string, theirs: string, figure: string): Spread | null =>
  ratioOf(valuesOf(of, ours, figure), valuesOf(of, theirs, figure))

export const extraNames = (of: Case): string[] => [
  ...new Set(of.measures.flatMap(({ extra }) => Object.keys(extra ?? {}))),
]

export const errorsIn = ({ measures }: Case): number =>
  measures.reduce((sum, { errors }) => sum + errors, 0)

/** A case's errors as faults of its scenario. */
export const faultsOf = (of: Case): string[] =>
  of.measures
    .filter(({ errors }) => errors > 0)
    .map(
      ({ target, round, errors, firstError }) =>
        `${of.name}, ${target}, round ${round}: ${errors} errors: ${firstError ?? 'not told'}`,
    )

/** Of sorted values; null for none. */
export function percentile(sorted: ArrayLike<number>, part: number): number | null {
  if (sorted.length === 0) return null
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? null
}

export function latencies(ms: Float64Array): Pick<Measure, 'p50Ms' | 'p95Ms' | 'p99Ms' | 'maxMs'> {
  const sorted = ms.sort()
  return {
    p50Ms: percentile(sorted, 0.5),
    p95Ms: percentile(sorted, 0.95),
    p99Ms: percentile(sorted, 0.99),
    maxMs: percentile(sorted, 1),
  }
}
