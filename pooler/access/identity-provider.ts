// JWTs of the identity provider (AUTH_JWKS_URL, AUTH_ISSUER, AUTH_AUDIENCE): whom they name, if they
// are what they seem. Which member that is, and whether it is over by now, is decided elsewhere.
import { compactVerify } from 'jose'
import type { Clock } from '../../shared/clock.ts'
import { type IdentityBearer, sessionKeyOf, type TokenHash } from './bearer.ts'
import { hasBegun, type JwtClaims, type UncheckedJwt } from './jwt-claims.ts'
import type { ProviderKey, ProviderKeys } from './provider-keys.ts'

export interface IdentityProviderOptions {
  readonly issuer: string
  readonly audience: string
  readonly keys: Pick<ProviderKeys, 'find'>
  readonly clock: Clock
}

export class IdentityProvider {
  readonly #options: IdentityProviderOptions

  constructor(options: IdentityProviderOptions) {
    this.#options = options
  }

  get issuer(): string {
    return this.#options.issuer
  }

  /** null: not for us. Rejects when the provider's keys cannot be had. */
  async read(text: string, hash: TokenHash, jwt: UncheckedJwt): Promise<IdentityBearer | null> {
    const { header, claims } = jwt
    const { issuer, audience, clock, keys } = this.#options
    // What costs nothing comes first: keys are fetched for nobody's words but this issuer's.
    const isMeant = claims.issuer === issuer && claims.audiences.includes(audience)
    if (!isMeant || !isPerson(claims) || !hasBegun(claims, clock.wallMs())) return null
    const key = isKnownAlgorithm(header.alg) ? await keys.find(header.kid) : null
    // The key says which algorithm; the header may only agree.
    if (key === null || key.alg !== header.alg || !(await isSignedBy(text, key))) return null
    return {
      kind: 'identity',
      hash,
      issuer,
      subject: claims.subject,
      email: typeof claims.all.email === 'string' ? claims.all.email : null,
      sessionKey: sessionKey(claims, text),
      issuedAtMs: claims.issuedAtMs ?? clock.wallMs(),
      endsAtMs: claims.endsAtMs,
    }
  }
}

const isKnownAlgorithm = (alg: string): boolean =>
  alg === 'RS256' || alg === 'ES256' || alg === 'EdDSA'

/** Providers sign for services and for visitors too. */
function isPerson({ all }: JwtClaims): boolean {
  const isAnonymous = all.is_anonymous !== undefined && all.is_anonymous !== false
  return !isAnonymous && (all.role === undefined || all.role === 'authenticated')
}

function sessionKey({ issuer, all }: JwtClaims, text: string): string {
  for (const name of ['session_id', 'jti']) {
    const id = all[name]
    if (typeof id === 'string' && id !== '') return sessionKeyOf(issuer, name, id)
  }
  // What is signed, without the signature: that can be written in several ways and stay good.
  return sessionKeyOf(issuer, 'signed', text.slice(0, text.lastIndexOf('.')))
}

async function isSignedBy(text: string, { key, alg }: ProviderKey): Promise<boolean> {
  try {
    await compactVerify(text, key, { algorithms: [alg] })
    return true
  } catch {
    return false
  }
}
