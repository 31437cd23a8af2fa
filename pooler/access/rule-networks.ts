// The networks of a rule: which texts may stand in one, and whether an address is in them. An
// address of IPv4 in IPv6 clothes is IPv4.
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { isAllowed, normalizeAddress } from '../accept/address-filter.ts'

export interface RuleNetworks {
  readonly networksV4: readonly string[]
  readonly networksV6: readonly string[]
}

/** Both lists empty: any address. An address of a family that has no list is refused. */
export function areNetworksOpenTo(
  { networksV4, networksV6 }: RuleNetworks,
  address: string,
): boolean {
  if (networksV4.length === 0 && networksV6.length === 0) return true
  const normal = normalizeAddress(address)
  if (normal === null) return false
  return isAllowed(isIP(normal) === 4 ? networksV4 : networksV6, normal)
}

/** Why the text may not stand in a list of that family, for the person who wrote it; null: it may. */
export function networkFault(text: string, family: 'v4' | 'v6'): string | null {
  const [address = '', bits, ...more] = text.split('/')
  const width = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0
  if (width === 0 || bits === undefined || more.length > 0 || address.includes('%')) {
    return `${JSON.stringify(text)} is no CIDR; write an address and a prefix, like ${examples[family]}`
  }
  if ((width === 32 ? 'v4' : 'v6') !== family) {
    return `${text} is IP${width === 32 ? 'v4' : 'v6'}; this list takes IP${family}`
  }
  if (!/^(0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > width) {
    return `the prefix of ${text} is not a number from 0 to ${width}`
  }
  const parsed = ipaddr.parse(address)
  if (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress()) {
    return `${text} is IPv4; write it in the IPv4 list`
  }
  return hasHostBits(parsed.toByteArray(), Number(bits))
    ? `${text} has bits set behind its prefix`
    : null
}

/** What the lists refuse without saying so. */
export function networkWarnings({ networksV4, networksV6 }: RuleNetworks): string[] {
  if (networksV4.length > 0 && networksV6.length === 0) {
    return ['only IPv4 networks are listed: every IPv6 address is refused']
  }
  if (networksV6.length > 0 && networksV4.length === 0) {
    return ['only IPv6 networks are listed: every IPv4 address is refused']
  }
  return []
}

const examples = { v4: '203.0.113.0/24', v6: '2001:db8::/32' }

const hasHostBits = (bytes: readonly number[], prefixBits: number) =>
  bytes.some(
    (byte, index) => (byte & (0xff >> Math.min(8, Math.max(0, prefixBits - index * 8)))) !== 0,
  )
