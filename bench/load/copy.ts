// COPY in both directions by psql, a file of 100 MB each time.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { faultsOf } from '../support/measure.ts'
import { Program } from '../support/program.ts'
import { runCase, type Turn } from '../support/rounds.ts'
import { type Scenario, type ScenarioResult, warmUpSecondsOf } from '../support/scenario.ts'
import { ableTargets, type Target } from '../support/target.ts'

const fileMb = 100
const rows = `SELECT repeat('x', 999) FROM generate_series(1, ${fileMb * 1000})`

export const copy: Scenario = {
  name: 'copy',
  about: `How fast does COPY of ${fileMb} MB pass, out and in?`,
  isCompared: true,
  async run(world, options): Promise<ScenarioResult> {
    const file = join(world.postgres.folder, 'copy.txt')
    const made = await psql(world.postgres.address(), `\\copy (${rows}) to '${file}'`)
    if (made.firstError !== null) throw new Error(`the file to copy: ${made.firstError}`)
    const cases = []
    const commands = {
      out: `\\copy (${rows}) to '/dev/null'`,
      in: `\\copy copy_rows from '${file}'`,
    }
    for (const [direction, command] of Object.entries(commands)) {
      const done = await runCase(world, {
        name: `copy ${direction}`,
        unit: 'MB',
        rounds: options.rounds,
        seed: options.seed,
        warmUpSeconds: warmUpSecondsOf(options, true),
        targets: ableTargets(world.targets, { by: `copy ${direction}`, clients: 1 }, options.say),
        turn: async (target: Target) => {
          if (direction === 'in') await world.postgres.emptyCopyRows()
          return await psql(target.transaction, command)
        },
      })
      options.onCase(done)
      cases.push(done)
    }
    await rm(file, { force: true })
    return { settings: { fileMb }, cases, faults: cases.flatMap(faultsOf) }
  },
}

async function psql(address: Target['transaction'], command: string): Promise<Turn> {
  const startMs = performance.now()
  const program = new Program('psql', ['-q', '-v', 'ON_ERROR_STOP=1', '-c', command], address)
  program.endInput()
  const { exitCode, stderr } = await program.ended
  const hasFailed = exitCode !== 0
  return {
    work: hasFailed ? 0 : fileMb,
    seconds: (performance.now() - startMs) / 1000,
    latencies: null,
    errors: hasFailed ? 1 : 0,
    firstError: hasFailed ? stderr.trim() : null,
  }
}
