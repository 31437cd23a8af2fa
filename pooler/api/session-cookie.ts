// The cookie of the dashboard. Its name binds it to this host and to TLS (`__Host-`, RFC 6265bis
// section 4.1.3.2); on this machine, without TLS, browsers would not take such a name.
import type { FastifyRequest } from 'fastify'
import { Secret } from '../../shared/secret.ts'

const secureName = '__Host-latchkey'
const plainName = 'latchkey'

type CookieRequest = Pick<FastifyRequest, 'headers'>

/** A random id of 32 bytes in base64url; anything else is nobody's. */
const idPattern = /^[\w-]{43}$/

const nameFor = (origin: URL): string => (origin.protocol === 'https:' ? secureName : plainName)

/** null: the request has none. */
export function cookieOf(request: CookieRequest, origin: URL): Secret<string> | null {
  const value = cookieValueOf(request, nameFor(origin))
  return value !== null && idPattern.test(value) ? new Secret(value) : null
}

/** The first of that name; null: there is none. */
export function cookieValueOf({ headers }: CookieRequest, name: string): string | null {
  for (const pair of (headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (at >= 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return null
}

/** Cheap, and before anything else is looked at. */
export const hasCookie = ({ headers }: CookieRequest): boolean =>
  /(^|;)\s*(__Host-)?latchkey=/.test(headers.cookie ?? '')

/** For the Set-Cookie header; without an id it takes the cookie away. */
export function cookieHeader(origin: URL, id: Secret<string> | null): string {
  const isSecure = origin.protocol === 'https:'
  const value = id === null ? '; Max-Age=0' : ''
  const flags = `Path=/; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}${value}`
  return `${nameFor(origin)}=${id?.reveal() ?? ''}; ${flags}`
}
