// Sessions by JWT that were logged out before their end. A row is kept until the JWTs that it refuses
// are over by themselves, as far as that is known; its change is announced as one of the token's.
import { sql } from 'kysely'
import type { Database } from './database.ts'

/** Removed with each log-out: more than one brings. */
const removedRowsMax = 100

export class EndedSessionStore {
  readonly #db: Database['db']

  constructor(database: Database) {
    this.#db = database.db
  }

  /** `key`: 32 bytes in hex. `tokenId`: what the change is announced as. The latest end of several counts. */
  async end(key: string, tokenId: string, endsAtMs: number): Promise<void> {
    await sql`
      delete from latchkey.ended_sessions where key in (
        select key from latchkey.ended_sessions where ends_at < now() order by ends_at
        limit ${removedRowsMax} for update skip locked)
    `.execute(this.#db)
    await this.#db
      .insertInto('ended_sessions')
      .values({ key: Buffer.from(key, 'hex'), token_id: tokenId, ends_at: new Date(endsAtMs) })
      .onConflict((conflict) =>
        conflict
          .column('key')
          .doUpdateSet({ ends_at: sql`greatest(ended_sessions.ends_at, excluded.ends_at)` }),
      )
      .execute()
  }

  async isEnded(key: string): Promise<boolean> {
    const row = await this.#db
      .selectFrom('ended_sessions')
      .select('token_id')
      .where('key', '=', Buffer.from(key, 'hex'))
      .executeTakeFirst()
    return row !== undefined
  }
}
