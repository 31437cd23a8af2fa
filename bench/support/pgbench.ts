// One run of pgbench and what it reports about itself.
import type { Address } from './address.ts'
import { Program } from './program.ts'

export interface PgbenchRun {
  readonly exitCode: number | null
  readonly transactions: number
  /** Transactions that pgbench counts as failed, and clients that gave up. */
  readonly failed: number
  /** Without the time to connect; null when the run broke off. */
  readonly tps: number | null
  readonly latencyMs: number | null
  readonly connectMs: number | null
  /** Of each second, where `--progress=1` was asked for. */
  readonly tpsBySecond: readonly number[]
  readonly stderr: string
}

const stderrCharactersMax = 4_000

export async function pgbench(address: Address, args: readonly string[]): Promise<PgbenchRun> {
  const program = new Program('pgbench', args, address)
  program.endInput()
  const { exitCode, stdout, stderr } = await program.ended
  const progress = /^progress: [\d.]+ s, ([\d.]+) tps.*\n/gm
  const aborted = stderr.match(/client \d+ (?:aborted|script \d+ aborted)/g)?.length ?? 0
  return {
    exitCode,
    transactions: numberAfter(stdout, /actually processed: (\d+)/) ?? 0,
    failed: (numberAfter(stdout, /failed transactions: (\d+)/) ?? 0) + aborted,
    tps: numberAfter(stdout, /^tps = ([\d.]+)/m),
    latencyMs: numberAfter(stdout, /^latency average = ([\d.]+) ms/m),
    connectMs: numberAfter(stdout, /^initial connection time = ([\d.]+) ms/m),
    tpsBySecond: [...stderr.matchAll(progress)].map(([, tps]) => Number(tps)),
    stderr: stderr.replace(progress, '').slice(-stderrCharactersMax),
  }
}

function numberAfter(text: string, pattern: RegExp): number | null {
  const digits = pattern.exec(text)?.[1]
  return digits === undefined ? null : Number(digits)
}
