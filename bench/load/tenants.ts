// Many projects with a client each, in turns; alone, and beside one project that asks for all it gets.
import { faultsOf, latencies } from '../support/measure.ts'
import { pgbench } from '../support/pgbench.ts'
import { benchDatabase } from '../support/postgres.ts'
import { runCase, type Turn } from '../support/rounds.ts'
import {
  type Scenario,
  type ScenarioOptions,
  type ScenarioResult,
  secondsOf,
  warmUpSecondsOf,
} from '../support/scenario.ts'
import { untilServing } from '../support/service.ts'
import { WireClient } from '../support/wire-client.ts'
import type { World } from '../support/world.ts'

const projects = 1000
const lanes = 8
const loginLanes = 8
const noisyClients = 64
/** For the noisy one's pool, and for Latchkey's own. */
const connectionsKept = 50

export const tenants: Scenario = {
  name: 'tenants',
  about: `What do ${projects} quiet projects notice of one noisy neighbour?`,
  isCompared: false,
  async run(world, options): Promise<ScenarioResult> {
    const room = world.postgres.facts.freeConnections - connectionsKept
    const wanted = options.isQuick ? 50 : projects
    const count = Math.max(1, Math.min(wanted, room))
    if (count < wanted) options.say(`${count} projects: Postgres has no more connections left`)
    const clients = await openProjects(world, options, count)
    const seconds = secondsOf(options, 5)
    const cases = []
    for (const isNoisy of [false, true]) {
      const done = await runCase(world, {
        name: `${count} projects ${isNoisy ? `beside one of ${noisyClients} clients` : 'alone'}`,
        unit: 'transactions',
        rounds: Math.min(3, options.rounds),
        seed: options.seed,
        targets: [world.latchkey.target],
        seconds,
        warmUpSeconds: warmUpSecondsOf(options, cases.length === 0, 1),
        turn: (_target, turnSeconds) => quietTurn(world, clients, isNoisy, turnSeconds),
      })
      options.onCase(done)
      cases.push(done)
    }
    await Promise.all(clients.map((client) => client.close()))
    const settings = { projects: count, poolSizeOfEach: 1, lanes, noisyClients, seconds }
    return { settings, cases, faults: cases.flatMap(faultsOf) }
  },
}

/** Each project's first query opens its server. */
async function openProjects(
  world: World,
  options: ScenarioOptions,
  count: number,
): Promise<WireClient[]> {
  const clients: WireClient[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      const ref = `quiet${next++}`
      const address = await world.latchkey.addProject(ref, benchDatabase, 1)
      // The pooler may hear of a project a moment after the API has answered.
      const client = await untilServing(world.latchkey.service, () =>
        WireClient.open(address, false),
      )
      await client.query('SELECT 1')
      clients.push(client)
      if (clients.length % 100 === 0) options.say(`${clients.length} projects`)
    }
  }
  await Promise.all(Array.from({ length: loginLanes }, lane))
  return clients
}

async function quietTurn(
  world: World,
  clients: readonly WireClient[],
  isNoisy: boolean,
  seconds: number,
): Promise<Turn> {
  const noise = isNoisy
    ? pgbench(world.latchkey.target.transaction, [
        ...['-S', '-n', '-c', String(noisyClients), '-j', '1', '-T', String(seconds + 1)],
      ])
    : null
  const took: number[] = []
  const endMs = performance.now() + seconds * 1000
  let errors = 0
  let firstError: string | null = null
  // Each lane has clients of its own: a client has one query under way at most.
  const lane = async (first: number): Promise<void> => {
    let at = first
    while (performance.now() < endMs) {
      const client = clients[at] as WireClient
      at = at + lanes < clients.length ? at + lanes : first
      const fromMs = performance.now()
      try {
        await client.query('SELECT abalance FROM pgbench_accounts WHERE aid = 1')
        took.push(performance.now() - fromMs)
      } catch (error) {
        errors++
        firstError ??= String(error)
      }
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)))
  const noisy = await noise
  if (noisy !== null && (noisy.exitCode !== 0 || noisy.transactions === 0)) {
    errors++
    firstError ??= `the noisy one: ${noisy.stderr.trim().split('\n').at(-1)}`
  }
  return {
    work: took.length + (noisy?.transactions ?? 0),
    seconds,
    latencies: latencies(Float64Array.from(took)),
    errors: errors + (noisy?.failed ?? 0),
    firstError,
    extra: { 'quiet /s': took.length / seconds },
  }
}
