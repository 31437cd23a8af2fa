// Projects in the metadata: reading them for the data plane, changing them for the API. Passwords go
// in as secrets, lie sealed, and come out as secrets; nobody has to announce a change (triggers do).
import type { Kysely, Transaction, Updateable } from 'kysely'
import type { SecretBox } from '../../shared/crypto/secret-box.ts'
import type { Secret } from '../../shared/secret.ts'
import { pageRowsMax } from '../config/limits.ts'
import type { Ban, Tenant } from '../tenant/tenant.ts'
import type { Database } from './database.ts'
import type { Schema, TenantsTable } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'
import {
  givenColumns,
  refuseBadUsers,
  roleColumns,
  type TenantInput,
  type TenantUserInput,
  tenantDefaults,
} from './tenant-input.ts'
import {
  detailsOf,
  passwordContext,
  selectTenants,
  type TenantDetails,
  tenantOf,
} from './tenant-rows.ts'

export class TenantStore {
  readonly #db: Database['db']
  readonly #box: SecretBox

  constructor(database: Database, box: SecretBox) {
    this.#db = database.db
    this.#box = box
  }

  async findByRef(ref: string): Promise<Tenant | null> {
    const [tenant] = await this.findByRefs([ref])
    return tenant ?? null
  }

  async findByRefs(refs: readonly string[]): Promise<Tenant[]> {
    if (refs.length === 0) return []
    const rows = await selectTenants(this.#db).where('tenants.ref', 'in', refs).execute()
    return rows.map((row) => tenantOf(row, this.#box))
  }

  async findBySniHostname(name: string): Promise<Tenant | null> {
    const row = await selectTenants(this.#db)
      .where('tenants.sni_hostname', '=', name.toLowerCase())
      .executeTakeFirst()
    return row === undefined ? null : tenantOf(row, this.#box)
  }

  findDetails(ref: string): Promise<TenantDetails | null> {
    return this.#detailsIn(this.#db, ref)
  }

  /** By ref, the page after `after`. */
  async list(page: { after?: string; limit?: number } = {}): Promise<TenantDetails[]> {
    const rows = await selectTenants(this.#db)
      .where('tenants.ref', '>', page.after ?? '')
      .orderBy('tenants.ref')
      .limit(Math.min(page.limit ?? pageRowsMax, pageRowsMax))
      .execute()
    return rows.map((row) => detailsOf(row, this.#box))
  }

  /** Of any of these projects. */
  async branchesOf(...refs: readonly string[]): Promise<Tenant[]> {
    if (refs.length === 0) return []
    const rows = await selectTenants(this.#db)
      .where('tenants.parent_ref', 'in', refs)
      .orderBy('tenants.ref')
      .execute()
    return rows.map((row) => tenantOf(row, this.#box))
  }

  /**
   * Makes the tenant, or changes it and replaces its roles; all or nothing. `given` as a function gets
   * what is stored, which nobody changes until the end: what it takes from there takes nothing back.
   */
  async put(
    ref: string,
    given: TenantInput | ((stored: TenantDetails | null) => TenantInput),
  ): Promise<{ tenant: Tenant; isCreated: boolean }> {
    const isCreated = await this.#change(async (transaction) => {
      await lockTenant(transaction, ref)
      const input =
        typeof given === 'function' ? given(await this.#detailsIn(transaction, ref)) : given
      refuseBadUsers(input.users)
      await refuseNestedBranch(transaction, ref, input.parentRef ?? null)
      const isNew = await writeTenant(transaction, ref, input)
      await this.#replaceRoles(transaction, ref, input.users)
      return isNew
    })
    return { tenant: await this.#read(ref), isCreated }
  }

  async setBan(ref: string, ban: Pick<Ban, 'reason' | 'untilMs'> | null): Promise<Tenant> {
    return this.#update(ref, {
      banned_at: ban === null ? null : new Date(),
      ban_reason: ban?.reason ?? null,
      banned_until: ban === null || ban.untilMs === null ? null : new Date(ban.untilMs),
    })
  }

  /**
   * null where TLS is not enforced, which temporary access needs to go on. A branch has its parent's
   * state: `conflict` names the parent.
   */
  async setJit(ref: string, isEnabled: boolean): Promise<Tenant | null> {
    const isSet = await this.#change(async (transaction) => {
      const stored = await lockExisting(transaction, ref)
      if (stored.parent_ref !== null) {
        throw new StoreRefusal(
          'conflict',
          `temporary access is set on project ${stored.parent_ref}`,
        )
      }
      if (isEnabled && !stored.enforce_ssl) return false
      const change = transaction.updateTable('tenants').set({ use_jit: isEnabled })
      await change.where('ref', '=', ref).execute()
      return true
    })
    return isSet ? this.#read(ref) : null
  }

  /**
   * Of the project and its branches. null where temporary access is on, which needs it to stay. A branch
   * has its parent's: `conflict` names the parent.
   */
  async setEnforceSsl(ref: string, isEnforced: boolean): Promise<Tenant | null> {
    const isSet = await this.#change(async (transaction) => {
      const stored = await lockExisting(transaction, ref)
      if (stored.parent_ref !== null) {
        throw new StoreRefusal('conflict', `TLS is enforced on project ${stored.parent_ref}`)
      }
      if (!isEnforced && stored.use_jit) return false
      await transaction
        .updateTable('tenants')
        .set({ enforce_ssl: isEnforced })
        .where(({ or, eb }) => or([eb('ref', '=', ref), eb('parent_ref', '=', ref)]))
        .execute()
      return true
    })
    return isSet ? this.#read(ref) : null
  }

  /** `invalid` where passwords are stored per role, or where there is no manager. */
  async updateManagerCredentials(
    ref: string,
    user: string,
    password: Secret<string>,
  ): Promise<Tenant> {
    await this.#change(async (transaction) => {
      if ((await lockExisting(transaction, ref)).require_user) {
        throw new StoreRefusal('invalid', 'this tenant stores a password for each role')
      }
      const { numUpdatedRows } = await transaction
        .updateTable('tenant_roles')
        .set({
          db_user: user,
          db_user_alias: user,
          db_password: this.#seal(ref, user, password),
          updated_at: new Date(),
        })
        .where('project_ref', '=', ref)
        .where('is_manager', '=', true)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) throw new StoreRefusal('invalid', 'this tenant has no manager')
    })
    return this.#read(ref)
  }

  /** False when there was none. Branches, rules and memberships go with it. */
  async remove(ref: string): Promise<boolean> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('tenants')
      .where('ref', '=', ref)
      .executeTakeFirst()
    return numDeletedRows > 0n
  }

  async #detailsIn(db: Kysely<Schema>, ref: string): Promise<TenantDetails | null> {
    const row = await selectTenants(db).where('tenants.ref', '=', ref).executeTakeFirst()
    return row === undefined ? null : detailsOf(row, this.#box)
  }

  async #update(ref: string, change: Updateable<TenantsTable>): Promise<Tenant> {
    await this.#db.updateTable('tenants').set(change).where('ref', '=', ref).execute()
    return this.#read(ref)
  }

