// Sessions by JWT: keys that sign our own, sessions that were logged out before their end, and which
// outside identities are which member. A log-out announces the token, a link the member: whatever is
// remembered or live under them is looked at again.
import { type Kysely, sql } from 'kysely'

const tables = `
create table latchkey.signing_keys (
  kid text primary key check (octet_length(kid) between 1 and 64),
  public_jwk jsonb not null,
  sealed_jwk bytea not null,
  created_at timestamptz not null default now()
);

-- Rows may go once ends_at has passed: the JWTs that they name are over by then.
create table latchkey.ended_sessions (
  key bytea primary key check (octet_length(key) = 32),
  token_id uuid not null,
  ends_at timestamptz not null
);
create index ended_sessions_end on latchkey.ended_sessions (ends_at);

create table latchkey.identities (
  id uuid primary key,
  issuer text not null check (length(issuer) between 1 and 1000),
  subject text not null check (length(subject) between 1 and 255),
  user_id uuid not null references latchkey.members (user_id) on delete cascade,
  created_at timestamptz not null default now(),
  unique (issuer, subject)
);
create index identities_user on latchkey.identities (user_id);
`

const announcements = `
create function latchkey.announce_ended_session() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform latchkey.announce(
    pg_catalog.jsonb_build_object('kind', 'token', 'id', new.token_id));
  return null;
end $$;
create trigger announce after insert on latchkey.ended_sessions
  for each row execute function latchkey.announce_ended_session();

create function latchkey.announce_identity() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform latchkey.announce(pg_catalog.jsonb_build_object('kind', 'member',
    'userId', case when tg_op = 'DELETE' then old.user_id else new.user_id end));
  return null;
end $$;
create trigger announce after insert or delete on latchkey.identities
  for each row execute function latchkey.announce_identity();
`

export const sessions = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql.raw(tables).execute(db)
    await sql.raw(announcements).execute(db)
  },
}
