// Random load on several projects for as long as one likes, while clients and servers are killed and
// Postgres is restarted. No answer may be wrong, no error may come that no fault explains, memory may
// not grow, and in the end everything is as it was at rest.
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, type ClientConfig } from 'pg'
import type { Address } from '../support/address.ts'
import { errorsOf, logLinesByText } from '../support/log-lines.ts'
import {
  inspectedArgs,
  MemoryLog,
  type MemorySample,
  slopePerMinute,
} from '../support/memory-log.ts'
import { appRole, otherRole } from '../support/postgres.ts'
import { untilAtRest } from '../support/rest.ts'
import type { Scenario, ScenarioOptions, ScenarioResult } from '../support/scenario.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { table } from '../support/table.ts'
import type { World } from '../support/world.ts'
import { chaosActions } from './chaos-clients.ts'
import { pause } from './chaos-storm.ts'
import { type RowBook, type SoakClient, soakActivities, WrongAnswer } from './soak-clients.ts'
import { SoakLedger } from './soak-ledger.ts'

const defaultSeconds = 300
const projects = ['soak_a', 'soak_b', 'soak_c', 'soak_d', 'soak_e']
const clientsPerProject = 5
/** Of these the last is on the session port, so that its pool is used too. */
const sessionClients = 1
const namesMax = 3 * projects.length * clientsPerProject
const activitiesMax = 60
const pauseMsMax = 30
const lanes = 2
const lanePauseMsMax = 1500
const killPauseMsMax = 3000
const restartPauseMs = 45_000
const endTimeoutMs = 20_000
const slopeMbMax = 1

export const soak: Scenario = {
  name: 'soak',
  about: 'Does anything go wrong in minutes of random load, kills and restarts of Postgres?',
  isCompared: false,
  isAlone: true,
  isOnlyByName: true,
  needsPostgres: 'own',
  nodeArgs: inspectedArgs,
  async run(world, options): Promise<ScenarioResult> {
    const seconds = options.seconds ?? defaultSeconds
    const run = await SoakRun.prepare(world, options)
    const memory = await MemoryLog.start(world.latchkey.service)
    await run.rageFor(seconds)
    const rest = await untilAtRest(world, () => run.wrongRows())
    await memory.sample()
    memory.stop()
    const logLines = logLinesByText(world.latchkey.service.lines)
    const figures = { ...run.figures(), memory: memoryFigures(memory.samples), logLines }
    return {
      settings: {
        seconds,
        seed: options.seed,
        projects: projects.length,
        clientsPerProject,
        restartPauseMs,
      },
      figures,
      text: textOf(figures),
      faults: [...run.faults(), ...rest, ...growthOf(memory.samples), ...errorsOf(logLines)],
    }
  },
}

class SoakRun {
  readonly #world: World
  readonly #random: SeededRandom
  readonly #ledger = new SoakLedger()
  readonly #counts: Record<string, number> = {}
  readonly #books = new Map<string, RowBook>()
  /** Few, so that what Latchkey remembers by name or text has an end within the run. */
  readonly #freeNames = Array.from({ length: namesMax }, (_, number) => `client_${number}`)
  #addresses: readonly Address[] = []
  #isOver = false
  #isRestarting = false
  #lanesBusy = 0
  #started = 0

  private constructor(world: World, options: ScenarioOptions) {
    this.#world = world
    this.#random = new SeededRandom(options.seed)
  }

  static async prepare(world: World, options: ScenarioOptions): Promise<SoakRun> {
    const run = new SoakRun(world, options)
    for (const name of projects) {
      await world.postgres.addDatabase(name)
      run.#addresses = [...run.#addresses, await world.latchkey.addProject(name, name)]
      run.#books.set(name, { committed: 0, doubtful: 0 })
    }
    return run
  }

