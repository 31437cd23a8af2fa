// Invitations of people who are no member yet: what they will be given, under the hash of a token that
// was told once. Accepting one makes the membership, the rules and, where the person is new, the
// member and a first token, all or nothing.
import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { type Selectable, sql, type Transaction } from 'kysely'
import { Secret } from '../../shared/secret.ts'
import { invitationsPerProjectMax } from '../config/limits.ts'
import { type Acting, refuseUnlessManages } from './acting.ts'
import type { Database } from './database.ts'
import { linkIdentity, type SignedInIdentity } from './identities.ts'
import { type RuleInput, writeRule } from './rules.ts'
import type { InvitationsTable, Schema } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'
import { hashToken, insertToken } from './tokens.ts'

/** A rule that is not given yet. */
export interface InvitedRule extends RuleInput {
  /** Counts from the moment of acceptance; null: `expiresAtMs` stands. */
  readonly expiresAfterS: number | null
}

/** `by hand`: whoever invited has the link. `pending`: a webhook is to bring it. */
export type Delivery = 'by hand' | 'pending' | 'delivered' | 'failed'

export interface Invitation {
  readonly id: string
  readonly ref: string
  readonly email: string
  readonly rules: readonly InvitedRule[]
  readonly delivery: Delivery
  readonly createdBy: string | null
  readonly expiresAtMs: number
}

export interface Acceptance {
  readonly ref: string
  readonly email: string
  readonly token: Secret<string>
  /** The member who accepts; null: somebody whom nobody here knows yet. */
  readonly userId: string | null
  /** Who that somebody is to the identity provider, where they are signed in there. */
  readonly identity: SignedInIdentity | null
  readonly nowMs: number
}

export interface Accepted {
  readonly invitation: Invitation
  readonly userId: string
  /** The member was made by this. */
  readonly isNew: boolean
  /** Of a member who is new and could not sign in without: told once. */
  readonly firstToken: Secret<string> | null
}

type InvitationRow = Selectable<InvitationsTable>

export class InvitationStore {
  readonly #db: Database['db']

  constructor(database: Database) {
    this.#db = database.db
  }

  /**
   * `conflict`: a member of the project has this e-mail, it is invited already, or there are too many.
   * `forbidden`: whoever acts gives no rules any more.
   */
  async create(
    ref: string,
    input: Omit<Invitation, 'id' | 'ref' | 'createdBy'> & {
      readonly acting: Acting
      readonly nowMs: number
    },
  ): Promise<{ invitation: Invitation; token: Secret<string> }> {
    const token = randomBytes(32).toString('base64url')
    const row = await this.#db.transaction().execute(async (transaction) => {
      await refuseUnlessInvitable(transaction, ref, input.email, input.nowMs)
      await refuseUnlessManages(transaction, ref, input.acting)
      return transaction
        .insertInto('invitations')
        .values({
          project_ref: ref,
          email: input.email,
          sha256: hashToken(token),
          grants: JSON.stringify(input.rules),
          delivery: input.delivery,
          created_by: input.acting.userId,
          expires_at: new Date(input.expiresAtMs),
        })
        .returningAll()
        .executeTakeFirstOrThrow()
    })
    return { invitation: invitationOf(row), token: new Secret(token) }
  }

  /** Those that can still be accepted, by e-mail. */
  async list(ref: string, nowMs: number): Promise<Invitation[]> {
    const rows = await this.#db
      .selectFrom('invitations')
      .selectAll()
      .where('project_ref', '=', ref)
      .where('expires_at', '>', new Date(nowMs))
      .orderBy('email')
      .execute()
    return rows.map(invitationOf)
  }

  /** null when there was none in that project. */
  async remove(ref: string, id: string): Promise<Invitation | null> {
    const row = await this.#db
      .deleteFrom('invitations')
      .where('project_ref', '=', ref)
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst()
    return row === undefined ? null : invitationOf(row)
  }

  async noteDelivery(id: string, delivery: 'delivered' | 'failed'): Promise<void> {
    await this.#db.updateTable('invitations').set({ delivery }).where('id', '=', id).execute()
  }

  /** Open invitations whose link nobody may ever have got. */
  async countUndelivered(nowMs: number): Promise<number> {
    const { count } = await this.#db
      .selectFrom('invitations')
      .select(sql<number>`count(*)`.as('count'))
      .where('delivery', 'in', ['pending', 'failed'])
      .where('expires_at', '>', new Date(nowMs))
      .executeTakeFirstOrThrow()
    return count
  }

  /** null for whatever reason: who asks learns none. */
  async accept(acceptance: Acceptance): Promise<Accepted | null> {
    try {
      return await this.#acceptWhole(acceptance)
    } catch (error) {
      // Of an identity that became somebody's at this moment.
      if (error instanceof StoreRefusal) return null
      throw error
    }
  }

  #acceptWhole(acceptance: Acceptance): Promise<Accepted | null> {
    return this.#db.transaction().execute(async (transaction) => {
      const invitation = await takeInvitation(transaction, acceptance)
      if (invitation === null) return null
      const person = await personFor(transaction, acceptance)
      if (person === null) return null
      const { userId } = person
      const { ref, nowMs } = acceptance
      await transaction
        .insertInto('memberships')
        .values({ project_ref: ref, user_id: userId, role: 'guest' })
        .onConflict((conflict) => conflict.columns(['project_ref', 'user_id']).doNothing())
        .execute()
      for (const { expiresAfterS, ...rule } of invitation.rules) {
        const expiresAtMs = expiresAfterS === null ? rule.expiresAtMs : nowMs + expiresAfterS * 1000
        await writeRule(transaction, ref, userId, { ...rule, expiresAtMs }, invitation.createdBy)
      }
      await transaction.deleteFrom('invitations').where('id', '=', invitation.id).execute()
      return { invitation, ...person }
    })
  }
}

