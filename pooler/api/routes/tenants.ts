// /api/tenants as Supavisor's users know it: the tenants themselves. What is done to one of them
// (terminate, credentials, network bans) is tenant-actions.ts.
import type { FastifyRequest } from 'fastify'
import type { TenantInput } from '../../store/tenant-input.ts'
import type { TenantDetails } from '../../store/tenant-rows.ts'
import { projectDeleted } from '../../tenant/tenant.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { conflict, notFound } from '../api-error.ts'
import { recordChange } from '../record-change.ts'
import { nothing, refParams } from '../schemas/common.ts'
import {
  banBody,
  manyTenants,
  oneTenant,
  type TenantAnswer,
  tenantBody,
  tenantListQuery,
  tenantRefusals,
} from '../schemas/tenants.ts'
import { tenantAnswer } from '../tenant-answer.ts'
import { fieldError, readTenant } from '../tenant-input.ts'

export function tenantRoutes(app: ApiApp, deps: ApiDeps): void {
  readingRoutes(app, deps)
  putRoute(app, deps)
  banRoute(app, deps)
  deleteRoute(app, deps)
}

function readingRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/tenants',
    { schema: { querystring: tenantListQuery, response: { 200: manyTenants, ...tenantRefusals } } },
    async (request) => {
      const { after, limit } = request.query
      const page = await deps.tenants.list({ limit, ...(after !== undefined && { after }) })
      return { data: page.map(tenantAnswer) }
    },
  )

  app.get(
    '/tenants/:ref',
    { schema: { params: refParams, response: { 200: oneTenant, ...tenantRefusals } } },
    async (request) => ({ data: await answerFor(request.params.ref, deps) }),
  )
}

function putRoute(app: ApiApp, deps: ApiDeps): void {
  app.put(
    '/tenants/:ref',
    {
      schema: {
        params: refParams,
        body: tenantBody,
        response: { 200: oneTenant, 201: oneTenant, ...tenantRefusals },
      },
    },
    async (request, reply) => {
      const { ref } = request.params
      const { tenant: fields } = request.body
      if (!/^[^\s.\p{C}]+$/u.test(ref)) throw fieldError('external_id', 'has a dot or a space')
      const read = (stored: TenantDetails | null): TenantInput => {
        refuseOwnerOfBranch(fields.owner, stored)
        return readTenant(fields, stored)
      }
      const stored = await deps.tenants.findDetails(ref)
      await checkOwner(fields.owner, deps)
      await checkPlace(read(stored), stored, deps)
      const { isCreated } = await deps.tenants.put(ref, read)
      // What has changed is told, also where its owner is removed at this moment.
      recordTenantPut(request, deps, ref, isCreated)
      if (fields.owner !== undefined) {
        await deps.members.putMembership(ref, fields.owner, 'owner', 'operator')
      }
      if (isCreated) reply.code(201).header('location', `/api/tenants/${ref}`)
      return reply.send({ data: await answerFor(ref, deps) })
    },
  )
}

async function checkPlace(
  { dbHost: host, dbPort: port, ipVersion }: TenantInput,
  stored: TenantDetails | null,
  deps: ApiDeps,
): Promise<void> {
  const family = ipVersion ?? stored?.tenant.ipVersion ?? 'auto'
  const fault = await deps.upstreamFault({ host, port, ipVersion: family })
  if (fault !== null) throw fieldError('db_host', fault.replace(/^host /, ''))
}

async function checkOwner(owner: string | undefined, deps: ApiDeps): Promise<void> {
  if (owner === undefined || (await deps.members.find(owner)) !== null) return
  throw fieldError('owner', 'is no member; PUT /api/members/{user_id} first')
}

function refuseOwnerOfBranch(owner: string | undefined, stored: TenantDetails | null): void {
  const parentRef = stored?.tenant.parentRef ?? null
  if (owner === undefined || parentRef === null) return
  throw conflict(`owner: members are those of project ${parentRef}`)
}

/** Names of fields are told; what they hold may be secret. */
function recordTenantPut(
  request: FastifyRequest<{ Body: { tenant: object } }>,
  deps: ApiDeps,
  ref: string,
  isCreated: boolean,
): void {
  const details = { fields: Object.keys(request.body.tenant), is_created: isCreated }
  recordChange(deps, request, { action: 'tenant_put', details }, ref)
}

function banRoute(app: ApiApp, deps: ApiDeps): void {
  app.patch(
    '/tenants/:ref',
    {
      schema: { params: refParams, body: banBody, response: { 200: oneTenant, ...tenantRefusals } },
    },
    async (request) => {
      const { ref } = request.params
      const { banned, ban_reason, banned_until } = request.body
      const reason = ban_reason ?? ''
      const ban = banned ? { reason, untilMs: utcMs(banned_until ?? null) } : null
      await answerFor(ref, deps)
      await deps.tenants.setBan(ref, ban)
      const details = { banned, ...(banned && { until: banned_until ?? null }) }
      recordChange(deps, request, { action: 'ban_changed', reason, details }, ref)
      return { data: await answerFor(ref, deps) }
    },
  )
}

function deleteRoute(app: ApiApp, deps: ApiDeps): void {
  app.delete(
    '/tenants/:ref',
    { schema: { params: refParams, response: { 204: nothing, ...tenantRefusals } } },
    async (request, reply) => {
      const { ref } = request.params
      const branches = await deps.tenants.branchesOf(ref)
      if (!(await deps.tenants.remove(ref))) throw notFound('not found')
      recordChange(deps, request, { action: 'tenant_removed' }, ref)
      const refs = [ref, ...branches.map((branch) => branch.ref)]
      await Promise.all(refs.map((gone) => deps.poolControl.terminate(gone, projectDeleted(gone))))
      return reply.code(204).send()
    },
  )
}

async function answerFor(ref: string, deps: ApiDeps): Promise<TenantAnswer> {
  const details = await deps.tenants.findDetails(ref)
  if (details === null) throw notFound('not found')
  return tenantAnswer(details)
}

/** A time without a zone is UTC, as Supavisor reads it; JavaScript would take the machine's zone. */
function utcMs(text: string | null): number | null {
  if (text === null) return null
  return Date.parse(/(z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`)
}
