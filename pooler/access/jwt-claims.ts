// What a JWT says, read as an attacker would have written it. Whether it was signed by somebody is
// not known here.
import { decodeJwt, decodeProtectedHeader } from 'jose'

export interface JwtHeader {
  readonly alg: string
  /** null: it names no key. */
  readonly kid: string | null
}

export interface JwtClaims {
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly subject: string
  readonly endsAtMs: number
  readonly startsAtMs: number | null
  readonly issuedAtMs: number | null
  /** Everything, for claims that are one issuer's own. */
  readonly all: Readonly<Record<string, unknown>>
}

export interface UncheckedJwt {
  readonly header: JwtHeader
  readonly claims: JwtClaims
}

/** Clocks of two machines differ by less. It lengthens no access: an end is an end. */
const leewayMs = 30_000
const kidCharactersMax = 256
const subjectCharactersMax = 255
const audiencesMax = 50
/** The last instant that a Date can hold. */
const lastMs = 8.64e15

/** null: not even the form is right, or a claim is missing that every one of ours needs. */
export function readJwt(text: string): UncheckedJwt | null {
  try {
    const { alg, kid, crit } = decodeProtectedHeader(text)
    if (typeof alg !== 'string' || crit !== undefined) return null
    const claims = claimsOf(decodeJwt(text))
    const hasKid = typeof kid === 'string' && kid.length <= kidCharactersMax
    if (claims === null || !(hasKid || kid === undefined)) return null
    return { header: { alg, kid: hasKid ? kid : null }, claims }
  } catch {
    return null
  }
}

/** Neither from the future nor made for it. Its end is not looked at: that is the decision's. */
export function hasBegun({ startsAtMs, issuedAtMs }: JwtClaims, nowMs: number): boolean {
  return Math.max(startsAtMs ?? 0, issuedAtMs ?? 0) <= nowMs + leewayMs
}

function claimsOf(all: Record<string, unknown>): JwtClaims | null {
  const { iss, sub, aud } = all
  const audiences = typeof aud === 'string' ? [aud] : aud
  if (typeof iss !== 'string' || typeof sub !== 'string' || !isTexts(audiences)) return null
  if (sub.length === 0 || sub.length > subjectCharactersMax) return null
  const endsAtMs = timeOf(all.exp)
  const startsAtMs = timeOf(all.nbf)
  const issuedAtMs = timeOf(all.iat)
  if (typeof endsAtMs !== 'number' || startsAtMs === 'odd' || issuedAtMs === 'odd') return null
  return { issuer: iss, audiences, subject: sub, endsAtMs, startsAtMs, issuedAtMs, all }
}

/** NumericDate (RFC 7519 section 2), which may have a fraction. */
function timeOf(value: unknown): number | null | 'odd' {
  if (value === undefined) return null
  if (typeof value !== 'number' || !(value >= 0 && value * 1000 <= lastMs)) return 'odd'
  return Math.floor(value * 1000)
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) &&
  value.length <= audiencesMax &&
  value.every((one) => typeof one === 'string')
