// Which resolved addresses a project's database may have: not where this process listens itself, or a
// project could lead in a circle, and only networks that the operator allows where they name any.
// What no project may ever have is upstream-address.ts.
import { networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import { isAllowed, normalizeAddress } from '../accept/address-filter.ts'

export interface OwnListener {
  /** null: on all addresses of this machine. */
  readonly host: string | null
  readonly port: number
}

export interface UpstreamGuardOptions {
  /** Empty: any. */
  readonly allowedNetworks: readonly string[]
  /** Asked at each connection: with port 0 it is only known once the port is open. */
  readonly ownListeners: () => readonly OwnListener[]
  readonly ownAddresses?: () => readonly string[]
}

export class UpstreamGuard {
  readonly #options: UpstreamGuardOptions

  constructor(options: UpstreamGuardOptions) {
    this.#options = options
  }

  /** Why nothing connects there, in words for whoever set the address; null: it may be connected to. */
  faultOf(text: string, port: number): string | null {
    const address = normalizeAddress(text)
    if (address === null) return 'host is at no address'
    const { allowedNetworks, ownListeners } = this.#options
    const own = ownListeners().filter((listener) => listener.port === port)
    if (own.some(({ host }) => this.#isReachedAt(host, address))) {
      return 'host is an address that this pooler listens on itself'
    }
    if (allowedNetworks.length === 0 || isAllowed(allowedNetworks, address)) return null
    return 'host is outside of UPSTREAM_ALLOWED_NETWORKS'
  }

  #isReachedAt(host: string | null, address: string): boolean {
    const listening = host === null ? null : normalizeAddress(host)
    if (listening !== null && !anyAddress.has(listening)) return listening === address
    const { ownAddresses = addressesOfMachine } = this.#options
    const isLoopback = ipaddr.process(address).range() === 'loopback'
    return isLoopback || ownAddresses().includes(address)
  }
}

const anyAddress = new Set(['0.0.0.0', '::'])

function addressesOfMachine(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).flatMap(({ address }) => normalizeAddress(address) ?? []),
  )
}
