// Whether a browser's request comes from our own page. A cookie is sent by whatever page makes the
// browser ask, so with a cookie the page must be ours, and the name that it used for us too: a name of
// somebody else's that was made to lead here (DNS rebinding) is none.
import { hostname } from 'node:os'
import type { FastifyRequest } from 'fastify'
import { isLoopback, normalizeAddress } from '../accept/address-filter.ts'
import type { ApiSettings } from './api-deps.ts'
import { ApiError, badRequest } from './api-error.ts'

type OwnPlace = Pick<ApiSettings, 'publicUrl' | 'tls'>
type Asked = Pick<FastifyRequest, 'protocol' | 'host' | 'hostname' | 'headers' | 'method'>

const safeMethods: readonly string[] = ['GET', 'HEAD']

/**
 * The origin of our page as this request has it. Throws 421 for a name that is not ours: ours are
 * API_PUBLIC_URL's, those of our certificate, and what no name server can turn: addresses, localhost.
 */
export function ownOriginOf(request: Asked, { publicUrl, tls }: OwnPlace): URL {
  const publicOrigin = publicUrl === null ? null : new URL(publicUrl)
  if (publicOrigin !== null && request.host.toLowerCase() === publicOrigin.host) return publicOrigin
  const name = bareName(request.hostname)
  const isFixed = isLocalName(name) || normalizeAddress(name) !== null
  if (!isFixed && tls?.covers(name) !== true) throw notOurs('the dashboard is not served', name)
  return originOf(request)
}

/**
 * The origin for a link that somebody else gets than who asks for it, who must not choose where it leads:
 * API_PUBLIC_URL's, one of our certificate, or this machine. Throws 421 for others, addresses too.
 */
export function linkOriginOf(request: Asked, { publicUrl, tls }: OwnPlace): string {
  if (publicUrl !== null) return publicUrl
  const name = bareName(request.hostname)
  if (isLocalName(name) || tls?.covers(name) === true) return originOf(request).origin
  throw notOurs('no links are sent', name)
}

/** Whether a name was asked for that no foreign page can have led here; the bare ones of a machine are none. */
export function isOwnName(request: Asked, place: OwnPlace): boolean {
  const name = bareName(request.hostname)
  if (!name.includes('.') || name === hostname().toLowerCase()) return true
  try {
    ownOriginOf(request, place)
    return true
  } catch (error) {
    if (error instanceof ApiError) return false
    throw error
  }
}

function originOf({ protocol, host }: Asked): URL {
  const origin = URL.parse(`${protocol}://${host}`)
  if (origin === null) throw badRequest('Host: no host and port')
  return origin
}

const notOurs = (what: string, name: string): ApiError =>
  new ApiError(
    421,
    `${what} under the name ${name.slice(0, 100)}; set API_PUBLIC_URL to the address that people use`,
  )

/** Throws 421 or 403 where a request with a cookie was not made by our own page. */
export function refuseForeignPage(request: Asked, place: OwnPlace): URL {
  const own = ownOriginOf(request, place)
  if (safeMethods.includes(request.method)) return own
  if (request.headers.origin === own.origin) return own
  throw new ApiError(403, 'with a cookie, changes are taken from our own page only (Origin)')
}

/** Whether what is sent there stays between browser and us: TLS, or this machine. */
export function isPrivate(origin: URL): boolean {
  return origin.protocol === 'https:' || isLocalName(bareName(origin.hostname))
}

const bareName = (name: string): string => name.replace(/^\[|\]$/g, '').toLowerCase()

const isLocalName = (name: string): boolean =>
  name === 'localhost' || name.endsWith('.localhost') || isLoopback(name)
