// Which processes there are and who is in through each, and which server a person held when. The
// first two are of the moment; holds are part of the record.
import { type Kysely, sql } from 'kysely'

const tables = `
create table latchkey.processes (
  name text primary key,
  started_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now()
);

create table latchkey.live_sessions (
  session_id text primary key,
  process text not null references latchkey.processes (name) on delete cascade,
  project_ref text not null,
  user_id uuid not null,
  email text,
  role text not null,
  address text not null,
  application_name text,
  started_at timestamptz not null,
  ends_at timestamptz
);
create index live_sessions_project on latchkey.live_sessions (project_ref);
create index live_sessions_process on latchkey.live_sessions (process);

-- One row for each time that a server was a person's with nobody between. No foreign keys: rows
-- outlive what they name.
create table latchkey.holds (
  id uuid primary key,
  session_id text not null,
  project_ref text not null,
  user_id uuid not null,
  role text not null,
  server_process_id integer not null,
  from_at timestamptz not null,
  to_at timestamptz,
  process text not null
);
create index holds_project on latchkey.holds (project_ref, from_at desc, id desc);
create index holds_session on latchkey.holds (session_id);
create index holds_open on latchkey.holds (process) where to_at is null;
create index holds_time on latchkey.holds (from_at);

create index events_logins on latchkey.events (process) where action = 'login';
`

export const presence = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql.raw(tables).execute(db)
  },
}
