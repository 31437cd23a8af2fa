// Tells this process what changed in the metadata: one listening connection, kept up. Rows announce
// themselves by triggers in their own transaction. A heartbeat comes through the same feed each
// second; without one for 5 s the process is blind and must not decide anything from memory.
import { randomBytes } from 'node:crypto'
import { Socket } from 'node:net'
import { sql } from 'kysely'
import pg from 'pg'
import { type Clock, sleep, type Timer } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { Database } from './database.ts'

export type Change =
  | { readonly kind: 'tenant'; readonly ref: string }
  | { readonly kind: 'membership' | 'rule'; readonly ref: string; readonly userId: string }
  | { readonly kind: 'member'; readonly userId: string }
  | { readonly kind: 'token'; readonly id: string }
  /** Ends one live session by hand, wherever it is. */
  | {
      readonly kind: 'session-end'
      readonly ref: string
      readonly sessionId: string
      readonly reason: string
    }
  /** Changes may have been missed: all that is remembered counts for nothing. */
  | { readonly kind: 'reread-all' }

export type ChangeListener = (change: Change) => void

/** What a follower of changes needs; tests drive one by hand. */
export interface Changes {
  readonly isBlind: boolean
  /** Returns what takes the listener away again. */
  onChange(listener: ChangeListener): () => void
}

export interface ChangeFeedOptions {
  readonly url: string
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
}

interface Connection {
  readonly client: pg.Client
  /** Ours, to be destroyed without waiting for a goodbye where the other side hangs. */
  readonly socket: Socket
}

const changeChannel = 'latchkey_changes'
const heartbeatMs = 1000
const blindAfterMs = 5000
const connectTimeoutMs = 3000
const reconnectDelayMs = 250

export class ChangeFeed implements Changes {
  readonly #options: ChangeFeedOptions
  readonly #listeners = new Set<ChangeListener>()
  /** Its own channel: a process needs to hear its own heart only, not each of a hundred others. */
  readonly #beatChannel = `latchkey_beat_${randomBytes(8).toString('hex')}`
  #state: 'new' | 'connecting' | 'listening' | 'closed' = 'new'
  #connection: Connection | null = null
  #lastBeatMs = Number.NEGATIVE_INFINITY
  /** True from the moment that something may have been missed until all was read again. */
  #hasGap = false
  #ticker: Timer | null = null
  #beating: Connection | null = null

  constructor(options: ChangeFeedOptions) {
    this.#options = options
  }

  /** Resolves when the first connection listens; rejects when it cannot be made. */
  async start(): Promise<void> {
    await this.#connect()
    this.#ticker = this.#options.clock.every(heartbeatMs, () => this.#beat())
  }

  get isBlind(): boolean {
    return this.lastBeatAgeMs > blindAfterMs
  }

  /** Infinite before the first. */
  get lastBeatAgeMs(): number {
    return this.#options.clock.monotonicMs() - this.#lastBeatMs
  }

  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Tells every process. Only for what is no row; rows announce themselves. */
  async announce(change: Extract<Change, { kind: 'session-end' }>): Promise<void> {
    await sql`select pg_notify(${changeChannel}, ${JSON.stringify(change)})`.execute(
      this.#options.database.db,
    )
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    this.#ticker?.cancel()
    const connection = this.#connection
    this.#connection = null
    if (connection === null) return
    await connection.client.end().catch(() => {})
    connection.socket.destroy()
  }

  async #connect(): Promise<void> {
    this.#state = 'connecting'
    const socket = new Socket()
    const client = new pg.Client({
      stream: () => socket,
      connectionString: this.#options.url,
      application_name: 'latchkey (changes)',
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: blindAfterMs,
      keepAlive: true,
    })
    const connection = { client, socket }
    client.on('error', (error) => this.#onLost(connection, error))
    client.on('end', () => this.#onLost(connection, null))
    client.on('notification', ({ channel, payload }) => this.#onNotification(channel, payload))
    try {
      await client.connect()
      await client.query(`listen ${changeChannel}`)
      await client.query(`listen ${this.#beatChannel}`)
    } catch (error) {
      socket.destroy()
      throw error
    }
    if (this.#isClosed()) {
      socket.destroy()
      return
    }
    this.#connection = connection
    this.#state = 'listening'
    this.#onSight()
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  #onLost(connection: Connection, error: Error | null): void {
    if (this.#connection !== connection) return
    this.#connection = null
    this.#state = 'connecting'
    connection.socket.destroy()
    this.#hasGap = true
    this.#options.log.warn({ err: error }, 'the feed of metadata changes was lost')
    void this.#reconnect()
  }

  async #reconnect(): Promise<void> {
    while (!this.#isClosed()) {
      try {
        return await this.#connect()
      } catch (error) {
        this.#options.log.warn({ err: error }, 'the feed of metadata changes cannot be had yet')
        await sleep(this.#options.clock, reconnectDelayMs)
      }
    }
  }

  #beat(): void {
    const connection = this.#connection
    if (connection === null) return
    // A connection that hangs is of no use, whatever it may still bring.
    if (this.isBlind) {
      this.#onLost(connection, new Error('no heartbeat came'))
      return
    }
    // One that has not been answered is still on its way, or never will be.
    if (this.#beating === connection) return
    this.#beating = connection
    connection.client
      .query(`notify ${this.#beatChannel}`)
      .catch((error: Error) => this.#onLost(connection, error))
      .finally(() => {
        if (this.#beating === connection) this.#beating = null
      })
  }

  #onNotification(channel: string, payload: string | undefined): void {
    if (channel === this.#beatChannel) {
      this.#onSight()
      return
    }
    const change = parseChange(payload)
    if (change === null) this.#options.log.error({ channel }, 'a change that is none was announced')
    else this.#tell(change)
  }

  #onSight(): void {
    const wasBlind = this.isBlind && this.#lastBeatMs !== Number.NEGATIVE_INFINITY
    this.#lastBeatMs = this.#options.clock.monotonicMs()
    if (!this.#hasGap && !wasBlind) return
    this.#hasGap = false
    this.#options.log.info({}, 'the feed of metadata changes is back')
    this.#tell({ kind: 'reread-all' })
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        this.#options.log.error({ err: error, kind: change.kind }, 'a follower of changes failed')
      }
    }
  }
}

const requiredTexts: Readonly<Record<string, readonly string[]>> = {
  tenant: ['ref'],
  membership: ['ref', 'userId'],
  rule: ['ref', 'userId'],
  member: ['userId'],
  token: ['id'],
  'session-end': ['ref', 'sessionId', 'reason'],
}

/** Anyone who may connect to the metadata database may NOTIFY, so the payload is not trusted. */
function parseChange(payload: string | undefined): Change | null {
  try {
    const change = JSON.parse(payload ?? '') as Record<string, unknown> | null
    const names = requiredTexts[String(change?.kind)]
    const isWhole = names?.every((name) => typeof change?.[name] === 'string') === true
    return isWhole ? (change as unknown as Change) : null
  } catch {
    return null
  }
}