  async rageFor(seconds: number): Promise<void> {
    const all = [
      ...this.#addresses.flatMap((address) =>
        Array.from({ length: clientsPerProject }, (_, n) => this.#client(address, n)),
      ),
      ...Array.from({ length: lanes }, () => this.#lane()),
      this.#killServers(),
      this.#restartPostgres(),
    ]
    await pause(seconds * 1000)
    this.#isOver = true
    await Promise.all(all)
  }

  /** Clients one after the other: each does a few things, and ends well or is cut off. */
  async #client(address: Address, number: number): Promise<void> {
    const { session } = this.#world.latchkey
    const isSession = number >= clientsPerProject - sessionClients
    const port = isSession ? session.port : address.port
    while (!this.#isOver) {
      const token = this.#freeNames.pop() ?? 'nobody'
      const isPipelining = this.#random.below(3) === 0
      const parameters = { application_name: token, pipeline: isPipelining }
      const client = new Client({ ...address, port, ...parameters } as ClientConfig)
      // What it says when it loses its server while it asks for nothing; the next query says less.
      let lost: unknown = null
      client.on('error', (error) => {
        lost ??= error
      })
      const rows = this.#books.get(address.database) as RowBook
      const state = {
        client,
        random: this.#random,
        token,
        isPipelining,
        zone: null,
        count: 0,
        rows,
      }
      let doing = 'login'
      try {
        await client.connect()
        this.#count(isSession ? 'login, session port' : 'login, transaction port')
        for (let left = this.#random.below(activitiesMax); left > 0 && !this.#isOver; left--) {
          doing = this.#random.pick(Object.keys(soakActivities))
          await this.#act(state, doing)
        }
        if (this.#random.below(3) === 0) await this.#cutOff(state)
        else await this.#end(client, address)
      } catch (error) {
        if (error instanceof WrongAnswer)
          this.#ledger.onFault(`${address.database}: ${error.message}`)
        else this.#ledger.onError(address.database, doing, lost ?? error)
        await this.#end(client, address)
      }
      this.#freeNames.unshift(token)
    }
  }

  async #act(state: SoakClient, name: string): Promise<void> {
    state.count += 1
    await soakActivities[name]?.(state)
    this.#count(name)
    await pause(this.#random.below(pauseMsMax))
  }

  /** A client that waits for an answer for ever is a fault, and must not hold the run up. */
  async #end(client: Client, { database }: Address): Promise<void> {
    const end = client.end().then(() => true)
    const isOver = await Promise.race([end.catch(() => true), delay(endTimeoutMs, false, unwaited)])
    if (isOver) return
    this.#ledger.onFault(`${database}: a client waits for answers that do not come`)
    socketOf(client).destroy()
  }

  /** In the middle of something. */
  async #cutOff(state: SoakClient): Promise<void> {
    const name = this.#random.pick(Object.keys(soakActivities))
    const acting = soakActivities[name]?.(state).catch(() => {})
    await pause(this.#random.below(20))
    socketOf(state.client).resetAndDestroy()
    this.#count('client cut off')
    await Promise.race([acting, pause(1000)])
  }

