// From a tenant's host name to addresses that may be connected to. Names are asked of the name
// servers by c-ares, so that one tenant's dead name server occupies no thread that others need.
import { lookup as lookUpInThreadPool, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'
import { type Clock, systemClock } from '../../shared/clock.ts'
import type { IpVersion } from '../tenant/tenant.ts'
import type { UpstreamGuard } from './upstream-guard.ts'

export interface RecordWithTtl {
  readonly address: string
  readonly ttl: number
}

/** The name servers. `lookup` also reads /etc/hosts and search domains, in a shared thread. */
export interface NameService {
  resolve4(host: string): Promise<readonly RecordWithTtl[]>
  resolve6(host: string): Promise<readonly RecordWithTtl[]>
  lookup(host: string, family: 4 | 6): Promise<readonly string[]>
}

/** No address came of it. `isPermanent`: the host can only ever name what must not be connected to. */
export class UpstreamAddressError extends Error {
  override readonly name = 'UpstreamAddressError'
  readonly isPermanent: boolean

  constructor(message: string, isPermanent: boolean, cause?: unknown) {
    super(message, { cause })
    this.isPermanent = isPermanent
  }
}

interface Resolved {
  readonly addresses: readonly string[]
  readonly ttlMs: number
}

/** Names held: one per tenant's upstream, with room; an entry is small. */
const namesMax = 10_000
/** Names being asked for at once; every one holds a socket or a place in a queue. */
const askingMax = 1000
/** getaddrinfo blocks its thread while a name server is silent: most threads stay free of it. */
const lookupsAtOnceMax = 2
/** More addresses than this are not tried: each costs a full connect time. */
const addressesMax = 8
const ttlMsMin = 1000
/** A record may say a week; a move of the database must be seen sooner. */
const ttlMsMax = 60_000
const lookupTtlMs = 5000

export class UpstreamAddresses {
  readonly #names: NameService
  readonly #clock: Clock
  readonly #guard: Pick<UpstreamGuard, 'faultOf'> | null
  readonly #known = new LRUCache<string, { addresses: readonly string[]; untilMs: number }>({
    max: namesMax,
  })
  readonly #asking = new Map<string, Promise<readonly string[]>>()
  readonly #lookupsWaiting: (() => void)[] = []
  #lookups = 0

  constructor(
    options: {
      names?: NameService
      clock?: Clock
      guard?: Pick<UpstreamGuard, 'faultOf'>
    } = {},
  ) {
    this.#names = options.names ?? systemNames
    this.#clock = options.clock ?? systemClock
    this.#guard = options.guard ?? null
  }

  /** Addresses to try on that port in this order, at least one. Throws UpstreamAddressError. */
  async resolve(host: string, ipVersion: IpVersion, port: number): Promise<readonly string[]> {
    const addresses = await this.#resolve(host, ipVersion)
    const faults = addresses.map((address) => this.#guard?.faultOf(address, port) ?? null)
    const allowed = addresses.filter((_address, index) => faults[index] === null)
    if (allowed.length > 0) return allowed
    throw new UpstreamAddressError(faults[0] ?? 'host is at no address', true)
  }

  async #resolve(host: string, ipVersion: IpVersion): Promise<readonly string[]> {
    const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
    if (isIP(bare) !== 0) return usable([bare])
    const key = `${ipVersion} ${bare}`
    const known = this.#known.get(key)
    if (known !== undefined && this.#clock.monotonicMs() < known.untilMs) return known.addresses
    const asking = this.#asking.get(key)
    if (asking !== undefined) return asking
    if (this.#asking.size >= askingMax) {
      throw new UpstreamAddressError('too many host names are being resolved', false)
    }
    const asked = this.#ask(key, bare, ipVersion)
    this.#asking.set(key, asked)
    return asked
  }

  async #ask(key: string, host: string, ipVersion: IpVersion): Promise<readonly string[]> {
    try {
      const { addresses, ttlMs } = await this.#askFamilies(host, ipVersion)
      const usableOnes = usable(addresses)
      this.#known.set(key, {
        addresses: usableOnes,
        untilMs: this.#clock.monotonicMs() + Math.min(Math.max(ttlMs, ttlMsMin), ttlMsMax),
      })
      return usableOnes
    } finally {
      this.#asking.delete(key)
    }
  }

  /** `auto` takes IPv6 only where there is no IPv4: many networks route the one and not the other. */
  async #askFamilies(host: string, ipVersion: IpVersion): Promise<Resolved> {
    if (ipVersion === 'v4') return this.#askFamily(host, 4)
    if (ipVersion === 'v6') return this.#askFamily(host, 6)
    try {
      return await this.#askFamily(host, 4)
    } catch (cause4) {
      return await this.#askFamily(host, 6).catch(() => {
        throw cause4
      })
    }
  }

  async #askFamily(host: string, family: 4 | 6): Promise<Resolved> {
    // RFC 6761 section 6.3: never asked of a name server, which might answer what it likes.
    if (host === 'localhost' || host.endsWith('.localhost')) {
      return { addresses: [family === 4 ? '127.0.0.1' : '::1'], ttlMs: ttlMsMax }
    }
    try {
      const records = await (family === 4 ? this.#names.resolve4(host) : this.#names.resolve6(host))
      if (records.length === 0) throw withCode('ENODATA')
      const ttls = records.map(({ ttl }) => ttl)
      return { addresses: records.map((one) => one.address), ttlMs: Math.min(...ttls) * 1000 }
    } catch (cause) {
      const code = codeOf(cause)
      // Names of /etc/hosts and of search domains are unknown to c-ares' plain query. A name server
      // that keeps silent is no reason to look there: that would occupy the thread.
      if (code !== 'ENOTFOUND' && code !== 'ENODATA' && code !== 'ECONNREFUSED') {
        throw new UpstreamAddressError(`host name was not resolved (${code})`, false, cause)
      }
      return await this.#lookUp(host, family)
    }
  }

  async #lookUp(host: string, family: 4 | 6): Promise<Resolved> {
    // Bounded with all names being asked for; a caller gives up by its own time limit.
    while (this.#lookups >= lookupsAtOnceMax) {
      await new Promise<void>((resolve) => this.#lookupsWaiting.push(resolve))
    }
    this.#lookups++
    try {
      const addresses = await this.#names.lookup(host, family)
      if (addresses.length === 0) throw withCode('ENOTFOUND')
      return { addresses, ttlMs: lookupTtlMs }
    } catch (cause) {
      throw new UpstreamAddressError(`host name was not found (${codeOf(cause)})`, false, cause)
    } finally {
      this.#lookups--
      this.#lookupsWaiting.shift()?.()
    }
  }
}

