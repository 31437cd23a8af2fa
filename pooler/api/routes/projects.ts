// Projects over all: those of the caller, their access to databases, and the making of a new one.
import type { z } from 'zod'
import { newProjectRef } from '../../../shared/ids.ts'
import { rulesRefOf, testAccess } from '../../access/decide-access.ts'
import { coversProject } from '../../access/token-scope.ts'
import type { Rule } from '../../store/rules.ts'
import type { TenantInput } from '../../store/tenant-input.ts'
import type { TenantDetails } from '../../store/tenant-rows.ts'
import { isBanned, type Tenant } from '../../tenant/tenant.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { ApiError, badRequest } from '../api-error.ts'
import { type Caller, callerOf, refuseUnlessOperator } from '../authorize.ts'
import { connectionStrings } from '../connection-strings.ts'
import { recordChange } from '../record-change.ts'
import { ruleAnswer } from '../rule-input.ts'
import { refusals } from '../schemas/common.ts'
import { projectListAnswer } from '../schemas/people.ts'
import {
  accessListAnswer,
  type ProjectBody,
  projectAnswer,
  projectBody,
} from '../schemas/projects.ts'
import { readTenant } from '../tenant-input.ts'
import { checkUpstream } from '../upstream-input.ts'

export function projectRoutes(app: ApiApp, deps: ApiDeps): void {
  listRoute(app, deps)
  createRoute(app, deps)
  ownAccessRoute(app, deps)
}

function listRoute(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/projects',
    { schema: { response: { 200: projectListAnswer, ...refusals } } },
    async (request) => {
      const { member, token } = callerOf(request)
      const memberships = await deps.members.membershipsOf(member.userId)
      const nowMs = deps.clock.wallMs()
      const projects = await Promise.all(
        memberships.map(async ({ ref, role }) => {
          const details = await deps.tenants.findDetails(ref)
          if (details === null || !coversProject(token.scope, details.tenant)) return []
          return { ...answerOf(details, nowMs), role }
        }),
      )
      return projects.flat()
    },
  )
}

function createRoute(app: ApiApp, deps: ApiDeps): void {
  app.post(
    '/projects',
    { schema: { body: projectBody, response: { 201: projectAnswer, ...refusals } } },
    async (request, reply) => {
      const caller = callerOf(request)
      refuseUnlessOperator(caller, 'projects')
      const { body } = request
      const input = readProject(body)
      await checkUpstream(deps, {
        host: body.db_host,
        port: body.db_port,
        ipVersion: body.ip_version ?? 'auto',
      })
      const ref = newProjectRef()
      await deps.tenants.put(ref, input)
      await giveTo(deps, ref, caller)
      const details = { fields: Object.keys(body), is_created: true }
      recordChange(deps, request, { action: 'tenant_put', details }, ref)
      const made = await deps.tenants.findDetails(ref)
      if (made === null) throw new ApiError(409, `project ${ref} was deleted just now`)
      return reply.code(201).send(answerOf(made, deps.clock.wallMs()))
    },
  )
}

/** Tokens are taken over TLS only, so a project starts as one that could have them. */
function readProject(body: ProjectBody): TenantInput {
  try {
    return { ...readTenant(body, null), enforceSsl: true }
  } catch (error) {
    // 422 is how /api/tenants says it.
    if (error instanceof ApiError && error.statusCode === 422) throw badRequest(error.message)
    throw error
  }
}

/** A project that belongs to nobody could be reached by nobody. */
async function giveTo(deps: ApiDeps, ref: string, { member }: Caller): Promise<void> {
  try {
    await deps.members.putMembership(ref, member.userId, 'owner', 'operator')
  } catch (error) {
    await deps.tenants.remove(ref)
    throw error
  }
}

function ownAccessRoute(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/profile/access',
    { schema: { response: { 200: accessListAnswer, ...refusals } } },
    async (request) => {
      const caller = callerOf(request)
      const { scope } = caller.token
      if (scope !== null && !scope.permissions.includes('database_jit_read')) {
        throw new ApiError(403, 'this needs the permission database_jit_read', {
          body: { missing_permissions: ['database_jit_read'] },
        })
      }
      const rules = await deps.rules.listOfMember(caller.member.userId)
      const refs = [...new Set(rules.map((rule) => rule.ref))]
      const [parents, branches] = await Promise.all([
        deps.tenants.findByRefs(refs),
        deps.tenants.branchesOf(...refs),
      ])
      const tenants = [...parents, ...branches].filter((one) => coversProject(scope, one))
      return {
        items: tenants.flatMap((tenant) =>
          rules
            .filter((rule) => rule.ref === rulesRefOf(tenant))
            .filter((rule) => scope?.roles?.includes(rule.role) ?? true)
            .map((rule) => accessAnswer(deps, caller, tenant, rule)),
        ),
      }
    },
  )
}

function accessAnswer(
  deps: ApiDeps,
  { member, token }: Caller,
  tenant: Tenant,
  rule: Rule,
): z.infer<typeof accessListAnswer>['items'][number] {
  const nowMs = deps.clock.wallMs()
  const tests = testAccess({
    token,
    member,
    // A rule goes with its membership, whatever that is.
    membership: 'guest',
    project: tenant,
    rules: [rule],
    role: rule.role,
    clientAddress: '',
    nowMs,
  })
  // From where they will come is not known here.
  const isGood = tests.every(
    ({ test, isPassed }) => isPassed === true || test === 'network' || test === 'scope',
  )
  return {
    ...ruleAnswer(rule),
    project: {
      ref: tenant.ref,
      name: tenant.name,
      parent_project_ref: tenant.parentRef,
      state: tenant.useJit ? 'enabled' : 'disabled',
    },
    is_active: isGood && !isBanned(tenant, nowMs),
    connection_strings: connectionStrings(tenant, rule.role, deps.settings),
  }
}

function answerOf(
  { tenant, createdAtMs }: TenantDetails,
  nowMs: number,
): z.infer<typeof projectAnswer> {
  return {
    id: tenant.ref,
    ref: tenant.ref,
    name: tenant.name,
    created_at: new Date(createdAtMs).toISOString(),
    status: isBanned(tenant, nowMs) ? 'INACTIVE' : 'ACTIVE_HEALTHY',
  }
}
