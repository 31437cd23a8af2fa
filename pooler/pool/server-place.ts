// Where a server was dialled. What concerns it later (cancels, probes, its end) goes there too, wherever
// its project is by then: elsewhere its process id may be another's.
import type { ScramSecret } from '../../shared/crypto/scram-client.ts'
import type { Tenant } from '../tenant/tenant.ts'

export interface ServerPlace {
  /** The one connected to, of those that the host's name had. */
  readonly address: string
  /** As the project had it then. */
  readonly upstream: Pick<Tenant, 'dbHost' | 'dbPort' | 'upstreamTls' | 'upstreamCa'>
  /** Its login's. A password that the project has elsewhere is not for this place; null: it asked for none. */
  readonly credentials: ScramSecret | null
}

export function placeOf(
  address: string,
  tenant: ServerPlace['upstream'],
  credentials: ScramSecret | null,
): ServerPlace {
  const { dbHost, dbPort, upstreamTls, upstreamCa } = tenant
  return { address, upstream: { dbHost, dbPort, upstreamTls, upstreamCa }, credentials }
}

/** The project has not moved since. */
export const isStillAt = (
  { upstream }: ServerPlace,
  now: Pick<Tenant, 'dbHost' | 'dbPort'>,
): boolean => now.dbHost === upstream.dbHost && now.dbPort === upstream.dbPort

/** At two places that projects have, as far as their names tell. */
export const areApart = (one: ServerPlace | undefined, other: ServerPlace): boolean =>
  one !== undefined && !isStillAt(one, other.upstream)

/**
 * How it is reached: while the project is there still, with the TLS that it has by now, since certificates and their
 * authority are renewed while servers stay connected.
 */
export const reachedFrom = (now: Tenant, place: ServerPlace): Tenant =>
  isStillAt(place, now) ? now : { ...now, ...place.upstream }

/** Servers with the same text are at the same place. */
export const placeText = ({ address, upstream }: ServerPlace): string =>
  `${address} ${upstream.dbPort}`
