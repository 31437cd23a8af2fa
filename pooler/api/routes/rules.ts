// Who may assume which role of a project: the rules, and the roles there are to choose from.
import type { FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { MemberRules } from '../../store/rules.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { ApiError, notFound } from '../api-error.ts'
import { askDatabase } from '../ask-database.ts'
import { actingOf, callerOf, projectOf, refuseOnBranch } from '../authorize.ts'
import { recordChange } from '../record-change.ts'
import { judgeRoles } from '../role-judgement.ts'
import { invitedRuleAnswer, readRules, ruleAnswer, ruleWarnings } from '../rule-input.ts'
import { memberParams, nothing, refParams, refusals } from '../schemas/common.ts'
import {
  assignableRolesAnswer,
  mappingAnswer,
  mappingBody,
  mappingListAnswer,
} from '../schemas/rules.ts'
import { authoriserWarnings } from '../upstream-warnings.ts'

export function ruleRoutes(app: ApiApp, deps: ApiDeps): void {
  readingRoutes(app, deps)
  writingRoutes(app, deps)
}

function readingRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/projects/:ref/database/jit',
    {
      config: { permission: 'database_jit_read' },
      schema: { params: refParams, response: { 200: mappingAnswer, ...refusals } },
    },
    async (request, reply) => {
      const { tenant, rulesTenant } = projectOf(request)
      const own = await deps.rules.find(rulesTenant.ref, callerOf(request).member.userId)
      if (own === null) throw new ApiError(406, 'you have no rule in this project')
      return reply.header('etag', own.etag).send(mappingOf(own, authoriserWarnings(tenant)))
    },
  )

  app.get(
    '/projects/:ref/database/jit/list',
    {
      config: { permission: 'database_jit_write' },
      schema: { params: refParams, response: { 200: mappingListAnswer, ...refusals } },
    },
    async (request) => {
      const { ref } = projectOf(request).rulesTenant
      const [all, invitations] = await Promise.all([
        deps.rules.list(ref),
        deps.invitations.list(ref, deps.clock.wallMs()),
      ])
      const members = all.map((one) => ({
        user_id: one.userId,
        primary_email: one.email,
        user_roles: one.rules.map(ruleAnswer),
        invite_id: null,
        expires_at: null,
      }))
      const invited = invitations.map((one) => ({
        user_id: null,
        primary_email: one.email,
        user_roles: one.rules.map(invitedRuleAnswer),
        invite_id: one.id,
        expires_at: new Date(one.expiresAtMs).toISOString(),
      }))
      return { items: [...members, ...invited] }
    },
  )

  app.get(
    '/projects/:ref/database/jit/roles',
    {
      config: { permission: 'database_jit_write' },
      schema: { params: refParams, response: { 200: assignableRolesAnswer, ...refusals } },
    },
    async (request) => {
      const { rulesTenant: tenant } = projectOf(request)
      const verdicts = await askDatabase(deps, tenant, () => deps.assignableRoles.list(tenant))
      return verdicts.map(({ isAssignable, identity: _ours, ...verdict }) => ({
        ...verdict,
        assignable: isAssignable,
        warnings: [...verdict.warnings],
      }))
    },
  )

  app.get(
    '/projects/:ref/database/jit/:user_id',
    {
      config: { permission: 'database_jit_write' },
      schema: { params: memberParams, response: { 200: mappingAnswer, ...refusals } },
    },
    async (request, reply) => {
      const { user_id } = request.params
      const { tenant, rulesTenant } = projectOf(request)
      const found = await deps.rules.find(rulesTenant.ref, user_id)
      if (found === null) throw notFound(`${user_id} has no rule in this project`)
      return reply.header('etag', found.etag).send(mappingOf(found, authoriserWarnings(tenant)))
    },
  )
}

function writingRoutes(app: ApiApp, deps: ApiDeps): void {
  app.put(
    '/projects/:ref/database/jit',
    {
      config: { permission: 'database_jit_write' },
      schema: {
        params: refParams,
        body: mappingBody,
        response: { 200: mappingAnswer, ...refusals },
      },
    },
    async (request, reply) => {
      const project = projectOf(request)
      refuseOnBranch(project)
      const { user_id: userId, roles, user_roles } = request.body
      const key = roles === undefined ? 'user_roles' : 'roles'
      const { ref } = project.tenant
      const existing = await deps.rules.find(ref, userId)
      const given = readRules(roles ?? user_roles ?? [], {
        existing: existing?.rules ?? [],
        nowMs: deps.clock.wallMs(),
        isExpiryRequired: deps.settings.isRuleExpiryRequired,
        key,
      })
      const judged = await judgeRoles(deps, project.tenant, given, {
        key,
        existing: existing?.rules ?? [],
      })
      const { rules } = judged
      const stored = await deps.rules.replaceForMember(ref, userId, rules, {
        ...ifMatchOf(request),
        acting: actingOf(request),
      })
      recordChange(deps, request, {
        action: rules.length > 0 ? 'rule_changed' : 'rule_removed',
        subject: userId,
        details: { user_roles: rules.map(ruleAnswer) },
      })
      const decided = rules.length > 0 ? authoriserWarnings(project.tenant) : []
      const warnings = [...ruleWarnings(rules), ...judged.warnings, ...decided]
      return reply.header('etag', stored.etag).send(mappingOf(stored, warnings))
    },
  )

  app.delete(
    '/projects/:ref/database/jit/:user_id',
    {
      config: { permission: 'database_jit_write' },
      schema: { params: memberParams, response: { 200: nothing, ...refusals } },
    },
    async (request, reply) => {
      const project = projectOf(request)
      refuseOnBranch(project)
      const { user_id: userId } = request.params
      const isRemoved = await deps.rules.remove(project.tenant.ref, userId, ifMatchOf(request))
      if (!isRemoved) throw notFound(`${userId} has no rule in this project`)
      recordChange(deps, request, { action: 'rule_removed', subject: userId })
      return reply.send(undefined)
    },
  )
}

function mappingOf(
  { userId, rules }: MemberRules,
  warnings: readonly string[],
): z.infer<typeof mappingAnswer> {
  const answer = { user_id: userId, user_roles: rules.map(ruleAnswer) }
  return warnings.length > 0 ? { ...answer, warnings: [...warnings] } : answer
}

function ifMatchOf(request: FastifyRequest): { ifMatch?: string } {
  const header = request.headers['if-match']
  return header === undefined ? {} : { ifMatch: header }
}