  async #read(ref: string): Promise<Tenant> {
    const tenant = await this.findByRef(ref)
    return tenant ?? refuseMissing(ref)
  }

  async #change<Result>(run: (transaction: Transaction<Schema>) => Promise<Result>) {
    try {
      return await this.#db.transaction().execute(run)
    } catch (error) {
      throw refusalOf(error) ?? error
    }
  }

  async #replaceRoles(
    transaction: Transaction<Schema>,
    ref: string,
    users: readonly TenantUserInput[],
  ): Promise<void> {
    const stale = transaction.deleteFrom('tenant_roles').where('project_ref', '=', ref)
    const names = users.map((user) => user.dbUser)
    await (names.length === 0 ? stale : stale.where('db_user', 'not in', names)).execute()
    // The manager last: whoever was it before has stepped down by then.
    const inOrder = users.toSorted((a, b) => Number(a.isManager ?? 0) - Number(b.isManager ?? 0))
    for (const user of inOrder) {
      const columns = roleColumns(ref, user)
      const password = user.dbPassword === undefined ? {} : { db_password: this.#sealed(ref, user) }
      await transaction
        .insertInto('tenant_roles')
        .values({ ...columns, ...password })
        .onConflict((conflict) =>
          conflict
            .columns(['project_ref', 'db_user'])
            .doUpdateSet({ ...columns, ...password, updated_at: new Date() }),
        )
        .execute()
    }
  }

  #sealed(ref: string, user: TenantUserInput): Buffer | null {
    return user.dbPassword == null ? null : this.#seal(ref, user.dbUser, user.dbPassword)
  }

  #seal(ref: string, role: string, password: Secret<string>): Buffer {
    return this.#box.seal(password.reveal(), passwordContext(ref, role))
  }
}

