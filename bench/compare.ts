// Two runs side by side. Machines and neighbours differ from run to run, so what is compared is
// mostly what each run measured against its own PgBouncer and its own direct connection.
import { pairsOf } from './support/case-text.ts'
import { type Case, extraNames, ratioIn, spreadIn, targetsOf } from './support/measure.ts'
import { type RunRecord, readRun } from './support/results-file.ts'
import { table } from './support/table.ts'

const figures = ['perSecond', 'cpuUsPerUnit', 'p99Ms', 'peakMb'] as const

export async function compare(pathA: string, pathB: string): Promise<string> {
  const [a, b] = [await readRun(pathA), await readRun(pathB)]
  const rows = [['', 'figure', 'A', 'B', 'B / A']]
  const casesOf = (run: RunRecord): Map<string, Case> =>
    new Map(
      run.scenarios.flatMap(({ name, cases }) => cases.map((one) => [`${name}: ${one.name}`, one])),
    )
  const inB = casesOf(b)
  for (const [name, one] of casesOf(a)) {
    const other = inB.get(name)
    if (other === undefined) continue
    for (const figure of [...figures, ...extraNames(one)]) {
      rows.push(...rowsOf(name, figure, one, other))
    }
  }
  const heads = [a, b].map((run, index) => {
    const { commit, model, cores, node } = run.machine
    return `${index === 0 ? 'A' : 'B'}: ${run.startedAt}, commit ${commit}, ${cores} × ${model}, Node ${node}`
  })
  return [...heads, '', rows.length === 1 ? 'no case is in both' : table(rows)].join('\n')
}

function rowsOf(name: string, figure: string, a: Case, b: Case): string[][] {
  const row = (label: string, left?: number, right?: number): string[][] =>
    left === undefined || right === undefined || left === 0
      ? []
      : [[name, label, left.toPrecision(3), right.toPrecision(3), (right / left).toFixed(2)]]
  return [
    ...targetsOf(a).flatMap((target) =>
      row(
        `${target} ${figure}`,
        spreadIn(a, target, figure)?.median,
        spreadIn(b, target, figure)?.median,
      ),
    ),
    ...pairsOf(a).flatMap(([ours, theirs]) =>
      row(
        `${ours} / ${theirs} ${figure}`,
        ratioIn(a, ours, theirs, figure)?.median,
        ratioIn(b, ours, theirs, figure)?.median,
      ),
    ),
  ]
}