async function refuseUnlessInvitable(
  transaction: Transaction<Schema>,
  ref: string,
  email: string,
  nowMs: number,
): Promise<void> {
  // Two invitations of one address at once wait for each other here.
  await transaction
    .selectFrom('tenants')
    .select('ref')
    .where('ref', '=', ref)
    .forNoKeyUpdate()
    .executeTakeFirst()
  const member = await transaction
    .selectFrom('memberships')
    .innerJoin('members', 'members.user_id', 'memberships.user_id')
    .select('members.user_id')
    .where('memberships.project_ref', '=', ref)
    .where(sql<string>`lower(members.email)`, '=', email.toLowerCase())
    .executeTakeFirst()
  if (member !== undefined) {
    throw new StoreRefusal(
      'conflict',
      `${email} is a member already, with user_id ${member.user_id}`,
    )
  }
  await transaction
    .deleteFrom('invitations')
    .where('project_ref', '=', ref)
    .where('expires_at', '<=', new Date(nowMs))
    .execute()
  const open = await transaction
    .selectFrom('invitations')
    .select(['id', 'email'])
    .where('project_ref', '=', ref)
    .execute()
  const same = open.find((one) => one.email.toLowerCase() === email.toLowerCase())
  if (same !== undefined) {
    throw new StoreRefusal('conflict', `${email} is invited already; remove invitation ${same.id}`)
  }
  if (open.length >= invitationsPerProjectMax) {
    throw new StoreRefusal('conflict', `${invitationsPerProjectMax} invitations are open already`)
  }
}

/** Locked, so that it is accepted once. The comparison takes the same time however much is right. */
async function takeInvitation(
  transaction: Transaction<Schema>,
  { ref, email, token, nowMs }: Acceptance,
): Promise<Invitation | null> {
  const row = await transaction
    .selectFrom('invitations')
    .selectAll()
    .where('project_ref', '=', ref)
    .where(sql<string>`lower(email)`, '=', email.toLowerCase())
    .forUpdate()
    .executeTakeFirst()
  const given = hashToken(token.reveal())
  const isRight = timingSafeEqual(given, row?.sha256 ?? Buffer.alloc(given.length))
  if (row === undefined || !isRight || nowMs >= row.expires_at.getTime()) return null
  return invitationOf(row)
}

/**
 * A link alone makes nobody into a member who is there: whoever invites has it, and could become
 * anybody by it.
 */
async function personFor(
  transaction: Transaction<Schema>,
  { email, userId, identity }: Acceptance,
): Promise<Omit<Accepted, 'invitation'> | null> {
  const known = await transaction
    .selectFrom('members')
    .select('user_id')
    .where(sql<string>`lower(email)`, '=', email.toLowerCase())
    .executeTakeFirst()
  if (userId !== null) {
    return known?.user_id === userId ? { userId, isNew: false, firstToken: null } : null
  }
  const isSomebodyElse = (identity?.email ?? email).toLowerCase() !== email.toLowerCase()
  if (known !== undefined || isSomebodyElse) return null
  const made = { userId: randomUUID(), isNew: true }
  const { numInsertedOrUpdatedRows } = await transaction
    .insertInto('members')
    .values({
      user_id: made.userId,
      email,
      name: email.split('@', 1)[0] ?? email,
      is_operator: false,
    })
    // The same address may be accepting in another project at this moment.
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  if (numInsertedOrUpdatedRows === 0n) return null
  if (identity !== null) {
    await linkIdentity(transaction, made.userId, identity)
    return { ...made, firstToken: null }
  }
  const { userId: owner } = made
  const { token } = await insertToken(transaction, { userId: owner, name: 'first token' })
  return { ...made, firstToken: token }
}

function invitationOf(row: InvitationRow): Invitation {
  return {
    id: row.id,
    ref: row.project_ref,
    email: row.email,
    rules: row.grants as InvitedRule[],
    delivery: row.delivery,
    createdBy: row.created_by,
    expiresAtMs: row.expires_at.getTime(),
  }
}
