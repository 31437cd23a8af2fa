// The record: events are appended and read, never changed. Their rows outlive what they name. When
// and in which batches they are written is access/audit-trail.ts.
import { type Insertable, type Selectable, sql } from 'kysely'
import { pageRowsMax } from '../config/limits.ts'
import type { Database } from './database.ts'
import type { EventsTable } from './schema.ts'

export type AccessAction =
  | 'login'
  | 'asked'
  | 'refused'
  | 'ended'
  | 'rule_changed'
  | 'rule_removed'
  | 'token_created'
  | 'token_revoked'
  | 'session_created'
  | 'logged_out'
  | 'identity_linked'
  | 'identity_unlinked'
  | 'member_put'
  | 'member_removed'
  | 'membership_put'
  | 'membership_removed'
  | 'state_changed'
  | 'ssl_enforcement_changed'
  | 'ban_changed'
  | 'tenant_put'
  | 'tenant_removed'
  | 'branch_created'
  | 'branch_removed'
  | 'invitation_created'
  | 'invitation_accepted'
  | 'invitation_removed'
  | 'network_bans_lifted'
  | 'session_ended_by_hand'
  | 'console_command'
  | 'role_statement'

/** What is left out does not apply. Never a token or password, in `details` neither. */
export interface AccessEvent {
  readonly atMs: number
  /** The project, the branch itself where it is one; null: of no project. */
  readonly ref: string | null
  /** user_id of who acted, or 'operator'; null: unknown. */
  readonly actor: string | null
  readonly action: AccessAction
  /** user_id of whom it was done to, where that is not the actor. */
  readonly subject?: string | null
  readonly role?: string | null
  readonly address?: string | null
  readonly tokenId?: string | null
  readonly tokenName?: string | null
  readonly applicationName?: string | null
  /** The session's id, or the refusal's that the client was told. */
  readonly sessionId?: string | null
  readonly reason?: string | null
  readonly durationMs?: number | null
  readonly transactions?: number | null
  readonly bytes?: number | null
  /** How often, where several are told by one event. */
  readonly count?: number
  readonly details?: Readonly<Record<string, unknown>> | null
}

export interface StoredEvent extends Required<AccessEvent> {
  readonly id: number
  /** The process that wrote it. */
  readonly process: string
}

/** Of who asked to come in: at a Postgres port, or by the login question of the API. */
export type EventOutcome = 'allowed' | 'refused'

export interface EventFilter {
  readonly ref: string
  readonly actor?: string | undefined
  /** Events that the person did or that were done to them. */
  readonly concerning?: string | undefined
  readonly action?: AccessAction | undefined
  readonly outcome?: EventOutcome | undefined
  readonly role?: string | undefined
  readonly sessionId?: string | undefined
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
  /** `next` of the page before. */
  readonly before?: string | undefined
  readonly limit?: number | undefined
}

/** Deleting in pieces keeps each statement short beside the writers. */
const removedRowsMax = 5000

export class EventStore {
  readonly #db: Database['db']
  readonly #process: string

  /** `processName` stands in each row, so that logins of a process that is gone can be told. */
  constructor(database: Database, processName: string) {
    this.#db = database.db
    this.#process = processName
  }

