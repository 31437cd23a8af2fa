// Personal access tokens as answers show them, and the making of one, which two resources share.
import type { z } from 'zod'
import type { TokenRecord } from '../store/tokens.ts'
import type { ApiDeps } from './api-deps.ts'
import { endOfToken, toEpochSeconds } from './expires-at.ts'
import type { newTokenAnswer, tokenBody, tokenListAnswer } from './schemas/people.ts'

export function tokenAnswer(record: TokenRecord): z.infer<typeof tokenListAnswer>[number] {
  return {
    id: record.id,
    name: record.name,
    prefix: record.prefix,
    created_at: new Date(record.createdAtMs).toISOString(),
    expires_at: record.expiresAtMs === null ? null : toEpochSeconds(record.expiresAtMs),
    last_used_at: record.lastUsedAtMs === null ? null : new Date(record.lastUsedAtMs).toISOString(),
  }
}

/** The only answer that ever carries a token. */
export async function createToken(
  deps: ApiDeps,
  userId: string,
  body: z.infer<typeof tokenBody>,
): Promise<z.infer<typeof newTokenAnswer>> {
  const expiresAtMs =
    typeof body.expires_at === 'number'
      ? endOfToken(body.expires_at, deps.clock.wallMs(), 'expires_at')
      : null
  const { token, record } = await deps.tokens.create({ userId, name: body.name, expiresAtMs })
  return { ...tokenAnswer(record), token: token.reveal() }
}
