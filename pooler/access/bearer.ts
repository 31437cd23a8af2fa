// What was read of a token once and is kept instead of it: enough to ask again whose it is and whether
// it still holds. No token can be made from it.
import { createHash } from 'node:crypto'

/** Names a token where the token itself must not be: its SHA-256 in hex. */
export type TokenHash = string

/** A personal access token; it is looked up by its hash. */
export interface PersonalBearer {
  readonly kind: 'personal'
  readonly hash: TokenHash
}

/** A session JWT of ours: the token that it was made with, for a while. */
export interface SessionBearer {
  readonly kind: 'session'
  readonly hash: TokenHash
  readonly tokenId: string
  readonly sessionKey: string
  readonly endsAtMs: number
}

/** A JWT of the identity provider. */
export interface IdentityBearer {
  readonly kind: 'identity'
  readonly hash: TokenHash
  readonly issuer: string
  readonly subject: string
  readonly sessionKey: string
  readonly issuedAtMs: number
  readonly endsAtMs: number
}

export type Bearer = PersonalBearer | SessionBearer | IdentityBearer

/** What a log-out refuses: 32 bytes in hex, whatever the issuer calls its sessions. */
export const sessionKeyOf = (issuer: string, kind: string, id: string): string =>
  createHash('sha256')
    .update(JSON.stringify([issuer, kind, id]))
    .digest('hex')