/**
 * Link-local addresses serve the machine's own metadata, which a tenant's row must never reach, in
 * whatever clothes they come; unspecified, multicast and broadcast ones name no database.
 */
function usable(addresses: readonly string[]): readonly string[] {
  const usableOnes = addresses.filter(isUsable).slice(0, addressesMax)
  if (usableOnes.length > 0) return usableOnes
  throw new UpstreamAddressError('host is at an address that is never connected to', true)
}

const forbiddenRanges = new Set(['linkLocal', 'unspecified', 'multicast', 'broadcast'])

function isUsable(text: string): boolean {
  const address = isIP(text) === 0 ? null : unwrap(ipaddr.parse(text))
  return address !== null && !forbiddenRanges.has(address.range())
}

/** The IPv4 address inside an IPv4-mapped, NAT64 (RFC 6052) or 6to4 (RFC 3056) one. */
function unwrap(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  if (address.kind() === 'ipv4') return address
  const bytes = address.toByteArray()
  const inner = { ipv4Mapped: 12, rfc6145: 12, rfc6052: 12, '6to4': 2 } as Record<string, number>
  const at = inner[address.range()]
  return at === undefined ? address : ipaddr.fromByteArray(bytes.slice(at, at + 4))
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown'

const withCode = (code: string): Error => Object.assign(new Error(code), { code })

// Two tries of two seconds each: longer than a name server needs, shorter than anybody waits.
const resolver = new Resolver({ timeout: 2000, tries: 2 })

const systemNames: NameService = {
  resolve4: (host) => resolver.resolve4(host, { ttl: true }),
  resolve6: (host) => resolver.resolve6(host, { ttl: true }),
  lookup: async (host, family) =>
    (await lookUpInThreadPool(host, { family, all: true })).map(({ address }) => address),
}
