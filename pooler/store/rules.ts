// Rules: which roles a member may assume in a project, from where and until when. One member's rules
// in one project are a set that is read, replaced and versioned whole. What they allow: access/.
import type { Transaction } from 'kysely'
import { type Acting, refuseUnlessManages } from './acting.ts'
import type { Database } from './database.ts'
import {
  contentOf,
  gather,
  matches,
  memberRules,
  type RuleRow,
  refuseDoubleRoles,
  ruleOf,
} from './rule-set.ts'
import type { MembershipRole, Schema } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'

export interface RuleInput {
  readonly role: string
  /** null: without end. */
  readonly expiresAtMs: number | null
  /** CIDRs; both lists empty: any address. */
  readonly networksV4: readonly string[]
  readonly networksV6: readonly string[]
  readonly branchesOnly: boolean
  readonly reason?: string | null | undefined
  /** Of the role that it is given for; null: the database did not tell. */
  readonly roleIdentity?: string | null | undefined
}

export interface Rule extends RuleInput {
  readonly id: string
  readonly ref: string
  readonly userId: string
  readonly reason: string | null
  readonly roleIdentity: string | null
  readonly createdAtMs: number
  /** user_id of who gave it; null: the operator. */
  readonly createdBy: string | null
  readonly updatedAtMs: number
}

export interface MemberRules {
  readonly userId: string
  readonly email: string | null
  /** By role, never empty where it is found. */
  readonly rules: readonly Rule[]
  /** A strong ETag with its quotes: equal sets have equal ones. */
  readonly etag: string
}

export interface Standing {
  readonly membership: MembershipRole | null
  readonly rules: readonly Rule[]
}

/** For a branch pass its parent's ref: rules are the parent's. */
export class RuleStore {
  readonly #db: Database['db']

  constructor(database: Database) {
    this.#db = database.db
  }

  /**
   * Replaces the member's whole set; an unchanged rule, of the same role, announces nothing. `invalid`:
   * no member of the project, or a role twice; `precondition_failed`: ifMatch is not the set's ETag;
   * `forbidden`: whoever acts gives no rules any more.
   */
  async replaceForMember(
    ref: string,
    userId: string,
    rules: readonly RuleInput[],
    options: { ifMatch?: string | undefined; createdBy?: string | null; acting?: Acting } = {},
  ): Promise<MemberRules> {
    const { acting, createdBy = acting?.userId ?? null } = options
    refuseDoubleRoles(rules)
    return this.#db.transaction().execute(async (transaction) => {
      if (acting !== undefined) await refuseUnlessManages(transaction, ref, acting)
      const before = await lockRules(transaction, ref, userId, options.ifMatch)
      if (before === null) {
        throw new StoreRefusal('invalid', `${userId} is no member of project ${ref}`)
      }
      const kept = new Map(before.rules.map((rule) => [rule.role, rule]))
      for (const rule of rules) {
        const old = kept.get(rule.role)
        kept.delete(rule.role)
        const isSame = old !== undefined && contentOf(old) === contentOf(rule)
        if (isSame && old.roleIdentity === (rule.roleIdentity ?? null)) continue
        await writeRule(transaction, ref, userId, rule, createdBy)
      }
      if (kept.size > 0) {
        await transaction
          .deleteFrom('rules')
          .where('project_ref', '=', ref)
          .where('user_id', '=', userId)
          .where('role', 'in', [...kept.keys()])
          .execute()
      }
      return readRules(transaction, ref, userId, before.email)
    })
  }

  /** null: the member has no rule in the project. */
  async find(ref: string, userId: string): Promise<MemberRules | null> {
    const rows = await this.#select(ref).where('rules.user_id', '=', userId).execute()
    return gather(rows)[0] ?? null
  }

  /** Every member with rules, by user id. */
  async list(ref: string): Promise<MemberRules[]> {
    return gather(await this.#select(ref).execute())
  }

  /** One member's rules over all projects. */
  async listOfMember(userId: string): Promise<Rule[]> {
    const rows = await this.#db
      .selectFrom('rules')
      .selectAll()
      .where('user_id', '=', userId)
      .orderBy('project_ref')
      .orderBy('role')
      .execute()
    return rows.map(ruleOf)
  }

  /** False when there was none. */
  async remove(
    ref: string,
    userId: string,
    options: { ifMatch?: string | undefined } = {},
  ): Promise<boolean> {
    return this.#db.transaction().execute(async (transaction) => {
      const before = await lockRules(transaction, ref, userId, options.ifMatch)
      if (before === null) return false
      const { numDeletedRows } = await transaction
        .deleteFrom('rules')
        .where('project_ref', '=', ref)
        .where('user_id', '=', userId)
        .executeTakeFirst()
      return numDeletedRows > 0n
    })
  }

  /** What a login is decided on, of one moment. */
  async standingOf(ref: string, userId: string): Promise<Standing> {
    const rows = await this.#db
      .selectFrom('memberships')
      .leftJoin('rules', (join) =>
        join
          .onRef('rules.project_ref', '=', 'memberships.project_ref')
          .onRef('rules.user_id', '=', 'memberships.user_id'),
      )
      .selectAll('rules')
      .select('memberships.role as membership')
      .where('memberships.project_ref', '=', ref)
      .where('memberships.user_id', '=', userId)
      .execute()
    const rules = rows.filter((row) => row.id !== null).map((row) => ruleOf(row as RuleRow))
    return { membership: rows[0]?.membership ?? null, rules }
  }

  #select(ref: string) {
    return this.#db
      .selectFrom('rules')
      .innerJoin('members', 'members.user_id', 'rules.user_id')
      .selectAll('rules')
      .select('members.email')
      .where('rules.project_ref', '=', ref)
      .orderBy('rules.user_id')
      .orderBy('rules.role')
  }
}

