// Addresses of peers: one spelling for each, the source that limits count by, and lists of networks.
// IPv4 in IPv6 clothes is IPv4 everywhere. Knows nothing of tenants, and resolves no names.
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'

type Address = ipaddr.IPv4 | ipaddr.IPv6
/** With what is asked of it at each login. */
interface KnownAddress {
  readonly address: Address
  readonly text: string
  /** See sourceKey. */
  readonly source: string
}
type Network = readonly [address: Address, prefixBits: number]

/** A login asks five times about one address, and of the same few networks as every other login. */
const addresses = new LRUCache<string, KnownAddress>({ max: 1000 })
const networks = new LRUCache<string, Network>({ max: 1000 })

/** The one spelling of an address, without zone id; null for what is none. */
export function normalizeAddress(text: string): string | null {
  return parseAddress(text)?.text ?? null
}

/**
 * What limits and throttles count by: the IPv4 address, or the IPv6 /64, which is what one
 * subscriber has. Everything that is no address counts as one source.
 */
export function sourceKey(text: string): string {
  return parseAddress(text)?.source ?? 'unknown'
}

function sourceOf(address: Address): string {
  if (address.kind() === 'ipv4') return address.toString()
  const prefix = address.toByteArray().fill(0, 8)
  return `${ipaddr.fromByteArray(prefix).toString()}/64`
}

/** The one spelling of a network, an address alone being a network of one; null for what is none. */
export function normalizeNetwork(text: string): string | null {
  const network = parseNetwork(text)
  return network === null ? null : `${network[0].toString()}/${network[1]}`
}

/** True when one of the networks holds the address. What is no network holds nothing. */
export function isAllowed(allowed: readonly string[], text: string): boolean {
  const address = parseAddress(text)?.address ?? null
  if (address === null) return false
  return allowed.some((one) => {
    const network = parseNetwork(one)
    return network !== null && holds(network, address)
  })
}

export function isLoopback(text: string): boolean {
  return parseAddress(text)?.address.range() === 'loopback'
}

function holds([start, prefixBits]: Network, address: Address): boolean {
  return start.kind() === address.kind() && address.match(start, prefixBits)
}

/** node:net decides what is an address: ipaddr.js alone would also take `127.1` and `0x7f000001`. */
function parseAddress(text: string): KnownAddress | null {
  const known = addresses.get(text)
  if (known !== undefined) return known
  const zoneAt = text.indexOf('%')
  const bare = zoneAt === -1 ? text : text.slice(0, zoneAt)
  if (isIP(bare) === 0) return null
  const address = ipaddr.process(bare)
  const made = { address, text: address.toString(), source: sourceOf(address) }
  if (zoneAt === -1) addresses.set(text, made)
  return made
}

/** Bits behind the prefix are dropped, as Postgres' `inet` does for a network. */
function parseNetwork(text: string): Network | null {
  const known = networks.get(text)
  if (known !== undefined) return known
  const [bare = '', bits, ...more] = text.split('/')
  const family = isIP(bare)
  if (family === 0 || bare.includes('%') || more.length > 0) return null
  const widthBits = family === 4 ? 32 : 128
  if (bits !== undefined && !/^(0|[1-9]\d{0,2})$/.test(bits)) return null
  const prefixBits = bits === undefined ? widthBits : Number(bits)
  if (prefixBits > widthBits) return null
  const network = cutToPrefix(ipaddr.parse(bare), prefixBits)
  networks.set(text, network)
  return network
}

function cutToPrefix(address: Address, prefixBits: number): Network {
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && prefixBits >= 96) {
    return cutToPrefix(address.toIPv4Address(), prefixBits - 96)
  }
  const bytes = address.toByteArray().map((byte, index) => {
    const keptBits = Math.min(8, Math.max(0, prefixBits - 8 * index))
    return byte & (0xff00 >> keptBits)
  })
  return [ipaddr.fromByteArray(bytes), prefixBits]
}
