import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ProgramOptions, type ProgramResult, runProgram } from './program.ts'

export interface PgbenchOptions extends Omit<ProgramOptions, 'input'> {
  /** A transaction script in pgbench's language; missing: the built-in one, or what `args` say. */
  readonly script?: string
  readonly args?: readonly string[]
}

export interface PgbenchResult extends ProgramResult {
  /** Transactions that pgbench counts as done; null when it did not get that far. */
  readonly transactions: number | null
  readonly failed: number | null
}

/** No test asserts on its speed, only on counts and exit code. */
export async function pgbench(url: string, options: PgbenchOptions = {}): Promise<PgbenchResult> {
  const { script, args = [], ...rest } = options
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-pgbench-'))
  try {
    const file = join(folder, 'script.sql')
    if (script !== undefined) await writeFile(file, script)
    const scriptArgs = script === undefined ? [] : ['--no-vacuum', '--file', file]
    const result = await runProgram('pgbench', [...scriptArgs, ...args, url], rest)
    return {
      ...result,
      transactions: numberAfter(result.stdout, /transactions actually processed: (\d+)/),
      failed: numberAfter(result.stdout, /number of failed transactions: (\d+)/),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function numberAfter(text: string, pattern: RegExp): number | null {
  const digits = pattern.exec(text)?.[1]
  return digits === undefined ? null : Number(digits)
}
