// Scenarios that are one script of pgbench each, at a few numbers of clients.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Case, faultsOf } from '../support/measure.ts'
import { pgbenchTurn } from '../support/pgbench-turn.ts'
import { runCase } from '../support/rounds.ts'
import {
  type Scenario,
  type ScenarioOptions,
  type ScenarioResult,
  secondsOf,
  warmUpSecondsOf,
} from '../support/scenario.ts'
import { ableTargets } from '../support/target.ts'
import type { World } from '../support/world.ts'

interface Script {
  readonly name: string
  readonly about: string
  readonly unit?: string
  readonly unitsPerTransaction?: number
  readonly clients: readonly number[]
  /** pgbench's arguments for what it runs. */
  readonly args: readonly string[]
  /** Instead of a built-in script. */
  readonly text?: string
  readonly seconds: number
  readonly delayMs?: number
}

const pipelineDepth = 20
const largeMb = 100

export const tpcb: Scenario = scriptScenario({
  name: 'tpcb',
  about: 'What is left of the difference when transactions write? (pgbench, TPC-B like)',
  clients: [16],
  args: ['-b', 'tpcb-like', '-M', 'simple'],
  seconds: 3,
})

export const pipeline: Scenario = scriptScenario({
  name: 'pipeline',
  about: `What does a statement cost where a client sends ${pipelineDepth} without waiting?`,
  unit: 'statements',
  unitsPerTransaction: pipelineDepth,
  clients: [1, 16],
  args: ['-M', 'extended'],
  text: [
    String.raw`\startpipeline`,
    ...Array.from({ length: pipelineDepth }, (_, index) => `SELECT ${index};`),
    String.raw`\endpipeline`,
  ].join('\n'),
  seconds: 2,
})

export const distance: Scenario = scriptScenario({
  name: 'distance',
  about: 'Does a pooler keep up when Postgres is 1 ms further away? (pgbench -S)',
  clients: [16],
  args: ['-S', '-M', 'simple'],
  seconds: 2,
  delayMs: 1,
})

export const largeRows: Scenario = scriptScenario({
  name: 'large-rows',
  about: `How fast do results of ${largeMb} MB pass, and at what price?`,
  unit: 'MB',
  unitsPerTransaction: largeMb,
  clients: [1, 4],
  args: ['-M', 'simple'],
  text: `SELECT repeat('x', 1000) FROM generate_series(1, ${largeMb * 1000});`,
  seconds: 3,
})

function scriptScenario(script: Script): Scenario {
  return {
    name: script.name,
    about: script.about,
    isCompared: true,
    delayMs: script.delayMs ?? 0,
    run: (world, options) => runScript(world, options, script),
  }
}

async function runScript(
  world: World,
  options: ScenarioOptions,
  script: Script,
): Promise<ScenarioResult> {
  const seconds = secondsOf(options, script.seconds)
  const cases: Case[] = []
  const args = [...script.args]
  if (script.text !== undefined) {
    const file = join(world.postgres.folder, `${script.name}.sql`)
    await writeFile(file, `${script.text}\n`)
    args.push('-f', file)
  }
  for (const clients of options.isQuick ? script.clients.slice(-1) : script.clients) {
    const common = [...args, '-n', '-c', `${clients}`, '-j', '1']
    const name = `${script.name}, ${clients} clients`
    const done = await runCase(world, {
      name,
      unit: script.unit ?? 'transactions',
      rounds: options.rounds,
      seed: options.seed,
      targets: ableTargets(world.targets, { by: name, clients }, options.say),
      seconds,
      warmUpSeconds: warmUpSecondsOf(options, clients === script.clients[0]),
      turn: (target, turnSeconds) =>
        pgbenchTurn(
          target.transaction,
          [...common, '-T', `${turnSeconds}`],
          script.unitsPerTransaction,
        ),
    })
    options.onCase(done)
    cases.push(done)
  }
  return { settings: { seconds, args }, cases, faults: cases.flatMap(faultsOf) }
}
