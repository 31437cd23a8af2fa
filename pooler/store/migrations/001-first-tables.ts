// The first tables. A row's change is announced by triggers, in its own transaction: no writer can
// forget it, cascades included. access_tokens.last_used_at announces nothing on purpose.
import { type Kysely, sql } from 'kysely'

const tables = `
create sequence latchkey.tenant_version;

create table latchkey.members (
  user_id uuid primary key,
  email text check (length(email) between 3 and 320),
  name text not null default '',
  is_operator boolean not null default false,
  created_at timestamptz not null default now()
);
create unique index members_email on latchkey.members (lower(email));

create table latchkey.tenants (
  id uuid primary key default gen_random_uuid(),
  ref text not null unique check (octet_length(ref) between 1 and 255),
  name text not null,
  parent_ref text references latchkey.tenants (ref) on delete cascade check (parent_ref <> ref),
  db_host text not null check (db_host <> ''),
  db_port integer not null check (db_port between 1 and 65535),
  db_database text not null check (db_database <> ''),
  ip_version text not null check (ip_version in ('auto', 'v4', 'v6')),
  upstream_tls text not null
    check (upstream_tls in ('disable', 'require', 'verify-ca', 'verify-full')),
  upstream_ca text,
  sni_hostname text unique,
  enforce_ssl boolean not null,
  require_user boolean not null check (require_user or auth_query is not null),
  auth_query text,
  default_pool_size integer not null check (default_pool_size > 0),
  default_max_clients integer not null check (default_max_clients >= 0),
  default_pool_strategy text not null check (default_pool_strategy in ('fifo', 'lifo')),
  default_parameter_status jsonb not null,
  server_version text,
  client_idle_timeout_ms integer not null check (client_idle_timeout_ms >= 0),
  client_heartbeat_interval_s integer not null check (client_heartbeat_interval_s >= 0),
  allow_list text[] not null,
  availability_zone text,
  feature_flags jsonb not null,
  use_jit boolean not null,
  jit_api_url text,
  jit_upstream text not null check (jit_upstream in ('stored', 'token')),
  banned_at timestamptz,
  ban_reason text,
  banned_until timestamptz,
  version bigint not null default nextval('latchkey.tenant_version'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((banned_at is null) = (ban_reason is null)),
  check (banned_at is not null or banned_until is null)
);
create index tenants_parent on latchkey.tenants (parent_ref) where parent_ref is not null;

create table latchkey.tenant_roles (
  id uuid primary key default gen_random_uuid(),
  project_ref text not null references latchkey.tenants (ref) on delete cascade,
  db_user text not null check (octet_length(db_user) between 1 and 63),
  db_user_alias text not null,
  db_password bytea,
  is_manager boolean not null,
  mode_type text not null check (mode_type in ('transaction', 'session')),
  pool_size integer check (pool_size > 0),
  pool_checkout_timeout_ms integer not null check (pool_checkout_timeout_ms >= 0),
  max_clients integer check (max_clients >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (project_ref, db_user)
);
create unique index tenant_roles_manager on latchkey.tenant_roles (project_ref) where is_manager;

create table latchkey.memberships (
  project_ref text not null references latchkey.tenants (ref) on delete cascade,
  user_id uuid not null references latchkey.members (user_id) on delete cascade,
  role text not null
    check (role in ('owner', 'administrator', 'developer', 'read_only', 'guest')),
  created_at timestamptz not null default now(),
  primary key (project_ref, user_id)
);
create index memberships_user on latchkey.memberships (user_id);

create table latchkey.access_tokens (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references latchkey.members (user_id) on delete cascade,
  name text not null,
  prefix text not null,
  sha256 bytea not null unique check (octet_length(sha256) = 32),
  kind text not null check (kind in ('classic', 'scoped')),
  permissions text[],
  projects text[],
  roles text[],
  networks cidr[],
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);
create index access_tokens_user on latchkey.access_tokens (user_id);

create table latchkey.rules (
  id uuid primary key default gen_random_uuid(),
  project_ref text not null,
  user_id uuid not null,
  role text not null check (octet_length(role) between 1 and 63),
  expires_at timestamptz,
  networks_v4 cidr[] not null,
  networks_v6 cidr[] not null,
  branches_only boolean not null,
  reason text,
  created_by uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (project_ref, user_id, role),
  foreign key (project_ref, user_id)
    references latchkey.memberships (project_ref, user_id) on delete cascade
);

create table latchkey.events (
  id bigint generated always as identity primary key,
  time timestamptz not null,
  project_ref text,
  actor text,
  action text not null,
  subject text,
  role text,
  address text,
  token_id uuid,
  token_name text,
  application_name text,
  session_id text,
  reason text,
  duration_ms bigint,
  transactions bigint,
  bytes bigint,
  occurrences integer not null,
  details jsonb,
  process text not null
);
create index events_project on latchkey.events (project_ref, id desc);
create index events_session on latchkey.events (session_id) where session_id is not null;
create index events_time on latchkey.events (time);
`

