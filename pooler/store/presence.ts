// Which processes live, by the database's own clock, and who is in through each of them. A process
// that is gone is cleared away by another, and the record hears of those who were in through it.
import { type Insertable, type Selectable, sql } from 'kysely'
import type { Database } from './database.ts'
import type { LiveSessionsTable } from './schema.ts'

export interface PresentSession {
  readonly sessionId: string
  readonly ref: string
  readonly userId: string
  readonly email: string | null
  readonly role: string
  readonly address: string
  readonly applicationName: string | null
  readonly startedAtMs: number
  readonly endsAtMs: number | null
}

export interface LostSession {
  readonly sessionId: string
  readonly ref: string | null
  readonly actor: string | null
}

export class PresenceStore {
  readonly #db: Database['db']
  readonly #process: string

  constructor(database: Database, processName: string) {
    this.#db = database.db
    this.#process = processName
  }

  /** True when the process was not there: it is new, or was taken for lost. */
  async beat(): Promise<boolean> {
    const { rows } = await sql<{ isNew: boolean }>`
      insert into latchkey.processes (name) values (${this.#process})
      on conflict (name) do update set last_seen_at = now()
      returning (xmax = 0) as "isNew"
    `.execute(this.#db)
    return rows[0]?.isNew === true
  }

  /** The process ends in order: nobody is in through it any more. */
  async leave(): Promise<void> {
    await this.#db.deleteFrom('processes').where('name', '=', this.#process).execute()
  }

  async put(sessions: readonly PresentSession[]): Promise<void> {
    if (sessions.length === 0) return
    await this.#db
      .insertInto('live_sessions')
      .values(sessions.map((session) => rowOf(session, this.#process)))
      .onConflict((conflict) =>
        conflict.column('session_id').doUpdateSet({
          email: sql`excluded.email`,
          ends_at: sql`excluded.ends_at`,
        }),
      )
      .execute()
  }

  async remove(sessionIds: readonly string[]): Promise<void> {
    if (sessionIds.length === 0) return
    await sql`delete from latchkey.live_sessions where session_id = any(${sessionIds}::text[])`.execute(
      this.#db,
    )
  }

  /** Who is in through other processes. */
  async elsewhere(ref: string): Promise<PresentSession[]> {
    const rows = await this.#db
      .selectFrom('live_sessions')
      .selectAll()
      .where('project_ref', '=', ref)
      .where('process', '<>', this.#process)
      .orderBy('started_at')
      .execute()
    return rows.map(sessionOf)
  }

  /**
   * Clears away processes that have not been seen for so long. A login of theirs without an end gets
   * one, `process_lost`, at the time when they were last seen.
   */
  async sweep(lostAfterMs: number): Promise<LostSession[]> {
    const { rows } = await sql<LostSession>`
      with gone as (
        delete from latchkey.processes
        where last_seen_at < now() - make_interval(secs => ${lostAfterMs / 1000}::float8)
          and name <> ${this.#process}
        returning name, last_seen_at
      ), closed as (
        update latchkey.holds set to_at = greatest(from_at, gone.last_seen_at)
        from gone where holds.process = gone.name and holds.to_at is null
      ), lost as (
        select distinct on (login.session_id) login.*, greatest(gone.last_seen_at, login.time) as lost_at
        from gone join latchkey.events login on login.process = gone.name and login.action = 'login'
        where not exists (
          select from latchkey.events ended
          where ended.session_id = login.session_id and ended.action = 'ended')
      )
      insert into latchkey.events (time, project_ref, actor, action, role, address, token_id, token_name,
        application_name, session_id, reason, duration_ms, occurrences, process)
      select lost_at, project_ref, actor, 'ended', role, address, token_id, token_name, application_name,
        session_id, 'process_lost', (extract(epoch from lost_at - time) * 1000)::bigint, 1, ${this.#process}
      from lost
      returning session_id as "sessionId", project_ref as "ref", actor
    `.execute(this.#db)
    return rows
  }
}

const rowOf = (session: PresentSession, process: string): Insertable<LiveSessionsTable> => ({
  session_id: session.sessionId,
  process,
  project_ref: session.ref,
  user_id: session.userId,
  email: session.email,
  role: session.role,
  address: session.address,
  application_name: session.applicationName?.replaceAll('\0', '\uFFFD') ?? null,
  started_at: new Date(session.startedAtMs),
  ends_at: session.endsAtMs === null ? null : new Date(session.endsAtMs),
})

const sessionOf = (row: Selectable<LiveSessionsTable>): PresentSession => ({
  sessionId: row.session_id,
  ref: row.project_ref,
  userId: row.user_id,
  email: row.email,
  role: row.role,
  address: row.address,
  applicationName: row.application_name,
  startedAtMs: row.started_at.getTime(),
  endsAtMs: row.ends_at?.getTime() ?? null,
})