  /** All or none, in one statement, in the order given. */
  async append(batch: readonly AccessEvent[]): Promise<void> {
    if (batch.length === 0) return
    const rows = batch.map((event) => rowOf(event, this.#process))
    await this.#db.insertInto('events').values(rows).execute()
  }

  /** Newest first. */
  async query(filter: EventFilter): Promise<{ events: StoredEvent[]; next: string | null }> {
    const limit = Math.min(Math.max(filter.limit ?? 100, 1), pageRowsMax)
    let rows = this.#db.selectFrom('events').selectAll().where('project_ref', '=', filter.ref)
    const { actor, concerning, action, outcome, role, sessionId, sinceMs, untilMs, before } = filter
    if (actor !== undefined) rows = rows.where('actor', '=', actor)
    if (concerning !== undefined) {
      rows = rows.where(({ or, eb }) =>
        or([eb('actor', '=', concerning), eb('subject', '=', concerning)]),
      )
    }
    if (action !== undefined) rows = rows.where('action', '=', action)
    if (outcome !== undefined) rows = rows.where(isOutcome(outcome))
    if (role !== undefined) rows = rows.where('role', '=', role)
    if (sessionId !== undefined) rows = rows.where('session_id', '=', sessionId)
    if (sinceMs !== undefined) rows = rows.where('time', '>=', new Date(sinceMs))
    if (untilMs !== undefined) rows = rows.where('time', '<', new Date(untilMs))
    if (before !== undefined) rows = rows.where('id', '<', idOfCursor(before))
    const page = await rows
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute()
    const events = page.slice(0, limit).map(eventOf)
    const last = events.at(-1)
    return { events, next: page.length > limit && last !== undefined ? String(last.id) : null }
  }

  /** Removes the oldest events from before `atMs`, at most some thousands; says how many. */
  async removeOlderThan(atMs: number): Promise<number> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('events')
      .where('id', 'in', (eb) =>
        eb
          .selectFrom('events')
          .select('id')
          .where('time', '<', new Date(atMs))
          .orderBy('time')
          .limit(removedRowsMax),
      )
      .executeTakeFirst()
    return Number(numDeletedRows)
  }
}

/** A login is allowed, the login question where it has no reason against it. */
const isOutcome = (outcome: EventOutcome) =>
  outcome === 'allowed'
    ? sql<boolean>`(action = 'login' or (action = 'asked' and reason is null))`
    : sql<boolean>`(action = 'refused' or (action = 'asked' and reason is not null))`

/** A cursor that we did not make finds nothing. */
const idOfCursor = (cursor: string) =>
  sql<number>`${/^\d{1,15}$/.test(cursor) ? cursor : '0'}::bigint`

/** Text that a client chose may have a NUL, which Postgres does not store. */
const storable = (text: string | null | undefined) => text?.replaceAll('\0', '\uFFFD') ?? null

/** jsonb refuses an escaped NUL. */
const jsonOf = (details: object) => JSON.stringify(details).replaceAll('\\u0000', '\\ufffd')

function rowOf(event: AccessEvent, process: string): Insertable<EventsTable> {
  return {
    time: new Date(event.atMs),
    project_ref: storable(event.ref),
    actor: event.actor,
    action: event.action,
    subject: event.subject ?? null,
    role: storable(event.role),
    address: storable(event.address),
    token_id: event.tokenId ?? null,
    token_name: storable(event.tokenName),
    application_name: storable(event.applicationName),
    session_id: event.sessionId ?? null,
    reason: storable(event.reason),
    duration_ms: wholeOrNull(event.durationMs),
    transactions: wholeOrNull(event.transactions),
    bytes: wholeOrNull(event.bytes),
    occurrences: event.count ?? 1,
    details: event.details == null ? null : jsonOf(event.details),
    process,
  }
}

const wholeOrNull = (count: number | null | undefined) => (count == null ? null : Math.round(count))

function eventOf(row: Selectable<EventsTable>): StoredEvent {
  return {
    id: row.id,
    atMs: row.time.getTime(),
    ref: row.project_ref,
    actor: row.actor,
    action: row.action as AccessAction,
    subject: row.subject,
    role: row.role,
    address: row.address,
    tokenId: row.token_id,
    tokenName: row.token_name,
    applicationName: row.application_name,
    sessionId: row.session_id,
    reason: row.reason,
    durationMs: row.duration_ms,
    transactions: row.transactions,
    bytes: row.bytes,
    count: row.occurrences,
    details: row.details as Record<string, unknown> | null,
    process: row.process,
  }
}