/** Locks the membership, so that replacements of one set wait for each other; null without one. */
async function lockRules(
  transaction: Transaction<Schema>,
  ref: string,
  userId: string,
  ifMatch: string | undefined,
): Promise<MemberRules | null> {
  const member = await transaction
    .selectFrom('memberships')
    .innerJoin('members', 'members.user_id', 'memberships.user_id')
    .select('members.email')
    .where('memberships.project_ref', '=', ref)
    .where('memberships.user_id', '=', userId)
    .forNoKeyUpdate('memberships')
    .executeTakeFirst()
  if (member === undefined) return null
  const current = await readRules(transaction, ref, userId, member.email)
  if (ifMatch !== undefined && !matches(ifMatch, current)) {
    throw new StoreRefusal('precondition_failed', 'the rules were changed meanwhile')
  }
  return current
}

async function readRules(
  transaction: Transaction<Schema>,
  ref: string,
  userId: string,
  email: string | null,
): Promise<MemberRules> {
  const rows = await transaction
    .selectFrom('rules')
    .selectAll()
    .where('project_ref', '=', ref)
    .where('user_id', '=', userId)
    .orderBy('role')
    .execute()
  return memberRules(userId, email, rows.map(ruleOf))
}

export async function writeRule(
  transaction: Transaction<Schema>,
  ref: string,
  userId: string,
  rule: RuleInput,
  createdBy: string | null,
): Promise<void> {
  const content = {
    expires_at: rule.expiresAtMs === null ? null : new Date(rule.expiresAtMs),
    networks_v4: [...rule.networksV4],
    networks_v6: [...rule.networksV6],
    branches_only: rule.branchesOnly,
    reason: rule.reason ?? null,
    role_identity: rule.roleIdentity ?? null,
    created_by: createdBy,
  }
  await transaction
    .insertInto('rules')
    .values({ project_ref: ref, user_id: userId, role: rule.role, ...content })
    .onConflict((conflict) =>
      conflict
        .columns(['project_ref', 'user_id', 'role'])
        .doUpdateSet({ ...content, updated_at: new Date() }),
    )
    .execute()
}
