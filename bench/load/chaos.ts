// pgbench through the transaction port while other clients of the same pool are killed at the worst
// moments and servers are terminated. No transaction of pgbench may fail, nothing that a killed
// client had not committed may stay, and in the end everything is as it was at rest.
import { Client } from 'pg'
import { processMemoryMb } from '../support/cpu.ts'
import { LatchkeyMetrics } from '../support/latchkey-metrics.ts'
import { type PgbenchRun, pgbench } from '../support/pgbench.ts'
import { appRole, otherRole } from '../support/postgres.ts'
import type { Scenario, ScenarioResult } from '../support/scenario.ts'
import { spreadOf } from '../support/spread.ts'
import { table } from '../support/table.ts'
import type { World } from '../support/world.ts'
import { pause, Storm } from './chaos-storm.ts'

const defaultSeconds = 60
/** A run of its own each, so that logins happen amid the chaos too. */
const secondsPerRun = 10
const pgbenchClients = 16
const samplePeriodMs = 100
const restTimeoutMs = 20_000

export const chaos: Scenario = {
  name: 'chaos',
  about: 'pgbench -S while other clients are killed and servers terminated',
  isCompared: false,
  async run(world, options): Promise<ScenarioResult> {
    const seconds = options.seconds ?? defaultSeconds
    const memoryBefore = processMemoryMb(world.latchkey.service.pid)
    const storm = new Storm(world, options.seed)
    const runs = await storm.during(() => load(world, seconds))
    const rest = await untilAtRest(world)
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

async function load(world: World, seconds: number): Promise<PgbenchRun[]> {
  const runs: PgbenchRun[] = []
  const args = ['-S', '-n', '-M', 'simple', '-c', String(pgbenchClients), '-j', '1', '-P', '1']
  for (let left = seconds; left > 0; left -= secondsPerRun) {
    const time = Math.min(left, secondsPerRun)
    runs.push(await pgbench(world.latchkey.target.transaction, [...args, '-T', String(time)]))
  }
  return runs
}

/** Waits for the rest that must come; says what is not at rest when the time is over. */
async function untilAtRest(world: World): Promise<string[]> {
  const endMs = performance.now() + restTimeoutMs
  for (;;) {
    const faults = await unrestOf(world)
    if (faults.length === 0 || performance.now() > endMs) return faults
    await pause(samplePeriodMs)
  }
}

async function unrestOf(world: World): Promise<string[]> {
  const { postgres, latchkey } = world
  if (!latchkey.service.isRunning) return ['Latchkey has ended']
  const faults: string[] = []
  const metrics = await LatchkeyMetrics.read(latchkey.apiUrl)
  const expectNone = (what: string, count: number): void => {
    if (count !== 0) faults.push(`at the end: ${count} ${what}`)
  }
  expectNone('clients', metrics.sum('pooler_clients'))
  expectNone('waiters', metrics.sum('pooler_waiters'))
  expectNone('connections before login', metrics.sum('pooler_connections_before_login'))
  const servers = metrics.sum('pooler_servers')
  expectNone(
    `servers that are not idle: ${JSON.stringify(metrics.present('pooler_servers'))}`,
    servers - metrics.sum('pooler_servers', 'state="idle"'),
  )
  const backends = await postgres.query(
    `SELECT state, count(*)::int AS count FROM pg_stat_activity
     WHERE usename = ANY($1) GROUP BY state`,
    [[appRole, otherRole]],
  )
  const count = (states: typeof backends): number =>
    states.reduce((sum, row) => sum + Number(row.count), 0)
  expectNone('backends that are not idle', count(backends.filter(({ state }) => state !== 'idle')))
  expectNone('backends more than the pools know', count(backends) - servers)
  expectNone('rows that a killed client left', await rowsLeft(world))
  return faults
}

async function rowsLeft({ postgres }: World): Promise<number> {
  const client = new Client(postgres.address())
  await client.connect()
  const { rows } = await client.query('SELECT count(*)::int AS count FROM chaos_rows')
  await client.end()
  return Number(rows[0]?.count)
}

function faultsOf(run: PgbenchRun, index: number): string[] {
  if (run.exitCode === 0 && run.failed === 0) return []
  const said = run.stderr.trim().split('\n').slice(-3).join(' | ')
  return [`pgbench run ${index + 1}: ${run.failed} failed, exit code ${run.exitCode}: ${said}`]
}

/** A line at error is a bug of ours that was met, even where nobody suffered from it. */
const errorsOf = (logLines: Readonly<Record<string, number>>): string[] =>
  Object.entries(logLines)
    .filter(([text]) => text.startsWith('error'))
    .map(([text, count]) => `${count} times in the log: ${text}`)

/** Lines at warn and above, by what they say. */
function logLinesByText(lines: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const line of lines) {
    const { level, msg } = parsed(line)
    if (level !== 'warn' && level !== 'error') continue
    const key = `${level}: ${String(msg).replace(/\d+/g, 'n')}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

function parsed(line: string): { level?: unknown; msg?: unknown } {
  try {
    return JSON.parse(line) as { level?: unknown; msg?: unknown }
  } catch {
    return { level: 'error', msg: line }
  }
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
