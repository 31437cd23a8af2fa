// Whose is a token, of whatever kind: a personal access token, a session JWT of ours, a JWT of the
// identity provider. What was read is remembered for seconds, so nothing is verified twice in a row;
// whether it is still good, and for what, is decide-access.ts. No token is kept.
import type { Clock } from '../../shared/clock.ts'
import type { Secret } from '../../shared/secret.ts'
import { loggedOutMsMin, sessionsKnownMax } from '../config/limits.ts'
import type { Change, Changes } from '../store/change-feed.ts'
import type { EndedSessionStore } from '../store/ended-sessions.ts'
import { type IdentityStore, identityIdOf, type SignedInIdentity } from '../store/identities.ts'
import { LookUpCache } from '../store/look-up-cache.ts'
import type { Member } from '../store/members.ts'
import type { TokenOwner, TokenRecord } from '../store/tokens.ts'
import { type AccessTokens, tokenHashOf } from './access-tokens.ts'
import type { Bearer, IdentityBearer, SessionBearer, TokenHash } from './bearer.ts'
import type { IdentityProvider } from './identity-provider.ts'
import { readJwt } from './jwt-claims.ts'
import type { SessionJwts } from './session-jwt.ts'

/** The token's end is the bearer's own where that is earlier. */
export interface BearerOwner extends TokenOwner {
  readonly token: TokenRecord & { readonly isLoggedOut?: boolean }
  readonly bearer: Bearer
}

export interface BearersOptions {
  readonly accessTokens: Pick<AccessTokens, 'findByHash' | 'findById' | 'noteUse'>
  readonly sessionJwts: Pick<SessionJwts, 'read'>
  /** null: there is none. */
  readonly provider: Pick<IdentityProvider, 'read'> | null
  readonly identities: Pick<IdentityStore, 'findMember'>
  readonly endedSessions: Pick<EndedSessionStore, 'end' | 'isEnded'>
  readonly changes: Changes
  readonly clock: Clock
}

const knownMs = 5000

interface Ended {
  readonly tokenId: string
  readonly isEnded: boolean
}

export class Bearers {
  readonly #options: BearersOptions
  /** JWTs by hash; null: nobody's. A key that is new makes it somebody's within seconds. */
  readonly #jwts: LookUpCache<Bearer | null>
  readonly #members: LookUpCache<Member | null>
  readonly #ended: LookUpCache<Ended>

