// Guards /api and /metrics with an HS256 JWT. What is inside beyond `exp` and `nbf` means nothing:
// whoever holds the secret may do all that lies behind it.
import { jwtVerify } from 'jose'
import type { Secret } from '../../shared/secret.ts'

export interface JwtSecrets {
  readonly current: Secret<string>
  /** Accepted as well while the secret is rotated. */
  readonly previous: Secret<string> | null
}

/** A token of more bytes is none of ours. */
const tokenBytesMax = 8_192

export async function isSignedByUs(
  authorization: string | undefined,
  secrets: JwtSecrets,
  nowMs: number,
): Promise<boolean> {
  const token = bearerOf(authorization)
  if (token === null || token.length > tokenBytesMax) return false
  if (await verifies(token, secrets.current, nowMs)) return true
  return secrets.previous !== null && (await verifies(token, secrets.previous, nowMs))
}

/** The text behind `Bearer`; null where there is none. The scheme's case means nothing (RFC 7235). */
export function bearerOf(authorization: string | undefined): string | null {
  const match = /^bearer +([^\s]+) *$/i.exec(authorization ?? '')
  return match === null ? null : match[1]!
}

async function verifies(token: string, secret: Secret<string>, nowMs: number): Promise<boolean> {
  try {
    const key = new TextEncoder().encode(secret.reveal())
    await jwtVerify(token, key, { algorithms: ['HS256'], currentDate: new Date(nowMs) })
    return true
  } catch {
    // Malformed, another algorithm, wrong signature, too late or too early: all the same answer.
    return false
  }
}
