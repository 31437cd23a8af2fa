// One measured run of pgbench against one target: what pgbench says, and where processor time went.
import type { Address } from './address.ts'
import { endedChildrenCpuMs, type MachineCpu, machineCpu, processCpuMs, treeCpuMs } from './cpu.ts'
import { type PgbenchRun, pgbench } from './pgbench.ts'
import type { Target } from './target.ts'

export interface Round extends Omit<PgbenchRun, 'tpsBySecond'> {
  readonly target: string
  /** From 1. */
  readonly round: number
  readonly wallMs: number
  /** User and system time of the pooler's process; null for direct. */
  readonly poolerCpuMs: number | null
  readonly poolerCpuUsPerTransaction: number | null
  readonly postgresCpuMs: number
  readonly pgbenchCpuMs: number
  /** Part of the machine that was busy with none of these, 0 to 1: who else was at work. */
  readonly othersShare: number
  /** Part of the machine that its host gave to other guests. */
  readonly stolenShare: number
}

interface Reading {
  readonly wallMs: number
  readonly poolerMs: number
  readonly postgresMs: number
  readonly pgbenchMs: number
  readonly ownMs: number
  readonly machine: MachineCpu
}

export async function runRound(options: {
  readonly target: Target
  readonly address: Address
  readonly round: number
  readonly pgbenchArgs: readonly string[]
  readonly postgresPid: number
}): Promise<Round> {
  const { target, address, round, pgbenchArgs, postgresPid } = options
  const before = read(target, postgresPid)
  const { tpsBySecond: _, ...run } = await pgbench(address, pgbenchArgs)
  const after = read(target, postgresPid)
  const poolerCpuMs = target.pid === null ? null : after.poolerMs - before.poolerMs
  const postgresCpuMs = after.postgresMs - before.postgresMs
  const pgbenchCpuMs = after.pgbenchMs - before.pgbenchMs
  const totalMs = after.machine.totalMs - before.machine.totalMs
  const busyMs = after.machine.busyMs - before.machine.busyMs
  const ours = (poolerCpuMs ?? 0) + postgresCpuMs + pgbenchCpuMs + after.ownMs - before.ownMs
  const share = (ms: number): number => Math.max(0, ms / Math.max(1, totalMs))
  return {
    ...run,
    target: target.name,
    round,
    wallMs: after.wallMs - before.wallMs,
    poolerCpuMs,
    poolerCpuUsPerTransaction:
      poolerCpuMs === null || run.transactions === 0
        ? null
        : (poolerCpuMs * 1000) / run.transactions,
    postgresCpuMs,
    pgbenchCpuMs,
    othersShare: share(busyMs - ours),
    stolenShare: share(after.machine.stolenMs - before.machine.stolenMs),
  }
}

function read(target: Target, postgresPid: number): Reading {
  return {
    wallMs: performance.now(),
    poolerMs: target.pid === null ? 0 : processCpuMs(target.pid),
    postgresMs: treeCpuMs(postgresPid),
    pgbenchMs: endedChildrenCpuMs(),
    ownMs: processCpuMs(process.pid),
    machine: machineCpu(),
  }
}
