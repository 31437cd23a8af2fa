// Personal access tokens. The token itself exists once, in the answer of `create`; stored is its
// SHA-256, which is enough for 160 random bits. Whether a token may do something is decided elsewhere.
import { createHash, randomBytes } from 'node:crypto'
import { type Selectable, sql, type Transaction } from 'kysely'
import { Secret } from '../../shared/secret.ts'
import type { Permission } from '../access/permissions.ts'
import type { TokenScope } from '../access/token-scope.ts'
import { tokensPerMemberMax } from '../config/limits.ts'
import { refuseRevoked } from './acting.ts'
import type { Database } from './database.ts'
import { type Member, memberOf } from './members.ts'
import type { AccessTokensTable, Schema } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'

export interface TokenRecord {
  readonly id: string
  readonly userId: string
  readonly name: string
  /** The first characters, for lists. */
  readonly prefix: string
  /** null: classic, good for all that its owner may. */
  readonly scope: TokenScope | null
  readonly createdAtMs: number
  readonly expiresAtMs: number | null
  readonly revokedAtMs: number | null
  readonly lastUsedAtMs: number | null
}

export interface TokenOwner {
  readonly token: TokenRecord
  readonly member: Member
}

export interface TokenInput {
  readonly userId: string
  readonly name: string
  readonly expiresAtMs?: number | null | undefined
  /** Of a scoped token, for the rest of its life. */
  readonly scope?: TokenScope | null | undefined
}

export interface NewToken {
  readonly token: Secret<string>
  readonly record: TokenRecord
}

export const hashToken = (token: string): Buffer => createHash('sha256').update(token).digest()

export class TokenStore {
  readonly #db: Database['db']

  constructor(database: Database) {
    this.#db = database.db
  }

  /**
   * The only place that ever gives the token out. `invalid`: no such member; `conflict`: too many;
   * `forbidden`: the token that asks for it is revoked.
   */
  create(input: TokenInput, askedBy: string | null = null): Promise<NewToken> {
    return this.#db.transaction().execute(async (transaction) => {
      await refuseRevoked(transaction, askedBy)
      return insertToken(transaction, input)
    })
  }

  /** Revoked and expired ones too: the reason of a refusal is precise. */
  async findBySha256(hash: Buffer): Promise<TokenOwner | null> {
    return this.#findOwner('sha256', hash)
  }

  /** The same by id, for a session whose token is known and not kept. */
  async findOwner(id: string): Promise<TokenOwner | null> {
    return this.#findOwner('id', id)
  }

  async find(id: string): Promise<TokenRecord | null> {
    const row = await this.#db
      .selectFrom('access_tokens')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst()
    return row === undefined ? null : recordOf(row)
  }

  /** The member's tokens that are not revoked, newest first. */
  async list(userId: string): Promise<TokenRecord[]> {
    const rows = await this.#db
      .selectFrom('access_tokens')
      .selectAll()
      .where('user_id', '=', userId)
      .where('revoked_at', 'is', null)
      .orderBy('created_at', 'desc')
      .orderBy('id')
      .execute()
    return rows.map(recordOf)
  }

  /** False when there is none, it is another member's, or it was revoked before. The row stays. */
  async revoke(id: string, userId?: string): Promise<boolean> {
    const update = this.#db
      .updateTable('access_tokens')
      .set({ revoked_at: new Date() })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
    const { numUpdatedRows } = await (userId === undefined
      ? update
      : update.where('user_id', '=', userId)
    ).executeTakeFirst()
    return numUpdatedRows > 0n
  }

  /** One statement for many uses; an older time never replaces a newer one. */
  async touchLastUsed(uses: ReadonlyMap<string, number>): Promise<void> {
    if (uses.size === 0) return
    const ids = [...uses.keys()]
    const times = [...uses.values()].map((ms) => new Date(ms).toISOString())
    await sql`
      update latchkey.access_tokens as token set last_used_at = used.at
      from unnest(${ids}::uuid[], ${times}::timestamptz[]) as used (id, at)
      where token.id = used.id and coalesce(token.last_used_at < used.at, true)
    `.execute(this.#db)
  }

  async #findOwner(column: 'sha256' | 'id', value: Buffer | string): Promise<TokenOwner | null> {
    const row = await this.#db
      .selectFrom('access_tokens')
      .innerJoin('members', 'members.user_id', 'access_tokens.user_id')
      .selectAll('access_tokens')
      .select([
        'members.email',
        'members.name as member_name',
        'members.is_operator',
        'members.created_at as member_created_at',
      ])
      .where(`access_tokens.${column}`, '=', value)
      .executeTakeFirst()
    if (row === undefined) return null
    const { email, is_operator, user_id } = row
    const member = { user_id, email, name: row.member_name, is_operator }
    return {
      token: recordOf(row),
      member: memberOf({ ...member, created_at: row.member_created_at }),
    }
  }
}

/** In a transaction of the caller's, where the token comes with something else or not at all. */
export async function insertToken(
  transaction: Transaction<Schema>,
  input: TokenInput,
): Promise<NewToken> {
  const scope = input.scope ?? null
  const start = scope === null ? 'sbp_' : 'sbp_fc'
  const text = `${start}${randomBytes(20).toString('hex')}`
  const member = await transaction
    .selectFrom('members')
    .select('user_id')
    .where('user_id', '=', input.userId)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (member === undefined) {
    throw new StoreRefusal('invalid', `there is no member ${input.userId}`)
  }
  const { count } = await transaction
    .selectFrom('access_tokens')
    .select(sql<number>`count(*)`.as('count'))
    .where('user_id', '=', input.userId)
    .where('revoked_at', 'is', null)
    .where(sql<boolean>`coalesce(expires_at > now(), true)`)
    .executeTakeFirstOrThrow()
  if (count >= tokensPerMemberMax) {
    throw new StoreRefusal('conflict', `a member has at most ${tokensPerMemberMax} tokens`)
  }
  const row = await transaction
    .insertInto('access_tokens')
    .values({
      user_id: input.userId,
      name: input.name,
      prefix: text.slice(0, start.length + 4),
      sha256: hashToken(text),
      kind: scope === null ? 'classic' : 'scoped',
      ...scopeColumns(scope),
      expires_at: input.expiresAtMs == null ? null : new Date(input.expiresAtMs),
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return { token: new Secret(text), record: recordOf(row) }
}

function recordOf(row: Selectable<AccessTokensTable>): TokenRecord {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    prefix: row.prefix,
    scope: row.kind === 'classic' ? null : scopeOf(row),
    createdAtMs: row.created_at.getTime(),
    expiresAtMs: row.expires_at?.getTime() ?? null,
    revokedAtMs: row.revoked_at?.getTime() ?? null,
    lastUsedAtMs: row.last_used_at?.getTime() ?? null,
  }
}

function scopeColumns(scope: TokenScope | null) {
  const listOf = (list: readonly string[] | null | undefined) => (list == null ? null : [...list])
  return {
    permissions: listOf(scope?.permissions),
    projects: listOf(scope?.projects),
    roles: listOf(scope?.roles),
    networks: listOf(scope?.networks),
  }
}

/** A name that nothing here asks for gives nothing, so what is stored needs no second check. */
function scopeOf(row: Selectable<AccessTokensTable>): TokenScope {
  return {
    permissions: (row.permissions ?? []) as Permission[],
    projects: row.projects,
    roles: row.roles,
    networks: row.networks,
  }
}
