// npm run bench -- [scenario …] [options]: runs scenarios one after the other, prints their tables,
// keeps their figures and a page of charts. Nothing of it is part of the product.
import { parseArgs } from 'node:util'
import { compare } from './compare.ts'
import { chaos } from './load/chaos.ts'
import { churn } from './load/churn.ts'
import { copy } from './load/copy.ts'
import { idle } from './load/idle.ts'
import { logins } from './load/logins.ts'
import { neighbours } from './load/neighbours.ts'
import { distance, largeRows, pipeline, tpcb } from './load/pgbench-scenarios.ts'
import { select } from './load/select.ts'
import { soak } from './load/soak.ts'
import { tenants } from './load/tenants.ts'
import { caseText } from './support/case-text.ts'
import { htmlPage } from './support/html-page.ts'
import { ownFolder } from './support/latchkey.ts'
import { machineFacts } from './support/machine.ts'
import { removeLeftovers } from './support/postgres.ts'
import { shareByThread } from './support/processor-shares.ts'
import { type RunRecord, type ScenarioRecord, writeRun } from './support/results-file.ts'
import type { Scenario, ScenarioOptions } from './support/scenario.ts'
import { startWorld, type World, type WorldOptions } from './support/world.ts'

const scenarios: readonly Scenario[] = [
  select,
  tpcb,
  pipeline,
  largeRows,
  copy,
  churn,
  logins,
  idle,
  distance,
  tenants,
  neighbours,
  chaos,
  soak,
]

const list = scenarios.map(({ name, about }) => `  ${name.padEnd(11)} ${about}`).join('\n')

const usage = `usage: npm run bench -- [scenario …] [options]
       npm run bench -- compare <results.json> <results.json>

scenarios (without a name, all but soak):
${list}

options:
  --list                names the scenarios
  --quick               all of them in a small way, some two minutes on a quiet machine
  --rounds <n>          rounds of each case (7; quick: 1)
  --seconds <n>         of one round, or of the whole (chaos: 60, soak: 300)
  --clients <n,n,…>     select: numbers of clients (1,16,64,256)
  --protocols <a,b,…>   select: simple, extended, prepared (all)
  --pool-size <n>       servers of a pool (20)
  --seed <n>            of what happens by chance
  --against <folder>    another checkout of Latchkey, measured in the same rounds
  --workers <n>         Latchkey once more with so many workers, measured in the same rounds
  --plain               a proxy that only passes bytes, measured in the same rounds
  --cpu-prof <folder>   Latchkey writes its processor profile there
  --dry                 keeps no results

variables:
  BENCH_DATABASE_URL    a Postgres to measure against, as a role that may make databases and roles
  BENCH_PGBOUNCER, BENCH_PGDOG, BENCH_PGCAT, BENCH_ODYSSEY, BENCH_PGPOOL
                        the program of each, where it is not on PATH
`

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const quickChaosSeconds = 4

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      clients: { type: 'string' },
      protocols: { type: 'string', default: 'simple,extended,prepared' },
      'pool-size': { type: 'string', default: '20' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      against: { type: 'string' },
      'cpu-prof': { type: 'string' },
      workers: { type: 'string' },
      plain: { type: 'boolean', default: false },
      dry: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (positionals[0] === 'compare' && positionals.length === 3) {
    say(await compare(positionals[1] as string, positionals[2] as string))
    return 0
  }
  const unknown = positionals.filter((name) => !scenarios.some((each) => each.name === name))
  if (values.help || values.list || unknown.length > 0) {
    say(values.list ? list : usage)
    return unknown.length === 0 ? 0 : 2
  }
  const isQuick = values.quick
  const options: ScenarioOptions = {
    rounds: values.rounds === undefined ? (isQuick ? 1 : 7) : wholeNumber(values.rounds),
    seconds: values.seconds === undefined ? null : wholeNumber(values.seconds),
    clients: (values.clients ?? (isQuick ? '16' : '1,16,64,256')).split(',').map(wholeNumber),
    protocols: values.protocols.split(','),
    seed: wholeNumber(values.seed),
    isQuick,
    say,
    onCase: (done) => say(`\n${caseText(done)}`),
  }
  const machine = await machineFacts(ownFolder, shareByThread())
  say(`machine: ${JSON.stringify(machine)}`)
  const startedAt = new Date().toISOString()
  const records: ScenarioRecord[] = []
  const worlds = new Worlds(isQuick)
  const chosen = scenarios.filter(
    ({ name, isOnlyByName = false }) =>
      positionals.includes(name) || (positionals.length === 0 && !isOnlyByName),
  )
  const databaseUrl = process.env.BENCH_DATABASE_URL || null
  for (const { name, needsPostgres } of databaseUrl === null ? [] : chosen) {
    if (needsPostgres !== 'own') continue
    say(`${name} restarts Postgres, and is not run against that of BENCH_DATABASE_URL`)
    return 2
  }
  for (const [index, scenario] of chosen.entries()) {
    say(`\n== ${index + 1} of ${chosen.length}, ${scenario.name}: ${scenario.about}`)
    const world = {
      databaseUrl,
      isCompared: scenario.isCompared,
      poolSize: wholeNumber(values['pool-size']),
      delayMs: scenario.delayMs ?? 0,
      against: values.against ?? null,
      profileFolder: values['cpu-prof'] ?? null,
      nodeArgs: scenario.nodeArgs ?? [],
      hasPlainProxy: values.plain,
      workers: values.workers === undefined ? null : wholeNumber(values.workers),
    }
    const started = await worlds.get(world, scenario.isAlone ?? false)
    if (scenario.needsPostgres === 'superuser' && !started.postgres.facts.isSuperuser) {
      say(`left out: it ends connections of others, and the role of BENCH_DATABASE_URL may not`)
      continue
    }
    records.push(await runOne(scenario, started, options))
  }
  await worlds.end()
  const run: RunRecord = {
    startedAt,
    endedAt: new Date().toISOString(),
    machine,
    scenarios: records,
  }
  if (!values.dry) {
    const { json, html } = await writeRun(run, htmlPage(run))
    say(`\nkept as ${json} and ${html}`)
  }
  const faults = records.flatMap((record) => record.faults)
  if (faults.length > 0) say(`\n${faults.length} faults, see above`)
  return faults.length === 0 ? 0 : 1
}

