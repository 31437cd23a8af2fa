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
    return {
      work: run.transactions * unitsPerTransaction,
      seconds: run.tps === null ? null : run.transactions / run.tps,
      latencies: latencies(await readLatencies(folder)),
      errors: failed,
      firstError: failed === 0 ? null : run.stderr.trim().split('\n').at(-1) || 'nothing was done',
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Third column, in microseconds (pgbench manual, "Per-Transaction Logging"). */
async function readLatencies(folder: string): Promise<Float64Array> {
  const ms: number[] = []
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), 'latin1')
    for (const line of text.split('\n')) {
      const us = Number(line.split(' ')[2])
      if (us > 0) ms.push(us / 1000)
    }
  }
  return Float64Array.from(ms)
}
