// Rounds of one case: targets take turns in ever another order, and what disturbs one round
// disturbs all its targets alike. Processor time and memory of each are read around its turn.
import {
  machineCpu,
  processCpuMs,
  resetTreePeakMemory,
  treeCpuMs,
  treePeakMemoryMb,
} from './cpu.ts'
import { CpuLog } from './cpu-log.ts'
import type { Case, Measure } from './measure.ts'
import { untilQuiet } from './quiet.ts'
import { RoundOrder } from './round-order.ts'
import { SeededRandom } from './seeded-random.ts'
import type { Target } from './target.ts'
import type { World } from './world.ts'

/** What a turn says of itself; the rest is measured around it. */
export interface Turn {
  readonly work: number
  /** Of the work alone; null: of the whole turn. */
  readonly seconds: number | null
  /** When the work began, as performance.now() has it; undefined: with the turn. */
  readonly fromMs?: number | undefined
  readonly latencies: Pick<Measure, 'p50Ms' | 'p95Ms' | 'p99Ms' | 'maxMs'> | null
  readonly errors: number
  readonly firstError: string | null
  readonly extra?: Readonly<Record<string, number>>
}

export interface CaseOptions {
  readonly name: string
  readonly unit: string
  readonly rounds: number
  /** Decides the order of the turns. */
  readonly seed: number
  readonly targets: readonly Target[]
  /** Of a turn, where it has no length of its own. */
  readonly seconds?: number
  /** Of first turns of each target, whose figures are thrown away; 0: none. */
  readonly warmUpSeconds: number
  readonly turn: (target: Target, seconds: number) => Promise<Turn>
}

/** Clients that come and go run code that those who stay never do, and V8 compiles anew what knows of none. */
const warmUpTurnSeconds = 3
/** Where others share the machine. */
const quietWaitMsMax = 3000

export async function runCase(world: World, options: CaseOptions): Promise<Case> {
  const { name, unit, targets, warmUpSeconds, turn, seconds = 0 } = options
  for (let left = warmUpSeconds; left > 0; left -= warmUpTurnSeconds) {
    for (const target of targets) await turn(target, Math.min(left, warmUpTurnSeconds))
  }
  const measures: Measure[] = []
  const order = new RoundOrder(targets, new SeededRandom(options.seed))
  for (let round = 1; round <= options.rounds; round++) {
    await untilQuiet(quietWaitMsMax)
    const inTable: Measure[] = []
    for (const [index, target] of order.next().entries()) {
      const one = await measured(world, target, round, () => turn(target, seconds))
      inTable[targets.indexOf(target)] = { ...one, turn: index + 1 }
    }
    measures.push(...inTable)
  }
  return { name, unit, measures }
}

async function measured(
  world: World,
  target: Target,
  round: number,
  turn: () => Promise<Turn>,
): Promise<Omit<Measure, 'turn'>> {
  const memoryPid = target.hasSharedMemory === true ? null : target.pid
  if (memoryPid !== null) resetTreePeakMemory(memoryPid)
  const before = read(world, target)
  const log = target.pid === null ? null : new CpuLog(target.pid)
  const { seconds, latencies, fromMs, ...done } = await turn().catch((error: unknown) => {
    log?.stop(undefined)
    throw error
  })
  const cpuMs = log?.stop(fromMs) ?? null
  const after = read(world, target)
  const totalMs = Math.max(1, after.machine.totalMs - before.machine.totalMs)
  const oursMs =
    after.oursMs === null || before.oursMs === null
      ? null
      : after.oursMs - before.oursMs + after.poolerMs - before.poolerMs
  const busyMs = after.machine.busyMs - before.machine.busyMs
  const frontMs = after.frontMs - before.frontMs
  const isFront = target.hasWorkers === true && done.work > 0
  const none = { p50Ms: null, p95Ms: null, p99Ms: null, maxMs: null }
  return {
    target: target.name,
    round,
    ...done,
    ...(isFront && { extra: { ...done.extra, frontCpuUs: (frontMs * 1000) / done.work } }),
    ...(latencies ?? none),
    perSecond: done.work === 0 ? null : done.work / (seconds ?? (after.ms - before.ms) / 1000),
    cpuUsPerUnit: cpuMs === null || done.work === 0 ? null : (cpuMs * 1000) / done.work,
    peakMb: memoryPid === null ? null : treePeakMemoryMb(memoryPid),
    othersShare: oursMs === null ? null : Math.max(0, busyMs - oursMs) / totalMs,
    stolenShare: (after.machine.stolenMs - before.machine.stolenMs) / totalMs,
  }
}

function read(world: World, target: Target) {
  const { pid } = target
  const postgresPid = world.postgres.pid
  return {
    ms: performance.now(),
    poolerMs: pid === null ? 0 : treeCpuMs(pid),
    /** Of the process in front of workers alone. */
    frontMs: pid === null ? 0 : processCpuMs(pid),
    // Postgres, ourselves, and programs of ours that have ended. A given Postgres may be anywhere.
    oursMs: postgresPid === null ? null : treeCpuMs(postgresPid) + treeCpuMs(process.pid),
    machine: machineCpu(),
  }
}
