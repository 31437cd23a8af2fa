// A turn of pgbench, with every transaction's latency from its own log.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Address } from './address.ts'
import { latencies } from './measure.ts'
import { pgbench } from './pgbench.ts'
import type { Turn } from './rounds.ts'

/** `unitsPerTransaction`: MB, where a transaction is measured by its size. */
export async function pgbenchTurn(
  address: Address,
  args: readonly string[],
  unitsPerTransaction = 1,
): Promise<Turn> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-pgbench-'))
  try {
    const logged = [...args, '--log', `--log-prefix=${join(folder, 'log')}`]
    const run = await pgbench(address, logged)
    const isNothing = run.exitCode !== 0 || run.transactions === 0
    const failed = run.failed + (isNothing ? 1 : 0)
    const { beganMs, took } = await readLog(folder)
    return {
      work: run.transactions * unitsPerTransaction,
      seconds: run.tps === null ? null : run.transactions / run.tps,
      fromMs: beganMs,
      latencies: latencies(took),
      errors: failed,
      firstError: failed === 0 ? null : run.stderr.trim().split('\n').at(-1) || 'nothing was done',
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface TransactionLog {
  /** When the first one began, as performance.now() has it. */
  readonly beganMs: number | undefined
  /** How long each took, in ms. */
  readonly took: Float64Array
}

/** Of each: its time in µs, and when it ended by the wall clock (pgbench manual, "Per-Transaction Logging"). */
async function readLog(folder: string): Promise<TransactionLog> {
  const took: number[] = []
  let beganMs: number | undefined
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), 'latin1')
    for (const line of text.split('\n')) {
      const [, , us, , endSeconds, endUs] = line.split(' ').map(Number)
      if (us === undefined || !(us > 0)) continue
      took.push(us / 1000)
      const wallMs = (endSeconds ?? 0) * 1000 + ((endUs ?? 0) - us) / 1000
      beganMs = Math.min(beganMs ?? Infinity, wallMs - performance.timeOrigin)
    }
  }
  return { beganMs, took: Float64Array.from(took) }
}
