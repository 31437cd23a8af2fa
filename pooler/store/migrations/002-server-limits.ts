// How many servers a tenant may have over all its pools, and how many a pool keeps open.
import { type Kysely, sql } from 'kysely'

const columns = `
alter table latchkey.tenants
  add column max_server_connections integer check (max_server_connections > 0),
  add column default_min_pool_size integer not null default 0 check (default_min_pool_size >= 0);
alter table latchkey.tenant_roles
  add column min_pool_size integer check (min_pool_size >= 0);
`

export const serverLimits = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql.raw(columns).execute(db)
  },
}
