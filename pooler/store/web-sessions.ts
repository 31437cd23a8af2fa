// Sessions of the dashboard: rows under the hash of a random id that only the browser's cookie has.
// Whether one still holds is for access/web-sessions.ts.
import { randomBytes } from 'node:crypto'
import type { Selectable } from 'kysely'
import { Secret } from '../../shared/secret.ts'
import type { Bearer } from '../access/bearer.ts'
import { webSessionsPerMemberMax } from '../config/limits.ts'
import type { Database } from './database.ts'
import type { WebSessionsTable } from './schema.ts'
import { hashToken } from './tokens.ts'

export interface WebSessionRecord {
  /** What was read of the token that it was opened with. */
  readonly bearer: Bearer
  readonly lastUsedAtMs: number
  readonly endsAtMs: number
}

export interface WebSessionInput {
  readonly userId: string
  readonly bearer: Bearer
  readonly nowMs: number
  readonly endsAtMs: number
}

export class WebSessionStore {
  readonly #db: Database['db']

  constructor(database: Database) {
    this.#db = database.db
  }

  /** The only place that ever gives the id out. Sessions that are over go, and the member's oldest. */
  async open({ userId, bearer, nowMs, endsAtMs }: WebSessionInput): Promise<Secret<string>> {
    const id = randomBytes(32).toString('base64url')
    const now = new Date(nowMs)
    await this.#db.transaction().execute(async (transaction) => {
      await transaction
        .insertInto('web_sessions')
        .values({
          sha256: hashToken(id),
          user_id: userId,
          bearer: JSON.stringify(bearer),
          created_at: now,
          last_used_at: now,
          ends_at: new Date(endsAtMs),
        })
        .execute()
      await transaction
        .deleteFrom('web_sessions')
        .where((where) =>
          where.or([
            where('ends_at', '<=', now),
            where(
              'sha256',
              'in',
              where
                .selectFrom('web_sessions')
                .select('sha256')
                .where('user_id', '=', userId)
                .orderBy('created_at', 'desc')
                .offset(webSessionsPerMemberMax),
            ),
          ]),
        )
        .execute()
    })
    return new Secret(id)
  }

  async find(id: Secret<string>): Promise<WebSessionRecord | null> {
    const row = await this.#db
      .selectFrom('web_sessions')
      .selectAll()
      .where('sha256', '=', hashToken(id.reveal()))
      .executeTakeFirst()
    return row === undefined ? null : recordOf(row)
  }

  /** An older time never replaces a newer one. */
  async noteUse(id: Secret<string>, atMs: number): Promise<void> {
    await this.#db
      .updateTable('web_sessions')
      .set({ last_used_at: new Date(atMs) })
      .where('sha256', '=', hashToken(id.reveal()))
      .where('last_used_at', '<', new Date(atMs))
      .execute()
  }

  async remove(id: Secret<string>): Promise<void> {
    await this.#db.deleteFrom('web_sessions').where('sha256', '=', hashToken(id.reveal())).execute()
  }
}

function recordOf(row: Selectable<WebSessionsTable>): WebSessionRecord {
  return {
    bearer: row.bearer as Bearer,
    lastUsedAtMs: row.last_used_at.getTime(),
    endsAtMs: row.ends_at.getTime(),
  }
}
