// npm run bench -- [scenario …] [options]: runs scenarios one after the other, prints their tables,
// keeps their figures. Nothing of it is part of the product.
import { parseArgs } from 'node:util'
import { chaos } from './load/chaos.ts'
import { select } from './load/select.ts'
import { soak } from './load/soak.ts'
import { ownFolder } from './support/latchkey.ts'
import { machineFacts } from './support/machine.ts'
import { writeResults } from './support/results-file.ts'
import type { Scenario, ScenarioOptions } from './support/scenario.ts'
import { startWorld, type World } from './support/world.ts'

const scenarios: readonly Scenario[] = [select, chaos, soak]

const usage = `usage: npm run bench -- [scenario …] [options]

scenarios (all without a name):
${scenarios.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`).join('\n')}

options:
  --rounds <n>          rounds of each case (7)
  --seconds <n>         of one round (select: 2), or of the whole (chaos: 60, soak: 300)
  --clients <n,n,…>     numbers of clients (1,16,64)
  --protocols <a,b,…>   simple, extended, prepared (all)
  --pool-size <n>       servers of a pool (20)
  --seed <n>            of what happens by chance
  --against <folder>    another checkout of Latchkey, measured in the same rounds
  --plain               a proxy that only passes bytes, measured in the same rounds
  --cpu-prof <folder>   Latchkey writes its processor profile there
  --dry                 keeps no results
`

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string' },
      clients: { type: 'string', default: '1,16,64' },
      protocols: { type: 'string', default: 'simple,extended,prepared' },
      'pool-size': { type: 'string', default: '20' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      against: { type: 'string' },
      'cpu-prof': { type: 'string' },
      plain: { type: 'boolean', default: false },
      dry: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const unknown = positionals.filter((name) => !scenarios.some((each) => each.name === name))
  if (values.help || unknown.length > 0) {
    say(usage)
    return values.help ? 0 : 2
  }
  const options: ScenarioOptions = {
    rounds: wholeNumber(values.rounds),
    seconds: values.seconds === undefined ? null : wholeNumber(values.seconds),
    clients: values.clients.split(',').map(wholeNumber),
    protocols: values.protocols.split(','),
    seed: wholeNumber(values.seed),
    say,
  }
  const chosen = scenarios.filter(
    ({ name }) => positionals.length === 0 || positionals.includes(name),
  )
  const machine = await machineFacts(ownFolder)
  say(`machine: ${JSON.stringify(machine)}`)
  let faultCount = 0
  for (const scenario of chosen) {
    const world = await startWorld({
      isCompared: scenario.isCompared,
      poolSize: wholeNumber(values['pool-size']),
      against: values.against ?? null,
      profileFolder: values['cpu-prof'] ?? null,
      nodeArgs: scenario.nodeArgs ?? [],
      hasPlainProxy: values.plain,
    })
    try {
      const startedAt = new Date().toISOString()
      const { faults, ...result } = await runOne(scenario, world, options)
      faultCount += faults.length
      if (!values.dry) {
        const times = { startedAt, endedAt: new Date().toISOString() }
        const record = { scenario: scenario.name, ...times, machine, world: world.settings }
        const name = await writeResults(scenario.name, { ...record, ...result, faults })
        say(`\nkept as bench/results/${name}`)
      }
    } finally {
      await world.stop()
    }
  }
  return faultCount === 0 ? 0 : 1
}

async function runOne(scenario: Scenario, world: World, options: ScenarioOptions) {
  say(`\n== ${scenario.name}: ${scenario.about}`)
  for (const [part, settings] of Object.entries(world.settings)) {
    say(`${part}: ${JSON.stringify(settings)}`)
  }
  const { settings, figures, text, faults } = await scenario.run(world, options)
  if (text !== '') say(`\n${text}`)
  for (const fault of faults) say(`FAULT: ${fault}`)
  return { settings, figures, faults }
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`not a whole number: ${text}`)
  return value
}

// Ctrl-C ends the children with us (each was told to die with its parent).
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

// A scene of chaos that failed may have left a program behind, which would be waited for.
process.exit(await main())
