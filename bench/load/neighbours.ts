// One quiet client, alone and beside thousands of busy ones of another project, whose pool is as large
// as ever. What the pooler does to it is told apart from what the machine does: the crowd's own program
// and its servers get what others leave of the processor. How far that goes show two controls: the same
// client straight to Postgres, and through a pooler of its own, beside the same crowd.
import { setTimeout as pause } from 'node:timers/promises'
import type { Address } from '../support/address.ts'
import type { CrowdLoad, CrowdReport, CrowdRequest } from '../support/crowd-main.ts'
import { HelperProcess } from '../support/helper-process.ts'
import { ownFolder, startLatchkey } from '../support/latchkey.ts'
import { faultsOf } from '../support/measure.ts'
import { type BenchPostgres, benchDatabase, otherRole } from '../support/postgres.ts'
import type { QuietReport, QuietRequest } from '../support/quiet-client-main.ts'
import { runCase, type Turn } from '../support/rounds.ts'
import {
  type Scenario,
  type ScenarioOptions,
  type ScenarioResult,
  secondsOf,
  warmUpSecondsOf,
} from '../support/scenario.ts'
import { untilServing } from '../support/service.ts'
import { standBack } from '../support/stand-back.ts'
import { ableTargets, checkLogin, type Target } from '../support/target.ts'
import type { World } from '../support/world.ts'

const clients = 5000
/** In its texts, by which its servers are found. */
const crowdMark = 'crowd'
interface Load extends CrowdLoad {
  readonly name: string
}

/** The last one takes all that the machine has, the others are the pooler's affair. */
const loads: readonly Load[] = [
  { name: 'each every 2 s', pauseMs: 2000, heldMs: 0 },
  { name: 'all of whom wait for servers that take 10 ms', pauseMs: 0, heldMs: 10 },
  { name: 'without pause', pauseMs: 0, heldMs: 0 },
]

interface Neighbourhood {
  readonly target: Target
  readonly quiet: Address
  readonly crowd: HelperProcess
}

export const neighbours: Scenario = {
  name: 'neighbours',
  about: `What does one quiet client notice of ${clients} busy ones of another project?`,
  isCompared: true,
  async run(world, options): Promise<ScenarioResult> {
    const seconds = secondsOf(options, 8)
    const count = options.isQuick ? 500 : clients
    const wanted = options.isQuick ? loads.slice(-1) : loads
    const quiet = new HelperProcess('quiet-client-main.ts')
    const apart = await startApart(world)
    const places = await neighbourhoods(world, options, apart.target, count)
    const cases = []
    for (const load of wanted) {
      const done = await runCase(world, {
        name: `beside ${count} clients, ${load.name}`,
        unit: "the crowd's transactions",
        rounds: options.rounds,
        seed: options.seed,
        targets: places.map(({ target }) => target),
        seconds,
        warmUpSeconds: warmUpSecondsOf(options, cases.length === 0),
        turn: (target, turnSeconds) => {
          const place = places.find((each) => each.target === target) as Neighbourhood
          return aloneAndBeside(world.postgres, place, quiet, load, turnSeconds)
        },
      })
      options.onCase(done)
      cases.push(done)
    }
    for (const crowd of new Set(places.map(({ crowd }) => crowd))) crowd.stop()
    quiet.stop()
    await apart.service.stop()
    const settings = { clients: count, loads: wanted, seconds }
    return { settings, cases, faults: cases.flatMap(faultsOf) }
  },
}

/** A second pooler, that only the quiet client uses. */
async function startApart(world: World) {
  const { postgres } = world
  const poolSize = Number(world.latchkey.settings.pool_size)
  const options = { name: 'apart', folder: ownFolder, nodeArgs: [], poolSize }
  return await startLatchkey(postgres, { ...options, upstream: postgres.address() })
}

async function neighbourhoods(
  world: World,
  { say }: ScenarioOptions,
  apart: Target,
  count: number,
): Promise<Neighbourhood[]> {
  const { latchkey, others, postgres } = world
  const opened = async (address: Address): Promise<HelperProcess> => {
    const crowd = new HelperProcess('crowd-main.ts')
    await crowd.ask({ do: 'open', address, clients: count } satisfies CrowdRequest)
    say(`${count} clients of ${address.user}, port ${address.port}`)
    return crowd
  }
  const quiet = await latchkey.addProject('quiet', benchDatabase)
  await untilServing(latchkey.service, () => checkLogin(quiet))
  const ours = await opened(latchkey.target.transaction)
  const direct = { ...latchkey.target, name: 'direct' }
  const places: Neighbourhood[] = [
    { target: direct, quiet: postgres.address(), crowd: ours },
    { target: { ...latchkey.target, name: 'apart' }, quiet: apart.transaction, crowd: ours },
  ]
  const wanted = { by: 'neighbours', needs: ['scram'] as const, clients: count }
  for (const target of ableTargets(others, wanted, say)) {
    const other = { ...target.transaction, user: otherRole }
    places.push({ target, quiet: other, crowd: await opened(target.transaction) })
  }
  const against = world.targets.find(({ name }) => name === 'against')
  if (against !== undefined) {
    const { port } = against.transaction
    places.push({
      target: against,
      // Both know the same projects.
      quiet: { ...quiet, port },
      crowd: await opened(against.transaction),
    })
  }
  return [...places, { target: latchkey.target, quiet, crowd: ours }]
}

/** Process ids of those that the crowd had last, where they are of this machine. */
async function serversOf(postgres: BenchPostgres): Promise<number[]> {
  if (postgres.pid === null) return []
  const like = `SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT % AS ${crowdMark}'`
  return (await postgres.query(like)).map(({ pid }) => Number(pid))
}

async function aloneAndBeside(
  postgres: BenchPostgres,
  { quiet: address, crowd }: Neighbourhood,
  quiet: HelperProcess,
  { pauseMs, heldMs }: CrowdLoad,
  seconds: number,
): Promise<Turn> {
  const measured = (): Promise<QuietReport> =>
    quiet.ask({ address, seconds } satisfies QuietRequest)
  const alone = await measured()
  await crowd.ask({ do: 'begin', mark: crowdMark, pauseMs, heldMs } satisfies CrowdRequest)
  await pause(Math.max(1000, pauseMs))
  const behind = [crowd.pid, ...(await serversOf(postgres))].filter(standBack).length
  const beside = await measured()
  const busy: CrowdReport = await crowd.ask({ do: 'end' } satisfies CrowdRequest)
  const times = (name: 'p50Ms' | 'p99Ms'): number => (beside[name] ?? 0) / (alone[name] ?? 1)
  return {
    work: busy.answers,
    seconds: busy.seconds,
    latencies: beside,
    errors: busy.errors,
    firstError: busy.errors > 0 ? 'of a busy client' : null,
    extra: {
      'behind others': behind,
      'alone p50': alone.p50Ms ?? 0,
      'alone p99': alone.p99Ms ?? 0,
      'p50 ×': times('p50Ms'),
      'p99 ×': times('p99Ms'),
    },
  }
}
