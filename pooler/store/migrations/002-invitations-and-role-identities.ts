// Invitations, and which role of the database a rule was given for, beside its name.
import { type Kysely, sql } from 'kysely'

const statements = `
create table latchkey.invitations (
  id uuid primary key default gen_random_uuid(),
  project_ref text not null references latchkey.tenants (ref) on delete cascade,
  email text not null check (length(email) between 3 and 320),
  sha256 bytea not null check (octet_length(sha256) = 32),
  grants jsonb not null,
  delivery text not null check (delivery in ('by hand', 'pending', 'delivered', 'failed')),
  created_by uuid,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create unique index invitations_email on latchkey.invitations (project_ref, lower(email));

alter table latchkey.rules add column role_identity text;
`

export const invitationsAndRoleIdentities = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql.raw(statements).execute(db)
  },
}