/** First of all, for a change of its roles updates it too: two changes of one tenant wait here. */
async function lockTenant(transaction: Transaction<Schema>, ref: string) {
  const row = await transaction
    .selectFrom('tenants')
    .select(['parent_ref', 'require_user', 'use_jit', 'enforce_ssl'])
    .where('ref', '=', ref)
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row ?? null
}

const lockExisting = async (transaction: Transaction<Schema>, ref: string) =>
  (await lockTenant(transaction, ref)) ?? refuseMissing(ref)

function refuseMissing(ref: string): never {
  throw new StoreRefusal('not_found', `project ${ref} does not exist`)
}

/** True when the tenant was made. */
async function writeTenant(
  transaction: Transaction<Schema>,
  ref: string,
  input: TenantInput,
): Promise<boolean> {
  const given = givenColumns(input)
  const { numUpdatedRows } = await transaction
    .updateTable('tenants')
    .set(given)
    .where('ref', '=', ref)
    .executeTakeFirst()
  if (numUpdatedRows > 0n) return false
  await transaction
    .insertInto('tenants')
    .values({ ref, ...tenantDefaults(ref), ...given })
    .execute()
  return true
}

/** Rules and state are looked up one step: a branch of a branch would have nobody's. */
async function refuseNestedBranch(
  transaction: Transaction<Schema>,
  ref: string,
  parentRef: string | null,
): Promise<void> {
  if (parentRef === null) return
  const parent = await transaction
    .selectFrom('tenants')
    .select('parent_ref')
    .where('ref', '=', parentRef)
    .forShare()
    .executeTakeFirst()
  if (parent === undefined) {
    throw new StoreRefusal('not_found', `project ${parentRef} does not exist`)
  }
  const child = await transaction
    .selectFrom('tenants')
    .select('ref')
    .where('parent_ref', '=', ref)
    .executeTakeFirst()
  if (parent.parent_ref !== null || child !== undefined) {
    throw new StoreRefusal('conflict', 'a branch has no branches of its own')
  }
}

/** Constraints that an honest input can meet, in words for the person. */
function refusalOf(error: unknown): StoreRefusal | null {
  switch ((error as { constraint?: string }).constraint) {
    case 'tenants_sni_hostname_key':
      return new StoreRefusal('conflict', 'sni_hostname belongs to another project')
    case 'tenants_ref_key':
      return new StoreRefusal('conflict', 'the project was made by someone else just now')
    case 'tenant_roles_project_ref_db_user_key':
      return new StoreRefusal('conflict', 'the role is stored already')
    case 'tenants_check':
    case 'tenants_require_user_check':
      return new StoreRefusal('invalid', 'require_user false needs an auth_query')
    default:
      return null
  }
}
