// Personal access tokens as answers show them, and the making of one, which two resources share.
import type { z } from 'zod'
import type { TokenRecord } from '../store/tokens.ts'
import type { ApiDeps } from './api-deps.ts'
import { toEpochSeconds } from './expires-at.ts'
import type { newTokenAnswer, TokenBody, tokenListAnswer } from './schemas/people.ts'
import { readToken } from './token-input.ts'

export function tokenAnswer(record: TokenRecord): z.infer<typeof tokenListAnswer>[number] {
  return {
    id: record.id,
    name: record.name,
    prefix: record.prefix,
    ...scopeAnswer(record.scope),
    created_at: new Date(record.createdAtMs).toISOString(),
    expires_at: record.expiresAtMs === null ? null : toEpochSeconds(record.expiresAtMs),
    last_used_at: record.lastUsedAtMs === null ? null : new Date(record.lastUsedAtMs).toISOString(),
  }
}

/** Classic tokens are told by four times null. */
function scopeAnswer(scope: TokenRecord['scope']) {
  if (scope === null) return { permissions: null, projects: null, roles: null, networks: null }
  const listOf = (list: readonly string[] | null) => (list === null ? null : [...list])
  return {
    permissions: [...scope.permissions],
    projects: listOf(scope.projects),
    roles: listOf(scope.roles),
    networks: listOf(scope.networks),
  }
}

/** The only answer that ever carries a token. `askedBy`: the token of its owner that asks for it. */
export async function createToken(
  deps: ApiDeps,
  userId: string,
  body: TokenBody,
  askedBy: string | null = null,
): Promise<z.infer<typeof newTokenAnswer>> {
  const input = await readToken(deps, userId, body)
  const { token, record } = await deps.tokens.create({ userId, ...input }, askedBy)
  return { ...tokenAnswer(record), token: token.reveal() }
}

/** Of a new token for the record: everything but the token. */
export function tokenDetails({ token: _token, ...known }: z.infer<typeof newTokenAnswer>) {
  return known
}
