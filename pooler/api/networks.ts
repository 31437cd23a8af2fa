// Reads lists of networks from a body: each checked, normalised, none twice.
import { normalizeNetwork } from '../accept/address-filter.ts'
import { networkFault } from '../access/rule-networks.ts'
import { badRequest } from './api-error.ts'

/** Normalised CIDRs in the given order. `where` names the list in the message of a refusal (400). */
export function readNetworks(
  cidrs: readonly string[],
  family: 'v4' | 'v6',
  where: string,
): readonly string[] {
  const seen = new Set<string>()
  for (const [index, text] of cidrs.entries()) {
    const fault = networkFault(text, family)
    if (fault !== null) throw badRequest(`${where}.${index}: ${fault}`)
    const cidr = normalizeNetwork(text) ?? text
    if (seen.has(cidr)) throw badRequest(`${where}.${index}: ${cidr} is in the list twice`)
    seen.add(cidr)
  }
  return [...seen]
}
