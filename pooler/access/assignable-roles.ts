// Asks a project's database which of its roles may be given away by rule. Whoever composes the
// process lends the query; the judgement is role-verdict.ts.
import type { Clock } from '../../shared/clock.ts'
import { roleFactsMax, roleFactsProjectsMax } from '../config/limits.ts'
import type { Changes } from '../store/change-feed.ts'
import { LookUpCache } from '../store/look-up-cache.ts'
import type { Tenant } from '../tenant/tenant.ts'
import { judgeRole, type RoleFacts, type RoleVerdict } from './role-verdict.ts'

/** Runs one statement in the project's database. Any role that can log in there may run ours. */
export type ProjectQuery = (
  tenant: Tenant,
  sql: string,
  params: readonly unknown[],
) => Promise<readonly Readonly<Record<string, unknown>>[]>

export interface AssignableRolesOptions {
  readonly query: ProjectQuery
  readonly changes: Changes
  readonly clock: Clock
}

const rememberedMs = 60_000

/**
 * One row of one column: JSON, so that types come the same over any kind of connection. The cluster's
 * identifier is asked for as a text of SQL, which is run only where that is allowed: a database that
 * keeps it from PUBLIC still tells the rest.
 */
export const rolesSql = `
with recursive membership (member, roleid) as (
  select member, roleid from pg_catalog.pg_auth_members
  union
  select membership.member, above.roleid
  from membership join pg_catalog.pg_auth_members above on above.member = membership.roleid
), cluster (identifier) as (
  select case when pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')
    then pg_catalog.substring(pg_catalog.query_to_xml(
      'select system_identifier as it from pg_catalog.pg_control_system()', false, true, ''
    )::pg_catalog.text, '<it>(-?[0-9]+)</it>') end
)
select pg_catalog.json_build_object(
  'role', role.rolname,
  'oid', role.oid::pg_catalog.text,
  'cluster', (select identifier from cluster),
  'canLogin', role.rolcanlogin,
  'isSuperuser', role.rolsuper,
  'canCreateRoles', role.rolcreaterole,
  'canReplicate', role.rolreplication,
  'bypassesRls', role.rolbypassrls,
  'memberOf', coalesce((
    select pg_catalog.json_agg(
      pg_catalog.json_build_object('role', above.rolname, 'isSuperuser', above.rolsuper)
      order by above.rolname)
    from membership join pg_catalog.pg_roles above on above.oid = membership.roleid
    where membership.member = role.oid
  ), '[]')
)::text as facts
from pg_catalog.pg_roles role
where not role.rolname like 'pg\\_%'
order by role.rolname
limit $1::integer`

export class AssignableRoles {
  readonly #query: ProjectQuery
  readonly #remembered: LookUpCache<readonly RoleFacts[]>

  constructor({ query, changes, clock }: AssignableRolesOptions) {
    this.#query = query
    this.#remembered = new LookUpCache({
      entriesMax: roleFactsProjectsMax,
      clock,
      ttlMsOf: () => rememberedMs,
    })
    changes.onChange((change) => {
      if (change.kind === 'tenant') this.#remembered.forget(change.ref)
      else if (change.kind === 'reread-all') this.#remembered.forgetAll()
    })
  }

  /** All roles of the database but Postgres' own, as they are now. Rejects as the query does. */
  async list(tenant: Tenant): Promise<readonly RoleVerdict[]> {
    this.#remembered.forget(tenant.ref)
    const facts = await this.#factsOf(tenant)
    return facts.map((one) => judgeRole(one, managerOf(tenant)))
  }

  /** One role, from what was known at most a minute ago. */
  async judge(tenant: Tenant, role: string): Promise<RoleVerdict> {
    const facts = (await this.#factsOf(tenant)).find((one) => one.role === role)
    if (facts !== undefined) return judgeRole(facts, managerOf(tenant))
    return unknownRole(role)
  }

  /** The same, but without asking: null where nothing is remembered. */
  remembered(tenant: Tenant, role: string): RoleVerdict | null {
    const all = this.#remembered.peek(tenant.ref)
    if (all === undefined) return null
    const facts = all.find((one) => one.role === role)
    return facts === undefined ? unknownRole(role) : judgeRole(facts, managerOf(tenant))
  }

  #factsOf(tenant: Tenant): Promise<readonly RoleFacts[]> {
    return this.#remembered.find(tenant.ref, async () => {
      const rows = await this.#query(tenant, rolesSql, [roleFactsMax])
      return rows.map((row) => JSON.parse(String(row.facts)) as RoleFacts)
    })
  }
}

const unknownRole = (role: string): RoleVerdict => ({
  role,
  identity: null,
  isAssignable: false,
  reason: 'the database has no such role',
  warnings: [],
})

const managerOf = (tenant: Tenant): string | null =>
  [...tenant.roles.values()].find((role) => role.isManager)?.role ?? null
