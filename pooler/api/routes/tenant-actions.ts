// What operators do to a tenant: end its connections, give its manager another password, lift the
// throttle's blocks. Bodies and statuses as Supavisor's.
import type { z } from 'zod'
import { Secret } from '../../../shared/secret.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { notFound } from '../api-error.ts'
import { toEpochSeconds } from '../expires-at.ts'
import { recordChange } from '../record-change.ts'
import { nothing, refParams } from '../schemas/common.ts'
import {
  bansAnswer,
  credentialsBody,
  liftBansBody,
  tenantRefusals,
  terminateAnswer,
} from '../schemas/tenants.ts'

export function tenantActionRoutes(app: ApiApp, deps: ApiDeps): void {
  // GET has a side effect here only because those who automate Supavisor call it so.
  for (const method of ['GET', 'POST'] as const) {
    app.route({
      method,
      url: '/tenants/:ref/terminate',
      exposeHeadRoute: false,
      schema: { params: refParams, response: { 200: terminateAnswer, ...tenantRefusals } },
      handler: async (request) => {
        const { ref } = request.params
        await refuseUnknown(ref, deps)
        await deps.poolControl.terminate(ref, 'an operator ended all connections of the project')
        return { result: 'ok' }
      },
    })
  }
  credentialsRoute(app, deps)
  banRoutes(app, deps)
}

function credentialsRoute(app: ApiApp, deps: ApiDeps): void {
  app.post(
    '/tenants/:ref/update_auth_credentials',
    {
      schema: {
        params: refParams,
        body: credentialsBody,
        response: { 204: nothing, ...tenantRefusals },
      },
    },
    async (request, reply) => {
      const { ref } = request.params
      const { db_user, db_password } = request.body
      await refuseUnknown(ref, deps)
      await deps.tenants.updateManagerCredentials(ref, db_user, new Secret(db_password))
      const details = { fields: ['db_user', 'db_password'] }
      recordChange(deps, request, { action: 'tenant_put', details }, ref)
      return reply.code(204).send()
    },
  )
}

function banRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/tenants/:ref/network_bans',
    { schema: { params: refParams, response: { 200: bansAnswer, ...tenantRefusals } } },
    async (request) => {
      await refuseUnknown(request.params.ref, deps)
      return bansOf(request.params.ref, deps)
    },
  )

  app.delete(
    '/tenants/:ref/network_bans',
    {
      schema: {
        params: refParams,
        body: liftBansBody,
        response: { 200: bansAnswer, ...tenantRefusals },
      },
    },
    async (request) => {
      const { ref } = request.params
      const sources = [
        ...(request.body.ipv4_addresses ?? []),
        ...(request.body.ipv6_addresses ?? []),
      ]
      await refuseUnknown(ref, deps)
      if (sources.length > 0) {
        await deps.throttle.lift(ref, sources)
        recordChange(deps, request, { action: 'network_bans_lifted', details: { sources } }, ref)
      }
      return bansOf(ref, deps)
    },
  )
}

async function bansOf(ref: string, deps: ApiDeps): Promise<z.infer<typeof bansAnswer>> {
  const blocked = await deps.throttle.list(ref)
  const bans = blocked.map(({ source, untilMs }) => ({
    banned_address: source,
    banned_until: toEpochSeconds(untilMs),
  }))
  return {
    banned_ipv4_addresses: bans.filter((ban) => !ban.banned_address.includes(':')),
    banned_ipv6_addresses: bans.filter((ban) => ban.banned_address.includes(':')),
  }
}

async function refuseUnknown(ref: string, deps: ApiDeps): Promise<void> {
  if ((await deps.tenants.findByRef(ref)) === null) throw notFound('not found')
}
