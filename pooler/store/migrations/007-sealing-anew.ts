// A role whose password is sealed anew has not changed: nobody needs to read its project again. Whoever
// seals says so for the length of a transaction (store/sealed-secrets.ts).
import { type Kysely, sql } from 'kysely'

const announcement = `
create or replace function latchkey.announce_tenant_role() returns trigger
language plpgsql set search_path = '' as $$
begin
  if pg_catalog.current_setting('latchkey.sealing_anew', true) = 'on' then
    return null;
  end if;
  update latchkey.tenants set updated_at = pg_catalog.now()
    where ref = case when tg_op = 'DELETE' then old.project_ref else new.project_ref end;
  return null;
end $$;
`

export const sealingAnew = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql.raw(announcement).execute(db)
  },
}
