// People and what they are in each project, with the guards that no caller may get around: the last
// owner stays, administrators never touch owners, nobody raises their own membership.
import { type Selectable, sql, type Transaction } from 'kysely'
import { pageRowsMax } from '../config/limits.ts'
import type { Database } from './database.ts'
import { type Actor, refuseUnlessMayChange } from './membership-guards.ts'
import type { MembershipRole, MembersTable, Schema } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'

export interface Member {
  readonly userId: string
  readonly email: string | null
  readonly name: string
  readonly isOperator: boolean
  readonly createdAtMs: number
}

export interface Membership {
  readonly ref: string
  readonly userId: string
  readonly role: MembershipRole
}

/** For a branch pass its parent's ref: memberships, like rules, are the parent's. */
export class MemberStore {
  readonly #db: Database['db']

  constructor(database: Database) {
    this.#db = database.db
  }

  /** `conflict` when the e-mail is another member's. isOperator undefined: as it was, else false. */
  async put(
    userId: string,
    input: { email: string | null; name: string; isOperator?: boolean | undefined },
  ): Promise<{ member: Member; isCreated: boolean }> {
    const { email, name, isOperator } = input
    try {
      const row = await this.#db
        .insertInto('members')
        .values({ user_id: userId, email, name, is_operator: isOperator ?? false })
        .onConflict((conflict) =>
          conflict.column('user_id').doUpdateSet({
            email,
            name,
            ...(isOperator === undefined ? {} : { is_operator: isOperator }),
          }),
        )
        .returningAll()
        .returning(sql<boolean>`xmax = 0`.as('is_created'))
        .executeTakeFirstOrThrow()
      return { member: memberOf(row), isCreated: row.is_created }
    } catch (error) {
      if ((error as { constraint?: string }).constraint !== 'members_email') throw error
      throw new StoreRefusal('conflict', 'another member has this e-mail address')
    }
  }

  async find(userId: string): Promise<Member | null> {
    const row = await this.#db
      .selectFrom('members')
      .selectAll()
      .where('user_id', '=', userId)
      .executeTakeFirst()
    return row === undefined ? null : memberOf(row)
  }

  async findByEmail(email: string): Promise<Member | null> {
    const row = await this.#db
      .selectFrom('members')
      .selectAll()
      .where(sql<string>`lower(email)`, '=', email.toLowerCase())
      .executeTakeFirst()
    return row === undefined ? null : memberOf(row)
  }

  /** By user id, the page after `after`. */
  async list(page: { after?: string; limit?: number } = {}): Promise<Member[]> {
    const all = this.#db.selectFrom('members').selectAll().orderBy('user_id')
    const rows = await (page.after === undefined ? all : all.where('user_id', '>', page.after))
      .limit(Math.min(page.limit ?? pageRowsMax, pageRowsMax))
      .execute()
    return rows.map(memberOf)
  }

  /** Memberships, rules and tokens go with the member. Only the operator may, last owner or not. */
  async remove(userId: string): Promise<boolean> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('members')
      .where('user_id', '=', userId)
      .executeTakeFirst()
    return numDeletedRows > 0n
  }

  async putMembership(
    ref: string,
    userId: string,
    role: MembershipRole,
    actor: Actor,
  ): Promise<{ membership: Membership; isCreated: boolean }> {
    return this.#db.transaction().execute(async (transaction) => {
      const current = await lockProject(transaction, ref)
      const before = current.get(userId) ?? null
      refuseUnlessMayChange(current, { userId, before, after: role, actor })
      if (!(await hasMember(transaction, userId))) {
        throw new StoreRefusal('invalid', `there is no member ${userId}`)
      }
      await transaction
        .insertInto('memberships')
        .values({ project_ref: ref, user_id: userId, role })
        .onConflict((conflict) =>
          conflict.columns(['project_ref', 'user_id']).doUpdateSet({ role }),
        )
        .execute()
      return { membership: { ref, userId, role }, isCreated: before === null }
    })
  }

  /** False when there was none. The member's rules go with it. */
  async removeMembership(ref: string, userId: string, actor: Actor): Promise<boolean> {
    return this.#db.transaction().execute(async (transaction) => {
      const current = await lockProject(transaction, ref)
      const before = current.get(userId) ?? null
      if (before === null) return false
      refuseUnlessMayChange(current, { userId, before, after: null, actor })
      await transaction
        .deleteFrom('memberships')
        .where('project_ref', '=', ref)
        .where('user_id', '=', userId)
        .execute()
      return true
    })
  }

  async roleOf(ref: string, userId: string): Promise<MembershipRole | null> {
    const row = await this.#db
      .selectFrom('memberships')
      .select('role')
      .where('project_ref', '=', ref)
      .where('user_id', '=', userId)
      .executeTakeFirst()
    return row?.role ?? null
  }

  async membershipsOf(userId: string): Promise<Membership[]> {
    const rows = await this.#db
      .selectFrom('memberships')
      .selectAll()
      .where('user_id', '=', userId)
      .orderBy('project_ref')
      .execute()
    return rows.map((row) => ({ ref: row.project_ref, userId: row.user_id, role: row.role }))
  }

  async membersOf(ref: string): Promise<{ member: Member; role: MembershipRole }[]> {
    const rows = await this.#db
      .selectFrom('memberships')
      .innerJoin('members', 'members.user_id', 'memberships.user_id')
      .selectAll('members')
      .select('memberships.role')
      .where('memberships.project_ref', '=', ref)
      .orderBy('members.user_id')
      .execute()
    return rows.map((row) => ({ member: memberOf(row), role: row.role }))
  }
}

export function memberOf(row: Selectable<MembersTable>): Member {
  return {
    userId: row.user_id,
    email: row.email,
    name: row.name,
    isOperator: row.is_operator,
    createdAtMs: row.created_at.getTime(),
  }
}

/** Changes of one project's memberships wait for each other here, so that two owners cannot both leave. */
async function lockProject(
  transaction: Transaction<Schema>,
  ref: string,
): Promise<Map<string, MembershipRole>> {
  const project = await transaction
    .selectFrom('tenants')
    .select('parent_ref')
    .where('ref', '=', ref)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (project === undefined) throw new StoreRefusal('not_found', `project ${ref} does not exist`)
  if (project.parent_ref !== null) {
    throw new StoreRefusal('conflict', `members are those of project ${project.parent_ref}`)
  }
  const rows = await transaction
    .selectFrom('memberships')
    .select(['user_id', 'role'])
    .where('project_ref', '=', ref)
    .execute()
  return new Map(rows.map((row) => [row.user_id, row.role]))
}

async function hasMember(transaction: Transaction<Schema>, userId: string): Promise<boolean> {
  const row = await transaction
    .selectFrom('members')
    .select('user_id')
    .where('user_id', '=', userId)
    .forKeyShare()
    .executeTakeFirst()
  return row !== undefined
}
