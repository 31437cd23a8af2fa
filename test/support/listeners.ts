// Clients that listen through the transaction port, message by message, and what they were told.
import type { NotificationHub } from '../../pooler/pool/notification-hub.ts'
import { eventually } from './eventually.ts'
import type { Backend, PooledPostgres, Port } from './pooled-postgres.ts'
import { RawClient, type RawClientOptions } from './raw-client.ts'
import type { LoginOptions } from './raw-login.ts'
import type { RawMessage } from './raw-messages.ts'
import { rowsOf, typesOf } from './raw-replies.ts'

export interface Told {
  readonly processId: number
  readonly channel: string
  readonly payload: string
}

export function readTold({ body }: RawMessage): Told {
  const [channel = '', payload = ''] = body.toString('utf8', 4).split('\0')
  return { processId: body.readInt32BE(0), channel, payload }
}

export class Listener {
  readonly raw: RawClient
  /** What it was given in BackendKeyData. */
  readonly processId: number

  private constructor(raw: RawClient, processId: number) {
    this.raw = raw
    this.processId = processId
  }

  static async start(
    pooled: PooledPostgres,
    port: Port = 'transaction',
    options: Partial<RawClientOptions> = {},
  ): Promise<Listener> {
    const { client, login } = await pooled.login(port, options)
    return new Listener(client, login.processId)
  }

  /** Anywhere else: on Postgres itself. */
  static async connect(options: RawClientOptions & LoginOptions): Promise<Listener> {
    const raw = await RawClient.connect(options)
    return new Listener(raw, (await raw.login(options)).processId)
  }

  /** Runs a simple Query; the types of what comes from then on until it is over. */
  async run(sql: string): Promise<string> {
    const before = this.raw.pending().length
    await this.raw.query(sql)
    return typesOf((await this.raw.untilReady()).slice(before))
  }

  /** First column of all rows. */
  async column(sql: string): Promise<(string | null)[]> {
    await this.raw.query(sql)
    return rowsOf(await this.raw.untilReady()).map(([value]) => value ?? null)
  }

  /** Everything that it has been told so far, also while replies were read. */
  get told(): Told[] {
    return this.raw.received.filter(({ type }) => type === 'A').map(readTold)
  }

  get payloads(): string[] {
    return this.told.map(({ payload }) => payload)
  }

  /** Waits until it has been told just this, in this order, all in all. */
  async hears(...payloads: string[]): Promise<void> {
    await eventually(() => {
      if (this.payloads.length >= payloads.length) return
      throw new Error(`told ${JSON.stringify(this.payloads)}, not ${JSON.stringify(payloads)}`)
    })
    if (this.payloads.join('\n') !== payloads.join('\n')) {
      throw new Error(`told ${JSON.stringify(this.payloads)}, not ${JSON.stringify(payloads)}`)
    }
  }
}

/** The connection that listens, of the one transaction pool. */
export function hubOf(pooled: PooledPostgres): NotificationHub {
  for (const { key, pool } of pooled.pooler.plane.pools.entries()) {
    if (key.mode === 'transaction') return pool.hub
  }
  throw new Error('there is no transaction pool')
}

/** Waits until no client holds a server: what listens has moved to the shared connection. */
export async function allMoved(pooled: PooledPostgres): Promise<void> {
  await eventually(() => {
    const states = [...pooled.pooler.plane.pools.entries()].flatMap(({ pool }) =>
      [...pool.servers].map(({ state }) => state),
    )
    if (states.some((state) => state !== 'idle')) throw new Error(states.join())
  })
}

/** What Postgres says of the connection that listens. */
export async function sharedBackends(pooled: PooledPostgres): Promise<Backend[]> {
  const backends = await pooled.backends()
  return backends.filter(({ application_name }) => application_name === 'latchkey (listen)')
}
