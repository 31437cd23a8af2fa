// Where a server was dialled. What concerns it later (cancels, probes, its end) goes there too, wherever
// its project is by then: elsewhere its process id may be another's.
import type { Tenant } from '../tenant/tenant.ts'

export interface ServerPlace {
  /** The one connected to, of those that the host's name had. */
  readonly address: string
  /** As the project had it then. */
  readonly upstream: Pick<Tenant, 'dbHost' | 'dbPort' | 'upstreamTls' | 'upstreamCa'>
}

export function placeOf(address: string, tenant: ServerPlace['upstream']): ServerPlace {
  const { dbHost, dbPort, upstreamTls, upstreamCa } = tenant
  return { address, upstream: { dbHost, dbPort, upstreamTls, upstreamCa } }
}

/**
 * How it is reached: while the project is there still, with the TLS that it has by now, since certificates and their
 * authority are renewed while servers stay connected.
 */
export function reachedFrom(now: Tenant, { upstream }: ServerPlace): Tenant {
  const isThere = now.dbHost === upstream.dbHost && now.dbPort === upstream.dbPort
  return isThere ? now : { ...now, ...upstream }
}

/** Servers with the same text are at the same place. */
export const placeText = ({ address, upstream }: ServerPlace): string =>
  `${address} ${upstream.dbPort}`
