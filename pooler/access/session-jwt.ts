// Session JWTs of our own: a personal access token, for a few minutes, in a form that others can
// verify. It names its token and carries none of its rights: those are looked up at each use.
import { randomUUID } from 'node:crypto'
import { type CryptoKey, compactVerify, SignJWT } from 'jose'
import type { Clock } from '../../shared/clock.ts'
import { Secret } from '../../shared/secret.ts'
import type { TokenOwner } from '../store/tokens.ts'
import { type SessionBearer, sessionKeyOf, type TokenHash } from './bearer.ts'
import { hasBegun, type UncheckedJwt } from './jwt-claims.ts'
import { type SessionKeys, sessionAlgorithm } from './session-keys.ts'

/** `iss` and `aud` of ours. No URL, so no identity provider's. */
export const sessionIssuer = 'latchkey'

/** Tells it from any other JWT that a key of ours may ever sign (RFC 8725 section 3.11). */
const sessionType = 'latchkey-session+jwt'

export interface IssuedSession {
  readonly token: Secret<string>
  readonly sessionId: string
  readonly endsAtMs: number
}

export class SessionJwts {
  readonly #keys: Pick<SessionKeys, 'signingKey' | 'verifyingKey'>
  readonly #clock: Clock

  constructor(keys: Pick<SessionKeys, 'signingKey' | 'verifyingKey'>, clock: Clock) {
    this.#keys = keys
    this.#clock = clock
  }

  /** Ends with its token at the latest. */
  async issue({ token, member }: TokenOwner, ttlSeconds: number): Promise<IssuedSession> {
    const issuedAt = Math.floor(this.#clock.wallMs() / 1000)
    const tokenEndsAt = Math.floor((token.expiresAtMs ?? Number.POSITIVE_INFINITY) / 1000)
    const endsAt = Math.min(issuedAt + ttlSeconds, tokenEndsAt)
    const sessionId = randomUUID()
    const { kid, key } = await this.#keys.signingKey()
    const claims = { role: 'authenticated', session_id: sessionId, token_id: token.id }
    const text = await new SignJWT(claims)
      .setProtectedHeader({ alg: sessionAlgorithm, kid, typ: sessionType })
      .setIssuer(sessionIssuer)
      .setAudience(sessionIssuer)
      .setSubject(member.userId)
      .setJti(sessionId)
      .setIssuedAt(issuedAt)
      .setExpirationTime(endsAt)
      .sign(key)
    return { token: new Secret(text), sessionId, endsAtMs: endsAt * 1000 }
  }

  /** null: not signed by us, or not as a session. Its end is not looked at. */
  async read(text: string, hash: TokenHash, jwt: UncheckedJwt): Promise<SessionBearer | null> {
    const { header, claims } = jwt
    const { token_id: tokenId, session_id: sessionId } = claims.all
    const isOurs =
      header.alg === sessionAlgorithm &&
      claims.issuer === sessionIssuer &&
      claims.audiences.includes(sessionIssuer) &&
      typeof tokenId === 'string' &&
      typeof sessionId === 'string' &&
      hasBegun(claims, this.#clock.wallMs())
    const key = isOurs && header.kid !== null ? await this.#keys.verifyingKey(header.kid) : null
    if (!isOurs || key === null || !(await isSignedBy(text, key))) return null
    const sessionKey = sessionKeyOf(sessionIssuer, 'session_id', sessionId)
    return { kind: 'session', hash, tokenId, sessionKey, endsAtMs: claims.endsAtMs }
  }
}

async function isSignedBy(text: string, key: CryptoKey): Promise<boolean> {
  try {
    const { protectedHeader } = await compactVerify(text, key, { algorithms: [sessionAlgorithm] })
    return protectedHeader.typ === sessionType
  } catch {
    return false
  }
}
