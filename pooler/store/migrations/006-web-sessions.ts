// Sessions of the dashboard. What is kept is the hash of the cookie and what was read of the token,
// from which neither can be made.
import { type Kysely, sql } from 'kysely'

const table = `
create table latchkey.web_sessions (
  sha256 bytea primary key check (octet_length(sha256) = 32),
  user_id uuid not null references latchkey.members (user_id) on delete cascade,
  bearer jsonb not null,
  created_at timestamptz not null,
  last_used_at timestamptz not null,
  ends_at timestamptz not null
);
create index web_sessions_user on latchkey.web_sessions (user_id, created_at desc);
create index web_sessions_end on latchkey.web_sessions (ends_at);
`

export const webSessions = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql.raw(table).execute(db)
  },
}
