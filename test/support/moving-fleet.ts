// The clients of one round: they act at random until they are stopped, and come back when they have been ended.

import { sleep, systemClock } from '../../shared/clock.ts'
import { eventually } from './eventually.ts'
import { actAtRandom, askOnce, checkAtRest, checkListening } from './moving-acts.ts'
import { ClientEnded, type Identity, MovingClient } from './moving-client.ts'
import type { MovingProject } from './moving-project.ts'
import type { SeededRandom } from './seeded-random.ts'

export class MovingFleet {
  readonly #project: MovingProject
  readonly #clients: readonly MovingClient[]
  readonly #random: SeededRandom
  #isStopped = false
  hasFailed = false

  constructor(project: MovingProject, random: SeededRandom) {
    this.#project = project
    this.#random = random
    const { roles, databases } = project.places
    const identity = (index: number): Identity => ({
      name: `c${index}`,
      mode: random.chance(0.25) ? 'session' : 'transaction',
      role: random.pick(roles),
      database: random.pick([...databases, null]),
    })
    const count = 10 + random.int(8)
    this.#clients = Array.from(
      { length: count },
      (_, index) => new MovingClient(identity(index), project),
    )
  }

  get figures() {
    const sum = (read: (client: MovingClient) => number) =>
      this.#clients.reduce((all, client) => all + read(client), 0)
    return {
      answers: sum(({ answers }) => answers),
      errors: sum(({ errors }) => errors),
      endings: sum(({ endings }) => endings),
    }
  }

  /** Until `stop`; throws what the first client that fails throws, when all have stopped. */
  async run(): Promise<void> {
    const runs = this.#clients.map((client) => this.#live(client, this.#random.fork()))
    const ends = await Promise.allSettled(runs)
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  stop(): void {
    this.#isStopped = true
  }

  leave(): void {
    for (const client of this.#clients) if (client.isIn) client.leave('close')
  }

  /** Nothing is done to the project any more: nobody is refused or ended, and who was is in again. */
  async checkAtRest(): Promise<void> {
    for (const client of this.#clients) await this.#words(client, () => this.#comeBack(client))
    const checks = this.#clients.map((client) => this.#words(client, () => checkAtRest(client)))
    await Promise.all(checks)
    const { places, place } = this.#project
    await this.#checkServers()
    for (const database of places.databases) {
      await checkListening(
        this.#clients.filter((client) => client.database === database),
        async (channel, payload) => {
          await places.query(
            place.last.name,
            'select pg_notify($1, $2)',
            [channel, payload],
            database,
          )
        },
      )
    }
  }

  /** At places of before are those alone that a client keeps. */
  async #checkServers(): Promise<void> {
    const { place } = this.#project
    await eventually(() => {
      const kept = this.#clients.map(({ keptServer }) => keptServer)
      const outdated = this.#project.servers.filter(
        (server) => !server.startsWith(`${place.last.name} `) && !kept.includes(server),
      )
      if (outdated.length > 0) throw new Error(`still at a place of before: ${outdated.join()}`)
    })
  }

  async #live(client: MovingClient, random: SeededRandom): Promise<void> {
    try {
      await this.#words(client, async () => {
        while (!this.#isStopped && !this.hasFailed) {
          await this.#once(client, () => this.#act(client, random))
          if (!client.isIn) await sleep(systemClock, random.int(30))
        }
      })
    } catch (error) {
      this.hasFailed = true
      this.#project.ledger.note(`${client.is.name} failed`)
      throw error
    }
  }

  async #act(client: MovingClient, random: SeededRandom): Promise<void> {
    if (!client.isIn) {
      client.doing = 'login'
      await client.logIn()
    }
    await actAtRandom(client, random)
    if (random.chance(0.3)) await sleep(systemClock, random.int(20))
  }

  /** What was done until a moment ago may be told still, and then no more. */
  async #comeBack(client: MovingClient): Promise<void> {
    client.doing = 'coming back'
    if (client.isIn) await this.#once(client, () => askOnce(client))
    if (client.isIn && client.isMisplaced) await client.awaitEnd()
    if (!client.isIn) await client.logIn()
  }

  async #once(client: MovingClient, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      if (!(error instanceof ClientEnded)) throw error
      client.leave('close')
    }
  }

  async #words(client: MovingClient, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      const { name, role, mode, database } = client.is
      const text = error instanceof Error ? error.message : String(error)
      const who = `${name} (${role}, ${database}, ${mode}), ${client.doing}, at ${Math.round(performance.now())}`
      throw new Error(`${who}: ${text}`, { cause: error })
    }
  }
}
