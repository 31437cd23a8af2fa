// pgbench through the transaction port while other clients of the same pool are killed at the worst
// moments and servers are terminated. No transaction of pgbench may fail, nothing that a killed
// client had not committed may stay, and in the end everything is as it was at rest.
import { processMemoryMb } from '../support/cpu.ts'
import { errorsOf, logLinesByText } from '../support/log-lines.ts'
import { type PgbenchRun, pgbench } from '../support/pgbench.ts'
import { benchDatabase } from '../support/postgres.ts'
import { untilAtRest } from '../support/rest.ts'
import type { Scenario, ScenarioResult } from '../support/scenario.ts'
import { spreadOf } from '../support/spread.ts'
import { table } from '../support/table.ts'
import type { World } from '../support/world.ts'
import { Storm } from './chaos-storm.ts'

const defaultSeconds = 60
/** A run of its own each, so that logins happen amid the chaos too. */
const secondsPerRun = 10
const pgbenchClients = 16

export const chaos: Scenario = {
  name: 'chaos',
  about: 'Does anything fail or stay behind while clients are killed and servers terminated?',
  isCompared: false,
  isAlone: true,
  needsPostgres: 'superuser',
  async run(world, options): Promise<ScenarioResult> {
    const seconds = options.seconds ?? defaultSeconds
    const memoryBefore = processMemoryMb(world.latchkey.service.pid)
    const storm = new Storm(world, options.seed)
    const runs = await storm.during(() => load(world, seconds))
    const rest = await untilAtRest(world, () => rowsLeft(world))
    const memory = { before: memoryBefore, after: processMemoryMb(world.latchkey.service.pid) }
    const logLines = logLinesByText(world.latchkey.service.lines)
    const figures = {
      runs,
      actions: storm.counts,
      serversAtOnceMax: storm.serversAtOnceMax,
      crowd: storm.crowd,
      probesMs: {
        count: storm.straightMs.length,
        straight: spreadOf(storm.straightMs),
        throughLatchkey: spreadOf(storm.throughMs),
      },
      memoryMb: memory,
      logLines,
    }
    return {
      settings: { seconds, secondsPerRun, pgbenchClients, seed: options.seed },
      figures,
      text: textOf(figures, storm),
      faults: [...runs.flatMap(faultsOf), ...storm.faults, ...rest, ...errorsOf(logLines)],
    }
  },
}

const rowsLeft = async ({ postgres }: World): Promise<string[]> => {
  const count = await postgres.count(benchDatabase, 'chaos_rows')
  return count === 0 ? [] : [`${count} rows that a killed client left`]
}

async function load(world: World, seconds: number): Promise<PgbenchRun[]> {
  const runs: PgbenchRun[] = []
  const args = ['-S', '-n', '-M', 'simple', '-c', String(pgbenchClients), '-j', '1', '-P', '1']
  for (let left = seconds; left > 0; left -= secondsPerRun) {
    const time = Math.min(left, secondsPerRun)
    runs.push(await pgbench(world.latchkey.target.transaction, [...args, '-T', String(time)]))
  }
  return runs
}

function faultsOf(run: PgbenchRun, index: number): string[] {
  if (run.exitCode === 0 && run.failed === 0) return []
  const said = run.stderr.trim().split('\n').slice(-3).join(' | ')
  return [`pgbench run ${index + 1}: ${run.failed} failed, exit code ${run.exitCode}: ${said}`]
}

function textOf(
  figures: {
    runs: readonly PgbenchRun[]
    memoryMb: { before: { now: number }; after: { now: number; peak: number } }
    logLines: Readonly<Record<string, number>>
  },
  storm: Storm,
): string {
  const { runs, memoryMb, logLines } = figures
  const transactions = runs.reduce((sum, run) => sum + run.transactions, 0)
  const failed = runs.reduce((sum, run) => sum + run.failed, 0)
  // In its first second pgbench connects.
  const perSecond = runs.flatMap((run) => run.tpsBySecond.slice(1))
  return table([
    ['pgbench transactions', String(transactions)],
    ['failed', String(failed)],
    ['slowest second, tps', String(Math.min(...perSecond))],
    ['fastest second, tps', String(Math.max(...perSecond))],
    [
      `slowest login of ${pgbenchClients} clients in a row, ms`,
      Math.max(...runs.map((run) => run.connectMs ?? 0)).toFixed(0),
    ],
    ['servers at once, at most', String(storm.serversAtOnceMax)],
    ['slowest probe straight, ms', Math.max(...storm.straightMs).toFixed(0)],
    ['slowest probe through Latchkey, ms', Math.max(...storm.throughMs).toFixed(0)],
    [
      'memory MB before, after, peak',
      [memoryMb.before.now, memoryMb.after.now, memoryMb.after.peak].join(', '),
    ],
    ...Object.entries(storm.counts).map(([name, count]) => [name, String(count)]),
    ...Object.entries(logLines).map(([text, count]) => [`log: ${text}`, String(count)]),
  ])
}
