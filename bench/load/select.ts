// pgbench -S: one small read in a transaction of its own, where what a pooler costs shows most.
// Targets take turns within each round, and are compared round by round.
import { untilQuiet } from '../support/quiet.ts'
import { type Round, runRound } from '../support/round.ts'
import type { Scenario, ScenarioOptions, ScenarioResult } from '../support/scenario.ts'
import { ratioOf, spreadOf, spreadText } from '../support/spread.ts'
import { table } from '../support/table.ts'
import type { Target } from '../support/target.ts'
import type { World } from '../support/world.ts'

type Protocol = 'simple' | 'extended' | 'prepared'

interface Case {
  readonly protocol: Protocol
  readonly clients: number
}

interface CaseResult extends Case {
  readonly pgbenchArgs: readonly string[]
  readonly rounds: readonly Round[]
}

const poolPort: Readonly<Record<Protocol, 'transaction' | 'session'>> = {
  simple: 'transaction',
  extended: 'transaction',
  // Named statements need the port where a client keeps its server.
  prepared: 'session',
}

const protocols = Object.keys(poolPort) as Protocol[]
const defaultSeconds = 2
const warmUpSeconds = 1
/** Before each round, where others share the machine. */
const quietWaitMsMax = 10_000

export const select: Scenario = {
  name: 'select',
  about: 'pgbench -S against direct, PgBouncer and Latchkey in turns',
  isCompared: true,
  async run(world, options): Promise<ScenarioResult> {
    const seconds = options.seconds ?? defaultSeconds
    const results: CaseResult[] = []
    for (const each of casesOf(world, options)) {
      const result = await runCase(world, options, each, seconds)
      results.push(result)
      options.say(`\n${caseText(result, world.targets)}`)
    }
    return {
      settings: {
        rounds: options.rounds,
        secondsPerRound: seconds,
        warmUpSeconds,
        quietWaitMsMax,
        poolPort,
      },
      figures: results.map((each) => ({ ...each, ...summaryOf(each, world.targets) })),
      text: '',
      faults: results.flatMap(faultsOf),
    }
  },
}

/** More clients than servers would wait for each other on the session port, for ever. */
function casesOf(world: World, options: ScenarioOptions): Case[] {
  const poolSize = Number(world.latchkey.settings.pool_size)
  return protocols
    .filter((protocol) => options.protocols.includes(protocol))
    .flatMap((protocol) => options.clients.map((clients) => ({ protocol, clients })))
    .filter(({ protocol, clients }) => poolPort[protocol] === 'transaction' || clients <= poolSize)
}

async function runCase(
  world: World,
  options: ScenarioOptions,
  { protocol, clients }: Case,
  seconds: number,
): Promise<CaseResult> {
  const common = ['-S', '-n', '-M', protocol, '-c', String(clients), '-j', '1']
  const pgbenchArgs = [...common, '-T', String(seconds)]
  const run = (target: Target, round: number, args: readonly string[]): Promise<Round> =>
    runRound({
      target,
      address: target[poolPort[protocol]],
      round,
      pgbenchArgs: args,
      postgresPid: world.postgres.pid,
    })
  for (const target of world.targets) await run(target, 0, [...common, '-T', `${warmUpSeconds}`])
  const rounds: Round[] = []
  for (let round = 1; round <= options.rounds; round++) {
    await untilQuiet(quietWaitMsMax)
    for (const target of inTurn(world.targets, round)) {
      rounds.push(await run(target, round, pgbenchArgs))
    }
  }
  return { protocol, clients, pgbenchArgs, rounds }
}

/** Each round begins with another target, so that a place in the order favours none. */
const inTurn = (targets: readonly Target[], round: number): Target[] => {
  const first = (round - 1) % targets.length
  return [...targets.slice(first), ...targets.slice(0, first)]
}

