// Branches: projects of their own for the data plane, whose state, rules and members are their
// parent's. What is left out when one is made is the parent's as it is at that moment; the parent's
// secrets go to the parent's own host and port and nowhere else.
import { type Insertable, type Selectable, sql, type Transaction } from 'kysely'
import type { SecretBox } from '../../shared/crypto/secret-box.ts'
import { newProjectRef } from '../../shared/ids.ts'
import type { Secret } from '../../shared/secret.ts'
import { branchesPerProjectMax } from '../config/limits.ts'
import type { Database } from './database.ts'
import type { Schema, TenantRolesTable, TenantsTable } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'
import { refuseBadUsers, roleColumns } from './tenant-input.ts'
import { passwordContext } from './tenant-rows.ts'

export interface Branch {
  readonly id: string
  readonly ref: string
  readonly name: string
  readonly parentRef: string
  readonly createdAtMs: number
}

/** undefined: the parent's. */
export interface BranchInput {
  readonly name: string
  readonly dbHost?: string | undefined
  readonly dbPort?: number | undefined
  readonly dbDatabase?: string | undefined
  /** The whole set, with passwords stored per role. */
  readonly users?:
    | readonly { readonly dbUser: string; readonly dbPassword: Secret<string> }[]
    | undefined
}

type TenantRow = Selectable<TenantsTable>
type RoleRow = Selectable<TenantRolesTable>

export class BranchStore {
  readonly #db: Database['db']
  readonly #box: SecretBox

  constructor(database: Database, box: SecretBox) {
    this.#db = database.db
    this.#box = box
  }

  /** By name. */
  async list(parentRef: string): Promise<Branch[]> {
    const rows = await this.#db
      .selectFrom('tenants')
      .selectAll()
      .where('parent_ref', '=', parentRef)
      .orderBy('name')
      .orderBy('ref')
      .execute()
    return rows.map(branchOf)
  }

  /**
   * `conflict`: the parent is a branch itself, has one of that name or as many as it may have;
   * `invalid`: a role twice, or an upstream of its own without users.
   */
  async create(parentRef: string, input: BranchInput): Promise<Branch> {
    refuseBadUsers(input.users ?? [])
    const row = await this.#db.transaction().execute(async (transaction) => {
      const parent = await lockParent(transaction, parentRef)
      await refuseOneMore(transaction, parentRef, input.name)
      const ref = newProjectRef()
      const users = input.users?.map((user) => this.#roleOf(ref, user))
      const roles = users ?? (await this.#rolesOfParent(transaction, parent, ref, input))
      const made = await transaction
        .insertInto('tenants')
        .values(columnsOf(parent, ref, input))
        .returningAll()
        .executeTakeFirstOrThrow()
      if (roles.length > 0) await transaction.insertInto('tenant_roles').values(roles).execute()
      return made
    })
    return branchOf(row)
  }

  /** By id or ref, among the branches of that project; null when there was none. */
  async remove(parentRef: string, idOrRef: string): Promise<Branch | null> {
    const row = await this.#db
      .deleteFrom('tenants')
      .where('parent_ref', '=', parentRef)
      .where(({ or, eb }) =>
        or([eb(sql<string>`id::text`, '=', idOrRef.toLowerCase()), eb('ref', '=', idOrRef)]),
      )
      .returningAll()
      .executeTakeFirst()
    return row === undefined ? null : branchOf(row)
  }

  #roleOf(
    ref: string,
    { dbUser, dbPassword }: NonNullable<BranchInput['users']>[number],
  ): Insertable<TenantRolesTable> {
    return { ...roleColumns(ref, { dbUser }), db_password: this.#seal(ref, dbUser, dbPassword) }
  }

  async #rolesOfParent(
    transaction: Transaction<Schema>,
    parent: TenantRow,
    ref: string,
    input: BranchInput,
  ): Promise<Insertable<TenantRolesTable>[]> {
    if (hasOwnUpstream(parent, input)) {
      throw new StoreRefusal(
        'invalid',
        `users: a branch with a host or port of its own needs users with passwords; those of ${parent.ref} are not sent there`,
      )
    }
    const rows = await transaction
      .selectFrom('tenant_roles')
      .selectAll()
      .where('project_ref', '=', parent.ref)
      .execute()
    return rows.map((row) => this.#copyOf(row, ref))
  }

  /** A sealed password opens only for the row that it was sealed for. */
  #copyOf({ id: _id, created_at: _made, updated_at: _changed, ...row }: RoleRow, ref: string) {
    const context = passwordContext(row.project_ref, row.db_user)
    const password = row.db_password === null ? null : this.#box.open(row.db_password, context)
    const sealed = password === null ? null : this.#seal(ref, row.db_user, password)
    return { ...row, project_ref: ref, db_password: sealed }
  }

  #seal(ref: string, role: string, password: Secret<string>): Buffer {
    return this.#box.seal(password.reveal(), passwordContext(ref, role))
  }
}

export function hasOwnUpstream(
  parent: { readonly db_host: string; readonly db_port: number },
  { dbHost = parent.db_host, dbPort = parent.db_port }: Pick<BranchInput, 'dbHost' | 'dbPort'>,
): boolean {
  return dbHost.toLowerCase() !== parent.db_host.toLowerCase() || dbPort !== parent.db_port
}

/** Branches of one project are made one after the other, and never while it is changed. */
async function lockParent(transaction: Transaction<Schema>, ref: string): Promise<TenantRow> {
  const parent = await transaction
    .selectFrom('tenants')
    .selectAll()
    .where('ref', '=', ref)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (parent === undefined) throw new StoreRefusal('not_found', `project ${ref} does not exist`)
  if (parent.parent_ref === null) return parent
  throw new StoreRefusal('conflict', `a branch has no branches of its own; ${ref} is one`)
}

async function refuseOneMore(
  transaction: Transaction<Schema>,
  parentRef: string,
  name: string,
): Promise<void> {
  const siblings = await transaction
    .selectFrom('tenants')
    .select('name')
    .where('parent_ref', '=', parentRef)
    .execute()
  if (siblings.some((one) => one.name === name)) {
    throw new StoreRefusal('conflict', `there is a branch ${name} already`)
  }
  if (siblings.length >= branchesPerProjectMax) {
    throw new StoreRefusal('conflict', `a project has at most ${branchesPerProjectMax} branches`)
  }
}

function columnsOf(parent: TenantRow, ref: string, input: BranchInput): Insertable<TenantsTable> {
  const { id: _id, version: _version, created_at: _made, updated_at: _changed, ...row } = parent
  const isMoved = hasOwnUpstream(parent, input)
  return {
    ...row,
    ref,
    name: input.name,
    parent_ref: parent.ref,
    db_host: input.dbHost ?? parent.db_host,
    db_port: input.dbPort ?? parent.db_port,
    db_database: input.dbDatabase ?? parent.db_database,
    default_parameter_status: JSON.stringify(row.default_parameter_status),
    feature_flags: JSON.stringify(row.feature_flags),
    sni_hostname: null,
    // Of another server nobody has said that it may have people's tokens.
    jit_upstream: isMoved ? 'stored' : row.jit_upstream,
    server_version: isMoved ? null : row.server_version,
    ...(input.users !== undefined && { require_user: true, auth_query: null }),
    // Read from the parent wherever a branch is.
    use_jit: false,
    banned_at: null,
    ban_reason: null,
    banned_until: null,
  }
}

function branchOf(row: TenantRow): Branch {
  return {
    id: row.id,
    ref: row.ref,
    name: row.name,
    parentRef: row.parent_ref ?? '',
    createdAtMs: row.created_at.getTime(),
  }
}