  constructor(options: BearersOptions) {
    const { clock, changes } = options
    this.#options = options
    const kept = { entriesMax: sessionsKnownMax, clock, ttlMsOf: () => knownMs }
    this.#jwts = new LookUpCache(kept)
    this.#members = new LookUpCache(kept)
    this.#ended = new LookUpCache(kept)
    changes.onChange((change) => this.#onChange(change))
  }

  /**
   * null: nobody's. Whoever is found may be revoked, over or logged out. Rejects when it cannot be
   * found out. Counts as a use of the token.
   */
  async find(token: Secret<string>): Promise<BearerOwner | null> {
    const bearer = await this.read(token)
    const owner = bearer === null ? null : await this.ownerOf(bearer)
    if (owner !== null && owner.bearer.kind !== 'identity') {
      this.#options.accessTokens.noteUse(owner.token)
    }
    return owner
  }

  /** The same for a token that was read before; counts as no use. */
  async ownerOf(bearer: Bearer): Promise<BearerOwner | null> {
    const { accessTokens, changes } = this.#options
    if (changes.isBlind) this.#forgetAll()
    switch (bearer.kind) {
      case 'personal': {
        const owner = await accessTokens.findByHash(bearer.hash)
        return owner === null ? null : { ...owner, bearer }
      }
      case 'session':
        return await this.#ownerOfSession(bearer)
      case 'identity':
        return await this.#ownerOfIdentity(bearer)
    }
  }

  /** null: nobody's by its form, its signature or what it says of itself. */
  async read(token: Secret<string>): Promise<Bearer | null> {
    const hash = tokenHashOf(token)
    if (hash === null) return null
    const text = token.reveal()
    if (text.startsWith('sbp_')) return { kind: 'personal', hash }
    return await this.#jwts.find(hash, () => this.#readJwt(text, hash))
  }

  /**
   * Who somebody is to the identity provider, member or not: an invitation that they accept may link
   * them. null: not a JWT of the provider that holds right now.
   */
  async identityOf(token: Secret<string>): Promise<SignedInIdentity | null> {
    const bearer = await this.read(token)
    if (bearer?.kind !== 'identity' || bearer.endsAtMs <= this.#options.clock.wallMs()) return null
    if (await this.#isEnded(bearer.sessionKey, identityIdOf(bearer))) return null
    const { issuer, subject, email } = bearer
    return { issuer, subject, email }
  }

  /**
   * From now on until its end it is refused, in every process; what lives under it ends. A provider gives
   * further JWTs under the same name, which end later: their log-out is kept for long.
   */
  async logOut({ bearer, token }: BearerOwner & { bearer: SessionBearer | IdentityBearer }) {
    const { clock, endedSessions } = this.#options
    const { kind, sessionKey, endsAtMs } = bearer
    const keptMs = kind === 'identity' ? clock.wallMs() + loggedOutMsMin : 0
    await endedSessions.end(sessionKey, token.id, Math.max(endsAtMs, keptMs))
    this.#ended.forget(sessionKey)
  }

  async #readJwt(text: string, hash: TokenHash): Promise<Bearer | null> {
    const jwt = readJwt(text)
    if (jwt === null) return null
    const { sessionJwts, provider } = this.#options
    const own = await sessionJwts.read(text, hash, jwt)
    return own ?? (await provider?.read(text, hash, jwt)) ?? null
  }

  async #ownerOfSession(bearer: SessionBearer): Promise<BearerOwner | null> {
    const { tokenId, sessionKey, endsAtMs } = bearer
    const [owner, isLoggedOut] = await Promise.all([
      this.#options.accessTokens.findById(tokenId),
      this.#isEnded(sessionKey, tokenId),
    ])
    if (owner === null) return null
    const tokenEndsAtMs = owner.token.expiresAtMs ?? endsAtMs
    const expiresAtMs = Math.min(endsAtMs, tokenEndsAtMs)
    return { ...owner, token: { ...owner.token, expiresAtMs, isLoggedOut }, bearer }
  }

  async #ownerOfIdentity(bearer: IdentityBearer): Promise<BearerOwner | null> {
    const { issuer, sessionKey, issuedAtMs, endsAtMs } = bearer
    const id = identityIdOf(bearer)
    const [member, isLoggedOut] = await Promise.all([
      this.#members.find(id, () => this.#options.identities.findMember(bearer)),
      this.#isEnded(sessionKey, id),
    ])
    if (member === null) return null
    const token = {
      id,
      userId: member.userId,
      name: `signed in at ${issuer}`,
      prefix: 'eyJ',
      scope: null,
      createdAtMs: issuedAtMs,
      expiresAtMs: endsAtMs,
      revokedAtMs: null,
      lastUsedAtMs: null,
      isLoggedOut,
    } as const
    return { token, member, bearer }
  }

  async #isEnded(key: string, tokenId: string): Promise<boolean> {
    const { endedSessions } = this.#options
    const load = async () => ({ tokenId, isEnded: await endedSessions.isEnded(key) })
    return (await this.#ended.find(key, load)).isEnded
  }

  #onChange(change: Change): void {
    if (change.kind === 'reread-all') this.#forgetAll()
    else if (change.kind === 'token') {
      this.#ended.forgetWhere(({ tokenId }) => tokenId === change.id)
    } else if (change.kind === 'member') {
      // Whom an identity has become is told by the member that it was linked to.
      this.#members.forgetWhere((member) => member === null || member.userId === change.userId)
    }
  }

  /** Signatures stay what they are; what the metadata say may have changed. */
  #forgetAll(): void {
    this.#members.forgetAll()
    this.#ended.forgetAll()
  }
}
