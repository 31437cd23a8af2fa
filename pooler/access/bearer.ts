// What was read of a token once and is kept instead of it: enough to ask again whose it is and whether
// it still holds. No token can be made from it, but where an outside authoriser has to be shown it again.
import { createHash } from 'node:crypto'
import type { Secret } from '../../shared/secret.ts'
import type { OutsideGrant } from './http-authoriser.ts'

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
  /** As the provider has it; null: it does not say. */
  readonly email: string | null
  readonly sessionKey: string
  readonly issuedAtMs: number
  readonly endsAtMs: number
}

/** A token that an outside authoriser let in. It is kept to be shown there again, and for that alone. */
export interface OutsideBearer {
  readonly kind: 'outside'
  readonly hash: TokenHash
  readonly token: Secret<string>
  /** Where it was asked about. */
  readonly url: string
  readonly grant: OutsideGrant
  /** Monotonic ms of the answer. */
  readonly confirmedAtMs: number
}

export type Bearer = PersonalBearer | SessionBearer | IdentityBearer

/** What a live session rests on. */
export type KeptBearer = Bearer | OutsideBearer

/** What a log-out refuses: 32 bytes in hex, whatever the issuer calls its sessions. */
export const sessionKeyOf = (issuer: string, kind: string, id: string): string =>
  createHash('sha256')
    .update(JSON.stringify([issuer, kind, id]))
    .digest('hex')