const figures = {
  tps: (round: Round) => round.tps,
  latencyMs: (round: Round) => round.latencyMs,
  poolerCpuUsPerTransaction: (round: Round) => round.poolerCpuUsPerTransaction,
}

type Figure = keyof typeof figures

/** Of each target its own spread, and its ratio to the two yardsticks. */
function summaryOf(result: CaseResult, targets: readonly Target[]) {
  const valuesOf = (target: string, figure: Figure): (number | null)[] =>
    result.rounds.filter((round) => round.target === target).map(figures[figure])
  const perFigure = (make: (figure: Figure) => unknown): Record<Figure, unknown> => ({
    tps: make('tps'),
    latencyMs: make('latencyMs'),
    poolerCpuUsPerTransaction: make('poolerCpuUsPerTransaction'),
  })
  return {
    summary: targets.map(({ name }) => ({
      target: name,
      spread: perFigure((figure) => spreadOf(valuesOf(name, figure).filter((it) => it !== null))),
      toPgbouncer: perFigure((figure) =>
        ratioOf(valuesOf(name, figure), valuesOf('pgbouncer', figure)),
      ),
      toDirect: perFigure((figure) => ratioOf(valuesOf(name, figure), valuesOf('direct', figure))),
    })),
  }
}

function caseText(result: CaseResult, targets: readonly Target[]): string {
  const roundsOf = (target: string): Round[] => result.rounds.filter((it) => it.target === target)
  const spread = (target: string, figure: Figure, digits: number): string => {
    const values = roundsOf(target).map(figures[figure])
    return spreadText(spreadOf(values.filter((it) => it !== null)), digits)
  }
  const ratio = (target: string, to: string, figure: Figure): string =>
    spreadText(ratioOf(roundsOf(target).map(figures[figure]), roundsOf(to).map(figures[figure])), 2)
  const rows = [['', 'tps', 'latency ms', 'pooler CPU µs/tx', 'failed']]
  for (const { name } of targets) {
    const failed = roundsOf(name).reduce((sum, { failed }) => sum + failed, 0)
    rows.push([
      name,
      spread(name, 'tps', 0),
      spread(name, 'latencyMs', 3),
      spread(name, 'poolerCpuUsPerTransaction', 1),
      String(failed),
    ])
  }
  for (const [ours, theirs] of comparisons(targets)) {
    rows.push([
      `${ours} / ${theirs}`,
      ratio(ours, theirs, 'tps'),
      ratio(ours, theirs, 'latencyMs'),
      ratio(ours, theirs, 'poolerCpuUsPerTransaction'),
      '',
    ])
  }
  const others = spreadOf(result.rounds.map(({ othersShare }) => othersShare * 100))
  const stolen = spreadOf(result.rounds.map(({ stolenShare }) => stolenShare * 100))
  return [
    `${result.protocol}, ${result.clients} clients, ${poolPort[result.protocol]} port`,
    table(rows),
    `part of the machine used by others: ${spreadText(others, 0)} %, stolen: ${spreadText(stolen, 0)} %`,
  ].join('\n')
}

function comparisons(targets: readonly Target[]): [string, string][] {
  const names = targets.map(({ name }) => name)
  return [
    ...['pgbouncer', 'direct', 'plain', 'against'].map((it): [string, string] => ['latchkey', it]),
    ['plain', 'pgbouncer'] as [string, string],
    ['pgbouncer', 'direct'] as [string, string],
  ].filter((pair) => pair.every((name) => names.includes(name)))
}

function faultsOf({ protocol, clients, rounds }: CaseResult): string[] {
  return rounds
    .filter(({ exitCode, failed }) => exitCode !== 0 || failed > 0)
    .map(({ target, round, exitCode, failed, stderr }) => {
      const where = `${protocol}, ${clients} clients, ${target}, round ${round}`
      return `${where}: ${failed} failed, exit code ${exitCode}: ${stderr.trim().split('\n').at(-1)}`
    })
}