async function runOne(
  scenario: Scenario,
  world: World,
  options: ScenarioOptions,
): Promise<ScenarioRecord> {
  const isShortChaos = scenario === chaos && options.isQuick && options.seconds === null
  for (const [part, settings] of Object.entries(world.settings)) {
    say(`${part}: ${typeof settings === 'string' ? settings : JSON.stringify(settings)}`)
  }
  const result = await scenario.run(
    world,
    isShortChaos ? { ...options, seconds: quickChaosSeconds } : options,
  )
  const { settings, cases = [], figures = null, text = '', faults } = result
  if (text !== '') say(`\n${text}`)
  for (const fault of faults) say(`FAULT: ${fault}`)
  const { name, about } = scenario
  return { name, about, world: world.settings, settings, cases, figures, faults }
}

/** A fresh world for each scenario, so that none measures what another left behind; quickly: not so. */
class Worlds {
  readonly #isShared: boolean
  #key = ''
  #world: World | null = null

  constructor(isShared: boolean) {
    this.#isShared = isShared
  }

  async get(options: WorldOptions, isAlone: boolean): Promise<World> {
    const key = JSON.stringify(options)
    const mayShare = this.#isShared && !isAlone && key === this.#key
    if (this.#world !== null && mayShare) return this.#world
    await this.end()
    this.#key = key
    this.#world = await startWorld(options)
    return this.#world
  }

  async end(): Promise<void> {
    await this.#world?.stop()
    this.#world = null
  }
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`not a whole number: ${text}`)
  return value
}

const removalTimeoutMs = 10_000

// Ctrl-C ends the children with us (each was told to die with its parent), and leaves nothing of ours
// in a Postgres that stays.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    setTimeout(() => process.exit(1), removalTimeoutMs)
    await removeLeftovers().catch((error: Error) => say(`left behind: ${error.message}`))
    process.exit(1)
  })
}

// A scene of chaos that failed may have left a program behind, which would be waited for.
process.exit(
  await main().catch(async (error: Error) => {
    say(`\n${error.stack}`)
    await removeLeftovers()
    return 1
  }),
)
