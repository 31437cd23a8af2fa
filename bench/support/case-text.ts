// A case as a table for the terminal.
import { type Case, extraNames, type FigureName, ratioIn, spreadIn, targetsOf } from './measure.ts'
import { spreadText } from './spread.ts'
import { table } from './table.ts'

const columns: readonly (readonly [FigureName, string, number])[] = [
  ['perSecond', '/s', 0],
  ['cpuUsPerUnit', 'CPU µs', 1],
  ['p50Ms', 'p50 ms', 2],
  ['p95Ms', 'p95', 2],
  ['p99Ms', 'p99', 2],
  ['maxMs', 'max', 1],
  ['peakMb', 'peak MB', 0],
]

/** Who is compared with whom: ours with each other, in the order of the table. */
export const pairsOf = (of: Case): [ours: string, theirs: string][] => {
  const targets = targetsOf(of)
  const ours = targets.includes('latchkey') ? 'latchkey' : null
  if (ours === null) return []
  return targets.filter((target) => target !== ours).map((target) => [ours, target])
}

export function caseText(of: Case): string {
  const extras = extraNames(of)
  const rows = [
    [`${of.name} (${of.unit})`, ...columns.map(([, title]) => title), ...extras, 'errors'],
  ]
  for (const target of targetsOf(of)) {
    const errors = of.measures
      .filter((measure) => measure.target === target)
      .reduce((sum, measure) => sum + measure.errors, 0)
    rows.push([
      target,
      ...columns.map(([figure, , digits], column) => {
        const spread = spreadIn(of, target, figure)
        // The range of the two that decide; of the others the median.
        if (column < 2 || spread === null) return spreadText(spread, digits)
        return spread.median.toFixed(digits)
      }),
      ...extras.map((name) => spreadText(spreadIn(of, target, name), 1)),
      String(errors),
    ])
  }
  for (const [ours, theirs] of pairsOf(of)) {
    rows.push([
      `${ours} / ${theirs}`,
      ...columns.map(([figure], column) => {
        const ratio = ratioIn(of, ours, theirs, figure)
        if (column < 2 || ratio === null) return spreadText(ratio, 2)
        return ratio.median.toFixed(2)
      }),
      ...extras.map((name) => spreadText(ratioIn(of, ours, theirs, name), 2)),
      '',
    ])
  }
  return table(rows)
}
