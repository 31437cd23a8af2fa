// Where a project's database is said to be, before anything connects there. What is checked here is
// told early; what is dialled is checked again, address by address.
import ipaddr from 'ipaddr.js'
import type { ApiDeps, UpstreamPlace } from './api-deps.ts'
import { badRequest } from './api-error.ts'

/** Names are checked when they are resolved; an address that can never be dialled is told at once. */
export function hostFault(host: string): string | null {
  if (!/^[a-z0-9._:-]+$/i.test(host)) return 'is neither a host name nor an address'
  const isLinkLocal = ipaddr.isValid(host) && ipaddr.process(host).range() === 'linkLocal'
  return isLinkLocal ? 'is a link-local address' : null
}

/** Throws 400 for a place that nothing will ever connect to. */
export async function checkUpstream(
  deps: Pick<ApiDeps, 'upstreamFault'>,
  place: UpstreamPlace,
): Promise<void> {
  const fault = hostFault(place.host)
  if (fault !== null) throw badRequest(`db_host: ${place.host} ${fault}`)
  const found = await deps.upstreamFault(place)
  if (found !== null) throw badRequest(`db_host: ${place.host} port ${place.port}: ${found}`)
}
