// The chaos around the measured load: actions in a few lanes, and probes that watch meanwhile.
import { Client } from 'pg'
import type { Address } from '../support/address.ts'
import { appRole, otherRole } from '../support/postgres.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import type { World } from '../support/world.ts'
import { chaosActions } from './chaos-clients.ts'

/** Actions under way at a time; a burst of clients and the load want more than the pool has. */
const lanes = 3
const pauseMsMax = 300
const probePeriodMs = 100

interface Backend {
  readonly pid: number
  readonly state: string
  readonly query: string
  readonly wait_event: string | null
  readonly state_change: Date
}

export class Storm {
  /** How often each action came to its end. */
  readonly counts: Record<string, number> = {}
  readonly faults: string[] = []
  /** Backends of the load's role, as Postgres counted them. */
  serversAtOnceMax = 0
  /** Who they were when there were more than the pool may have. */
  crowd: readonly Backend[] = []
  /** What one small query took, asked regularly: what both show is the machine's doing. */
  readonly straightMs: number[] = []
  readonly throughMs: number[] = []
  readonly #world: World
  readonly #random: SeededRandom
  #isOver = false
  #started = 0

  constructor(world: World, seed: number) {
    this.#world = world
    this.#random = new SeededRandom(seed)
  }

  /** Rages until the work is done. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    const { postgres, latchkey } = this.#world
    const all = [
      ...Array.from({ length: lanes }, () => this.#lane()),
      this.#probe(postgres.address(), this.straightMs, (client) => this.#countServers(client)),
      this.#probe(latchkey.target.transaction, this.throughMs, (client) =>
        client.query('SELECT 1'),
      ),
    ]
    try {
      return await work()
    } finally {
      this.#isOver = true
      await Promise.all(all)
    }
  }

  async #lane(): Promise<void> {
    const { postgres, latchkey } = this.#world
    const app = latchkey.target.transaction
    const other = { ...app, user: app.user.replace(appRole, otherRole) }
    while (!this.#isOver) {
      const name = this.#random.pick(Object.keys(chaosActions))
      const number = ++this.#started
      try {
        await chaosActions[name]?.({ postgres, app, other, number })
        this.counts[name] = (this.counts[name] ?? 0) + 1
      } catch (error) {
        this.faults.push(`${name}: ${textOf(error)}`)
      }
      await pause(this.#random.below(pauseMsMax))
    }
  }

  /** One connection that stays; losing it is a fault like a failed transaction of the load. */
  async #probe(
    address: Address,
    times: number[],
    ask: (client: Client) => Promise<unknown>,
  ): Promise<void> {
    const client = new Client(address)
    client.on('error', () => {})
    try {
      await client.connect()
      while (!this.#isOver) {
        const startMs = performance.now()
        await ask(client)
        times.push(Math.round(performance.now() - startMs))
        await pause(probePeriodMs)
      }
    } catch (error) {
      this.faults.push(`probe to port ${address.port}: ${textOf(error)}`)
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** pool_size is a promise to Postgres' max_connections, so Postgres is asked. */
  async #countServers(client: Client): Promise<void> {
    const { rows } = await client.query<Backend>(
      `SELECT pid, state, left(query, 60) AS query, wait_event, state_change FROM pg_stat_activity
       WHERE usename = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
      [appRole],
    )
    const max = Number(this.#world.latchkey.settings.pool_size)
    if (rows.length > Math.max(max, this.serversAtOnceMax)) {
      this.faults.push(`${rows.length} servers at once, where the pool may have ${max}`)
      this.crowd = rows
    }
    this.serversAtOnceMax = Math.max(this.serversAtOnceMax, rows.length)
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))
