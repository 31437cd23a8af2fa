// From the body of a new token to its end and its scope.
import { normalizeNetwork } from '../accept/address-filter.ts'
import { rulesRefOf } from '../access/decide-access.ts'
import { networkFault } from '../access/rule-networks.ts'
import type { TokenScope } from '../access/token-scope.ts'
import type { ApiDeps } from './api-deps.ts'
import { badRequest } from './api-error.ts'
import { endOfToken } from './expires-at.ts'
import type { TokenBody } from './schemas/people.ts'

/** Throws 400 naming the field. */
export async function readToken(
  deps: Pick<ApiDeps, 'tenants' | 'members' | 'clock'>,
  userId: string,
  body: TokenBody,
): Promise<{ name: string; expiresAtMs: number | null; scope: TokenScope | null }> {
  const expiresAtMs =
    typeof body.expires_at === 'number'
      ? endOfToken(body.expires_at, deps.clock.wallMs(), 'expires_at')
      : null
  const scope = readScope(body)
  if (scope?.projects != null) await refuseForeignProjects(deps, userId, scope.projects)
  return { name: body.name, expiresAtMs, scope }
}

/** null: a classic token, which is asked for by leaving all of the scope out. */
function readScope({ permissions, projects, roles, networks }: TokenBody): TokenScope | null {
  const given = [permissions, projects, roles, networks]
  if (given.every((list) => list == null)) return null
  if (permissions == null) {
    throw badRequest(
      'permissions: a scoped token names what it may do; for logins database_jit_read',
    )
  }
  return {
    permissions: [...new Set(permissions)],
    projects: projects == null ? null : [...new Set(projects)],
    roles: roles == null ? null : [...new Set(roles)],
    networks: networks == null ? null : networks.map(readNetwork),
  }
}

function readNetwork(text: string, index: number): string {
  const fault = networkFault(text, text.includes(':') ? 'v6' : 'v4')
  if (fault !== null) throw badRequest(`networks.${index}: ${fault}`)
  return normalizeNetwork(text) ?? text
}

/** A ref that is nobody's now could be somebody's later. */
async function refuseForeignProjects(
  deps: Pick<ApiDeps, 'tenants' | 'members'>,
  userId: string,
  refs: readonly string[],
): Promise<void> {
  const [tenants, memberships] = await Promise.all([
    deps.tenants.findByRefs(refs),
    deps.members.membershipsOf(userId),
  ])
  const own = new Set(memberships.map((membership) => membership.ref))
  const known = new Set(tenants.filter((one) => own.has(rulesRefOf(one))).map((one) => one.ref))
  const index = refs.findIndex((ref) => !known.has(ref))
  if (index < 0) return
  throw badRequest(`projects.${index}: the owner of the token is no member of ${refs[index]}`)
}
