// Finds who a personal access token belongs to, by hash or id, from memory for at most 5 s. Whether
// the token is still good, and for what, is decide-access.ts. The token itself is never kept.
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { Secret } from '../../shared/secret.ts'
import { tokensKnownMax, tokenUsesMax } from '../config/limits.ts'
import type { Change, Changes } from '../store/change-feed.ts'
import { LookUpCache } from '../store/look-up-cache.ts'
import { hashToken, type TokenOwner, type TokenRecord, type TokenStore } from '../store/tokens.ts'
import type { TokenHash } from './bearer.ts'

export interface AccessTokensOptions {
  readonly tokens: Pick<TokenStore, 'findBySha256' | 'findOwner' | 'touchLastUsed'>
  readonly changes: Changes
  readonly clock: Clock
  readonly log: Log
}

const knownMs = 5000
/** A guess is as wrong 10 s later; a new token announces itself. */
const unknownMs = 10_000
const usesFlushMs = 10_000

export class AccessTokens {
  readonly #options: AccessTokensOptions
  readonly #owners: LookUpCache<TokenOwner | null>
  /** Token id to its last use. */
  #uses = new Map<string, number>()
  readonly #flusher: Timer

  constructor(options: AccessTokensOptions) {
    const { clock } = options
    this.#options = options
    this.#owners = new LookUpCache({
      entriesMax: tokensKnownMax,
      clock,
      ttlMsOf: (owner) => (owner === null ? unknownMs : knownMs),
    })
    options.changes.onChange((change) => this.#onChange(change))
    this.#flusher = clock.every(usesFlushMs, () => void this.flushUses())
  }

  /** null: no such token. One that is found may be revoked or over. Rejects when it cannot be asked. */
  async findByHash(hash: TokenHash): Promise<TokenOwner | null> {
    const { tokens } = this.#options
    return await this.#find(hash, () => tokens.findBySha256(Buffer.from(hash, 'hex')))
  }

  /** The same for a session of the token. */
  async findById(id: string): Promise<TokenOwner | null> {
    return await this.#find(id, () => this.#options.tokens.findOwner(id))
  }

  noteUse({ id, revokedAtMs }: Pick<TokenRecord, 'id' | 'revokedAtMs'>): void {
    if (revokedAtMs === null) this.#setUse(id, this.#options.clock.wallMs())
  }

  /** Writes the last uses; what cannot be written is tried again with the next. */
  async flushUses(): Promise<void> {
    const uses = this.#uses
    this.#uses = new Map()
    try {
      await this.#options.tokens.touchLastUsed(uses)
    } catch (error) {
      this.#options.log.warn({ err: error }, 'last uses of tokens could not be written yet')
      for (const [id, atMs] of uses) if (!this.#uses.has(id)) this.#setUse(id, atMs)
    }
  }

  async close(): Promise<void> {
    this.#flusher.cancel()
    await this.flushUses()
  }

  /** A hash is no id, and the other way round. */
  #find(key: string, load: () => Promise<TokenOwner | null>): Promise<TokenOwner | null> {
    if (this.#options.changes.isBlind) this.#owners.forgetAll()
    return this.#owners.find(key, load)
  }

  #setUse(id: string, atMs: number): void {
    if (this.#uses.size < tokenUsesMax || this.#uses.has(id)) this.#uses.set(id, atMs)
  }

  #onChange(change: Change): void {
    if (change.kind === 'reread-all') this.#owners.forgetAll()
    // A hash that was unknown may be that of a token just made.
    else if (change.kind === 'token') {
      this.#owners.forgetWhere((owner) => owner === null || owner.token.id === change.id)
    } else if (change.kind === 'member') {
      this.#owners.forgetWhere((owner) => owner?.member.userId === change.userId)
    }
  }
}

/** null for what has not the shape of any token; then nobody is asked. */
export function tokenHashOf(token: Secret<string>): TokenHash | null {
  const text = token.reveal()
  return hasTokenShape(text) ? hashToken(text).toString('hex') : null
}

/** Also tells a token from a password where either may come. What kind it is only a look-up tells. */
export function hasTokenShape(text: string): boolean {
  const bytes = Buffer.byteLength(text)
  if (text.startsWith('sbp_')) return bytes >= 44 && bytes <= 256
  if (bytes > 8192) return false
  const parts = text.split('.')
  return parts.length === 3 && parts.slice(0, 2).every((part) => part.startsWith('eyJ'))
}
