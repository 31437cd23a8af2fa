// Which server of a database was which person's, from when to when: what ties a backend's process id
// in the database's own log to a session of the record.
import { type Selectable, sql } from 'kysely'
import { pageRowsMax } from '../config/limits.ts'
import type { Database } from './database.ts'
import type { HoldsTable } from './schema.ts'

export interface HoldRow {
  readonly id: string
  readonly sessionId: string
  readonly ref: string
  readonly userId: string
  readonly role: string
  /** Of the backend, as pg_stat_activity has it. */
  readonly serverProcessId: number
  readonly fromMs: number
  /** null: it goes on. */
  readonly toMs: number | null
}

export interface HoldFilter {
  readonly ref: string
  readonly userId?: string | undefined
  readonly sessionId?: string | undefined
  readonly serverProcessId?: number | undefined
  /** Holds that go on, or ended, after this. */
  readonly sinceMs?: number | undefined
  /** Holds that began before this. */
  readonly untilMs?: number | undefined
  /** `next` of the page before. */
  readonly before?: string | undefined
  readonly limit: number
}

const removedRowsMax = 5000

export class HoldStore {
  readonly #db: Database['db']
  readonly #process: string

  constructor(database: Database, processName: string) {
    this.#db = database.db
    this.#process = processName
  }

  /** New ones, and how known ones went on; all or none. */
  async put(holds: readonly HoldRow[]): Promise<void> {
    if (holds.length === 0) return
    const texts = <Key extends keyof HoldRow>(key: Key) => holds.map((hold) => hold[key])
    const times = (key: 'fromMs' | 'toMs') =>
      holds.map((hold) => (hold[key] === null ? null : new Date(hold[key]).toISOString()))
    await sql`
      insert into latchkey.holds
        (id, session_id, project_ref, user_id, role, server_process_id, from_at, to_at, process)
      select id, session_id, ref, user_id, role, pid, from_at, to_at, ${this.#process}
      from unnest(${texts('id')}::uuid[], ${texts('sessionId')}::text[], ${texts('ref')}::text[],
        ${texts('userId')}::uuid[], ${texts('role')}::text[], ${texts('serverProcessId')}::integer[],
        ${times('fromMs')}::timestamptz[], ${times('toMs')}::timestamptz[])
        as held (id, session_id, ref, user_id, role, pid, from_at, to_at)
      on conflict (id) do update set to_at = excluded.to_at
    `.execute(this.#db)
  }

  /** Newest first. */
  async query(filter: HoldFilter): Promise<{ holds: HoldRow[]; next: string | null }> {
    const { userId, sessionId, serverProcessId, sinceMs, untilMs, before } = filter
    const limit = Math.min(Math.max(filter.limit, 1), pageRowsMax)
    let rows = this.#db.selectFrom('holds').selectAll().where('project_ref', '=', filter.ref)
    if (userId !== undefined) rows = rows.where('user_id', '=', userId)
    if (sessionId !== undefined) rows = rows.where('session_id', '=', sessionId)
    if (serverProcessId !== undefined) rows = rows.where('server_process_id', '=', serverProcessId)
    if (sinceMs !== undefined) {
      rows = rows.where(({ or, eb }) =>
        or([eb('to_at', 'is', null), eb('to_at', '>=', new Date(sinceMs))]),
      )
    }
    if (untilMs !== undefined) rows = rows.where('from_at', '<', new Date(untilMs))
    const cursor = before === undefined ? null : cursorOf(before)
    if (cursor !== null) {
      rows = rows.where(
        sql<boolean>`(from_at, id) < (${new Date(cursor.fromMs)}::timestamptz, ${cursor.id}::uuid)`,
      )
    }
    const page = await rows
      .orderBy('from_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute()
    const holds = page.slice(0, limit).map(holdOf)
    const last = holds.at(-1)
    const hasMore = page.length > limit && last !== undefined
    return { holds, next: hasMore ? `${last.fromMs}_${last.id}` : null }
  }

  /** Those that ended before `atMs`, at most some thousands; says how many. */
  async removeOlderThan(atMs: number): Promise<number> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('holds')
      .where('id', 'in', (eb) =>
        eb
          .selectFrom('holds')
          .select('id')
          .where('from_at', '<', new Date(atMs))
          .where('to_at', '<', new Date(atMs))
          .orderBy('from_at')
          .limit(removedRowsMax),
      )
      .executeTakeFirst()
    return Number(numDeletedRows)
  }
}

/** What the API lets through as a cursor. */
export const holdCursorPattern =
  /^(\d{1,15})_([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/

function cursorOf(text: string): { fromMs: number; id: string } | null {
  const match = holdCursorPattern.exec(text)
  return match === null ? null : { fromMs: Number(match[1]), id: match[2] as string }
}

const holdOf = (row: Selectable<HoldsTable>): HoldRow => ({
  id: row.id,
  sessionId: row.session_id,
  ref: row.project_ref,
  userId: row.user_id,
  role: row.role,
  serverProcessId: row.server_process_id,
  fromMs: row.from_at.getTime(),
  toMs: row.to_at?.getTime() ?? null,
})
