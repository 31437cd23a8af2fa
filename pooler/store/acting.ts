// Who asks for a change, looked at once more in the transaction that makes it. Between the look of the
// API and the change lie questions to databases, and rights that were taken meanwhile are taken.
import type { Transaction } from 'kysely'
import type { Schema } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'

/** A person, by a token of theirs; null: signed in elsewhere, which nothing here can revoke. */
export interface Acting {
  readonly userId: string
  readonly tokenId: string | null
}

/**
 * `forbidden` for whoever gives no rules in the project by now. Held until the end of the transaction:
 * changes of memberships wait at the project, removal of the member at the membership. Comes before
 * other locks of the project's rows.
 */
export async function refuseUnlessManages(
  transaction: Transaction<Schema>,
  ref: string,
  { userId, tokenId }: Acting,
): Promise<void> {
  await transaction.selectFrom('tenants').select('ref').where('ref', '=', ref).forShare().execute()
  const membership = await transaction
    .selectFrom('memberships')
    .select('role')
    .where('project_ref', '=', ref)
    .where('user_id', '=', userId)
    .forKeyShare()
    .executeTakeFirst()
  if (membership?.role !== 'owner' && membership?.role !== 'administrator') {
    throw new StoreRefusal('forbidden', 'only owners and administrators give rules')
  }
  await refuseRevoked(transaction, tokenId)
}

/** `forbidden` for a token that is revoked by now; one that holds is held until then. */
export async function refuseRevoked(
  transaction: Transaction<Schema>,
  tokenId: string | null,
): Promise<void> {
  if (tokenId === null) return
  const token = await transaction
    .selectFrom('access_tokens')
    .select('revoked_at')
    .where('id', '=', tokenId)
    .forShare()
    .executeTakeFirst()
  if (token?.revoked_at === null) return
  throw new StoreRefusal('forbidden', 'the token was revoked')
}