  /** The scenes of the chaos scenario, in any project. */
  async #lane(): Promise<void> {
    const { postgres } = this.#world
    while (!this.#isOver) {
      await pause(this.#random.below(lanePauseMsMax))
      if (this.#isRestarting) continue
      const app = this.#random.pick(this.#addresses)
      const name = this.#random.pick(Object.keys(chaosActions))
      const other = { ...app, user: app.user.replace(appRole, otherRole) }
      const sinceMs = performance.now()
      this.#lanesBusy += 1
      // This one picks a server of any project; the others look after those that they terminate.
      const hit = name === 'idle server terminated' ? projects : []
      const deps = { postgres, app, other, number: ++this.#started }
      try {
        await this.#ledger.duringTermination(hit, async () => chaosActions[name]?.(deps))
        this.#count(`chaos: ${name}`)
      } catch (error) {
        this.#ledger.onSceneError(app.database, sinceMs, `chaos: ${name}`, error)
      }
      this.#lanesBusy -= 1
    }
  }

  /** Whatever they are doing. Those of the scenes look after themselves. */
  async #killServers(): Promise<void> {
    while (!this.#isOver) {
      await pause(this.#random.below(killPauseMsMax))
      if (this.#isRestarting) continue
      const { database } = this.#random.pick(this.#addresses)
      try {
        const killed = await this.#ledger.duringTermination([database], () =>
          this.#world.postgres.query(
            `SELECT pg_terminate_backend(pid) FROM (
               SELECT pid FROM pg_stat_activity WHERE usename = $1 AND datname = $2
                 AND query NOT LIKE '%chaos%' ORDER BY random() LIMIT 1) AS victim`,
            [appRole, database],
          ),
        )
        if (killed.length > 0) this.#count('server terminated')
      } catch (error) {
        this.#ledger.onFault(`a server could not be terminated: ${String(error)}`)
      }
    }
  }

  async #restartPostgres(): Promise<void> {
    let sinceMs = performance.now()
    while (!this.#isOver) {
      await pause(200)
      if (performance.now() - sinceMs < restartPauseMs) continue
      this.#isRestarting = true
      while (this.#lanesBusy > 0) await pause(50)
      const mode = this.#random.pick(['fast', 'immediate'] as const)
      await this.#ledger.duringRestart(() => this.#world.postgres.restart(mode))
      this.#count(`Postgres restarted, ${mode}`)
      this.#isRestarting = false
      sinceMs = performance.now()
    }
  }

  /** Rows that are missing, and rows that nobody committed. */
  async wrongRows(): Promise<string[]> {
    const wrong: string[] = []
    for (const [database, { committed, doubtful }] of this.#books) {
      const { postgres } = this.#world
      const wanted = await postgres.count(database, 'soak_rows', 'is_wanted')
      const unwanted = await postgres.count(database, 'soak_rows', 'not is_wanted')
      const left = await postgres.count(database, 'chaos_rows')
      if (wanted < committed || wanted > committed + doubtful) {
        wrong.push(`${database}: ${wanted} rows, committed ${committed}, in doubt ${doubtful}`)
      }
      if (unwanted + left > 0) wrong.push(`${database}: ${unwanted + left} rows of nobody`)
    }
    return wrong
  }

  faults(): string[] {
    const { unexplained, unexplainedCount } = this.#ledger
    const more = unexplainedCount - unexplained.length
    return more === 0 ? unexplained : [...unexplained, `and ${more} more`]
  }

  figures() {
    const sum = (of: (book: RowBook) => number): number =>
      [...this.#books.values()].reduce((total, book) => total + of(book), 0)
    return {
      counts: this.#counts,
      errorsExplained: this.#ledger.explained,
      errorsUnexplained: this.#ledger.unexplainedCount,
      rowsCommitted: sum(({ committed }) => committed),
      rowsInDoubt: sum(({ doubtful }) => doubtful),
    }
  }

  #count(what: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1
  }
}

const unwaited = { ref: false }

const socketOf = (client: Client): Socket =>
  (client as unknown as { connection: { stream: Socket } }).connection.stream

function memoryFigures(samples: readonly MemorySample[]) {
  return {
    start: samples[0],
    end: samples.at(-1),
    residentMbPerMinute: slopePerMinute(samples, 'residentMb'),
    liveHeapMbPerMinute: slopePerMinute(samples, 'liveHeapMb'),
    samples,
  }
}

/** The live heap is what counts: resident memory also grows by what the collector has not given back. */
function growthOf(samples: readonly MemorySample[]): string[] {
  const slope = slopePerMinute(samples, 'liveHeapMb')
  return slope > slopeMbMax ? [`the live heap grew by ${slope.toFixed(2)} MB a minute`] : []
}

function textOf(
  figures: ReturnType<SoakRun['figures']> & {
    memory: ReturnType<typeof memoryFigures>
    logLines: Readonly<Record<string, number>>
  },
): string {
  const { memory, counts, logLines, ...rest } = figures
  const text = (sample: MemorySample | undefined): string =>
    `${sample?.residentMb} resident, ${sample?.liveHeapMb} live heap`
  return table([
    ['memory MB at the start', text(memory.start)],
    ['memory MB at the end', text(memory.end)],
    ['resident MB a minute, second half', memory.residentMbPerMinute.toFixed(2)],
    ['live heap MB a minute, second half', memory.liveHeapMbPerMinute.toFixed(2)],
    ...Object.entries(rest).map(([name, count]) => [name, String(count)]),
    ...Object.entries(counts).map(([name, count]) => [name, String(count)]),
    ...Object.entries(logLines).map(([line, count]) => [`log: ${line}`, String(count)]),
  ])
}
