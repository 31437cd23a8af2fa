// The ways to one and the same database: direct, and through either port. A program that runs each
// way must tell the same. Neighbours keep the servers of the transaction port changing hands.
import { Client } from 'pg'
import { expect } from 'vitest'
import { PooledPostgres, type Port } from './pooled-postgres.ts'
import type { PostgresAccess } from './postgres.ts'

export type Way = 'direct' | Port

export const ways: readonly Way[] = ['direct', 'transaction', 'session']

/** In the shape that `pg` and `postgres` take. */
export interface WayAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

export interface WaysOptions {
  readonly poolSize?: number
  /** Attributes of the role, as in CREATE ROLE. */
  readonly attributes?: string
  /** What no way may find in the way of another; run as the role before each. */
  readonly prepare?: string
}

const cleanSchema = 'drop schema public cascade; create schema public'

export class Ways {
  readonly pooled: PooledPostgres
  readonly #prepare: string

  private constructor(pooled: PooledPostgres, prepare: string) {
    this.pooled = pooled
    this.#prepare = prepare
  }

  static async open(postgres: PostgresAccess, options: WaysOptions = {}): Promise<Ways> {
    const { prepare = '', ...rest } = options
    const pooled = await PooledPostgres.start(postgres, { poolSize: 4, ...rest })
    return new Ways(pooled, `${cleanSchema}; ${prepare}`)
  }

  address(way: Way): WayAddress {
    const { pooled } = this
    const {
      host = '127.0.0.1',
      port,
      user,
    } = way === 'direct' ? pooled.direct() : pooled.target(way)
    return { host, port, user, password: pooled.password, database: pooled.database }
  }

  url(way: Way): string {
    const { host, port, user, password, database } = this.address(way)
    return `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`
  }

  /** Runs `program` each way, in an empty database, and fails unless all tell what direct tells. */
  async agree<Told>(program: (address: WayAddress, way: Way) => Promise<Told>): Promise<Told> {
    const direct = await this.#run(program, 'direct')
    for (const port of ['transaction', 'session'] as const) {
      expect(await this.#run(program, port), `${port} port`).toEqual(direct)
    }
    return direct
  }

  async #run<Told>(
    program: (address: WayAddress, way: Way) => Promise<Told>,
    way: Way,
  ): Promise<Told> {
    await this.query(this.#prepare)
    const neighbours = way === 'transaction' ? await Neighbours.moveIn(this.address(way)) : null
    try {
      return await program(this.address(way), way)
    } finally {
      await neighbours?.moveOut()
      await this.pooled.settled()
    }
  }

  /** Straight to Postgres, as the role. */
  async query(sql: string): Promise<void> {
    const client = new Client(this.address('direct'))
    await client.connect()
    await client.query(sql)
    await client.end()
  }

  async close(): Promise<void> {
    await this.pooled.stop()
  }
}

const neighbourCount = 3

/**
 * Clients of the same pool that hold servers for moments, in turn with whoever is looked at, and leave
 * settings and statements behind that would be noticed.
 */
class Neighbours {
  readonly #clients: readonly Client[]
  readonly #living: Promise<void>[]
  #isOver = false

  private constructor(clients: readonly Client[]) {
    this.#clients = clients
    this.#living = clients.map((client, number) => this.#live(client, number))
  }

  static async moveIn(address: WayAddress): Promise<Neighbours> {
    const clients = Array.from({ length: neighbourCount }, () => new Client(address))
    // What ends one fails its query; the event on its own would end the test run.
    for (const client of clients) client.on('error', () => {})
    await Promise.all(clients.map((client) => client.connect()))
    return new Neighbours(clients)
  }

  async moveOut(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#living)
    await Promise.all(this.#clients.map((client) => client.end()))
  }

  async #live(client: Client, number: number): Promise<void> {
    const held = `select pg_sleep(${(number + 1) / 200})`
    while (!this.#isOver) {
      await client.query(`set timezone to 'Etc/GMT+${number + 1}'`)
      await client.query(`set search_path to neighbour_${number}, public`)
      await client.query('begin')
      await client.query(held)
      await client.query('commit')
      const { rows } = await client.query({ name: 'one', text: `select ${number} as mine` })
      expect(rows).toEqual([{ mine: number }])
      await client.query('reset all')
    }
  }
}