const announcements = `
create function latchkey.announce(change jsonb) returns void
language sql set search_path = '' as $$
  select pg_catalog.pg_notify('latchkey_changes', change::text)
$$;

-- A new version for every change, whoever makes it: caches compare versions.
create function latchkey.renew_tenant() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.version := pg_catalog.nextval('latchkey.tenant_version');
  new.updated_at := pg_catalog.now();
  return new;
end $$;
create trigger renew before update on latchkey.tenants
  for each row execute function latchkey.renew_tenant();

create function latchkey.announce_tenant() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform latchkey.announce(pg_catalog.jsonb_build_object('kind', 'tenant',
    'ref', case when tg_op = 'DELETE' then old.ref else new.ref end));
  -- A branch reads its parent's state, so it changes with it.
  if tg_op = 'UPDATE' and new.use_jit is distinct from old.use_jit then
    update latchkey.tenants set updated_at = pg_catalog.now() where parent_ref = new.ref;
  end if;
  return null;
end $$;
create trigger announce after insert or update or delete on latchkey.tenants
  for each row execute function latchkey.announce_tenant();

create function latchkey.announce_tenant_role() returns trigger
language plpgsql set search_path = '' as $$
begin
  update latchkey.tenants set updated_at = pg_catalog.now()
    where ref = case when tg_op = 'DELETE' then old.project_ref else new.project_ref end;
  return null;
end $$;
create trigger announce after insert or update or delete on latchkey.tenant_roles
  for each row execute function latchkey.announce_tenant_role();

create function latchkey.announce_standing() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform latchkey.announce(pg_catalog.jsonb_build_object('kind', tg_argv[0],
    'ref', case when tg_op = 'DELETE' then old.project_ref else new.project_ref end,
    'userId', case when tg_op = 'DELETE' then old.user_id else new.user_id end));
  return null;
end $$;
create trigger announce after insert or update or delete on latchkey.memberships
  for each row execute function latchkey.announce_standing('membership');
create trigger announce after insert or update or delete on latchkey.rules
  for each row execute function latchkey.announce_standing('rule');

create function latchkey.announce_token() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform latchkey.announce(pg_catalog.jsonb_build_object('kind', 'token',
    'id', case when tg_op = 'DELETE' then old.id else new.id end));
  return null;
end $$;
create trigger announce after insert or delete or update of
    user_id, name, kind, permissions, projects, roles, networks, expires_at, revoked_at
  on latchkey.access_tokens
  for each row execute function latchkey.announce_token();

create function latchkey.announce_member() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform latchkey.announce(pg_catalog.jsonb_build_object('kind', 'member',
    'userId', case when tg_op = 'DELETE' then old.user_id else new.user_id end));
  return null;
end $$;
create trigger announce after insert or update or delete on latchkey.members
  for each row execute function latchkey.announce_member();
`

export const firstTables = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql.raw(tables).execute(db)
    await sql.raw(announcements).execute(db)
  },
}
