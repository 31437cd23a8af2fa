// What a scoped token is narrowed to. It never adds a right: its owner's own rights are asked beside
// it at every use. Pure.
import { isIP } from 'node:net'
import { normalizeAddress } from '../accept/address-filter.ts'
import type { Permission } from './permissions.ts'
import { areNetworksOpenTo } from './rule-networks.ts'

export interface TokenScope {
  readonly permissions: readonly Permission[]
  /** Refs; that of a parent stands for its branches too, future ones included. null: all of the owner's. */
  readonly projects: readonly string[] | null
  /** Postgres roles that it may log in as; null: all that the owner's rules give. */
  readonly roles: readonly string[] | null
  /** CIDRs of both families that it may log in from; null: any address. */
  readonly networks: readonly string[] | null
}

export type ScopeFault = 'scope_permission' | 'scope_project' | 'scope_role' | 'scope_network'

/** A classic token has no scope: null. */
export function coversPermission(scope: TokenScope | null, permission: Permission): boolean {
  return scope === null || scope.permissions.includes(permission)
}

export function coversProject(
  scope: TokenScope | null,
  { ref, parentRef }: { readonly ref: string; readonly parentRef: string | null },
): boolean {
  if (scope === null || scope.projects === null) return true
  return scope.projects.includes(ref) || (parentRef !== null && scope.projects.includes(parentRef))
}

/** What of the scope forbids a database login; null: nothing. */
export function loginScopeFault(
  scope: TokenScope | null,
  login: {
    readonly project: { readonly ref: string; readonly parentRef: string | null }
    readonly role: string
    readonly clientAddress: string
  },
): ScopeFault | null {
  if (scope === null) return null
  if (!coversPermission(scope, 'database_jit_read')) return 'scope_permission'
  if (!coversProject(scope, login.project)) return 'scope_project'
  if (scope.roles !== null && !scope.roles.includes(login.role)) return 'scope_role'
  return isOpenTo(scope.networks, login.clientAddress) ? null : 'scope_network'
}

/** A list that came to be empty opens nothing, where an empty one of a rule opens everything. */
function isOpenTo(networks: readonly string[] | null, address: string): boolean {
  if (networks === null) return true
  if (networks.length === 0 || normalizeAddress(address) === null) return false
  const isV6 = (cidr: string) => isIP(cidr.split('/', 1)[0] ?? '') === 6
  return areNetworksOpenTo(
    {
      networksV4: networks.filter((cidr) => !isV6(cidr)),
      networksV6: networks.filter((cidr) => isV6(cidr)),
    },
    address,
  )
}
