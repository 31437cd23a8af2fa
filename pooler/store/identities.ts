// Which member an identity of an outside provider is: (issuer, subject), linked by an operator or by
// an accepted invitation. E-mail addresses link nobody.
import { createHash } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import { identitiesPerMemberMax } from '../config/limits.ts'
import type { Database } from './database.ts'
import { type Member, memberOf } from './members.ts'
import type { Schema } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'

export interface OutsideIdentity {
  readonly issuer: string
  readonly subject: string
}

/** As a JWT of the provider has it. The e-mail is a claim: it may contradict, it never links. */
export interface SignedInIdentity extends OutsideIdentity {
  readonly email: string | null
}

export interface LinkedIdentity extends OutsideIdentity {
  readonly id: string
  readonly createdAtMs: number
}

/** The form alone, of any version. */
export const uuidPattern = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** The same in every process: stands where a token's id does, in events and among live sessions. */
export const identityIdOf = ({ issuer, subject }: OutsideIdentity): string =>
  uuidFrom(JSON.stringify(['identity', issuer, subject]))

/** A UUID of version 8 (RFC 9562 section 5.8) out of the SHA-256 of a text. */
export function uuidFrom(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16)
  bytes[6] = 0x80 | ((bytes[6] as number) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
  const hex = bytes.toString('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
  return [...parts, hex.slice(20)].join('-')
}

export class IdentityStore {
  readonly #db: Database['db']

  constructor(database: Database) {
    this.#db = database.db
  }

  /** The linked member, else the one whose user_id is the subject. */
  async findMember(identity: OutsideIdentity): Promise<Member | null> {
    const { subject } = identity
    const own = uuidPattern.test(subject) ? subject : null
    const row = await this.#db
      .selectFrom('members')
      .selectAll()
      .where(
        'user_id',
        '=',
        sql<string>`coalesce(
          (select user_id from latchkey.identities where id = ${identityIdOf(identity)}),
          ${own}::uuid)`,
      )
      .executeTakeFirst()
    return row === undefined ? null : memberOf(row)
  }

  /**
   * True when it is new. `invalid`: no such member. `conflict`: it is another member's, or there are
   * too many. Nobody's say-so but an operator's, or the holder's with an invitation, leads here.
   */
  async link(userId: string, identity: OutsideIdentity): Promise<boolean> {
    return await this.#db
      .transaction()
      .execute((transaction) => linkIdentity(transaction, userId, identity))
  }

  async list(userId: string): Promise<LinkedIdentity[]> {
    const rows = await this.#db
      .selectFrom('identities')
      .selectAll()
      .where('user_id', '=', userId)
      .orderBy('created_at')
      .orderBy('id')
      .execute()
    return rows.map(({ id, issuer, subject, created_at }) => ({
      id,
      issuer,
      subject,
      createdAtMs: created_at.getTime(),
    }))
  }

  /** False when the member has no such identity. */
  async unlink(userId: string, id: string): Promise<boolean> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('identities')
      .where('user_id', '=', userId)
      .where('id', '=', id)
      .executeTakeFirst()
    return numDeletedRows > 0n
  }
}

/** As `IdentityStore.link`, within what else has to happen with it. */
export async function linkIdentity(
  transaction: Transaction<Schema>,
  userId: string,
  { issuer, subject }: OutsideIdentity,
): Promise<boolean> {
  const id = identityIdOf({ issuer, subject })
  const member = await transaction
    .selectFrom('members')
    .select('user_id')
    .where('user_id', '=', userId)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (member === undefined) throw new StoreRefusal('invalid', `there is no member ${userId}`)
  const linked = await transaction
    .selectFrom('identities')
    .select(['id', 'user_id'])
    .where(({ or, eb }) => or([eb('id', '=', id), eb('user_id', '=', userId)]))
    .execute()
  const same = linked.find((row) => row.id === id)
  if (same?.user_id === userId) return false
  if (same !== undefined) {
    throw new StoreRefusal('conflict', 'this identity is linked to another member')
  }
  if (linked.length >= identitiesPerMemberMax) {
    throw new StoreRefusal('conflict', `a member has at most ${identitiesPerMemberMax} identities`)
  }
  const inserted = await transaction
    .insertInto('identities')
    .values({ id, issuer, subject, user_id: userId })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirst()
  if (inserted.numInsertedOrUpdatedRows === 0n) {
    throw new StoreRefusal('conflict', 'this identity was linked by somebody else just now')
  }
  return true
}
