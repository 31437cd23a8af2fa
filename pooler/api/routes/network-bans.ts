// Sources that the throttle keeps from a project after too many wrong secrets, for its members.

import { sourceKey } from '../../accept/address-filter.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { badRequest } from '../api-error.ts'
import { projectOf } from '../authorize.ts'
import { recordChange } from '../record-change.ts'
import { nothing, refParams, refusals } from '../schemas/common.ts'
import { liftNetworkBansBody, networkBansAnswer } from '../schemas/projects.ts'

export function networkBanRoutes(app: ApiApp, deps: ApiDeps): void {
  app.post(
    '/projects/:ref/network-bans/retrieve',
    {
      config: { permission: 'project_admin_read' },
      schema: { params: refParams, response: { 201: networkBansAnswer, ...refusals } },
    },
    async (request, reply) => {
      const blocked = await deps.throttle.list(projectOf(request).tenant.ref)
      const sources = blocked.map((one) => one.source)
      const isV6 = (source: string) => source.includes(':')
      return reply.code(201).send({
        banned_ipv4_addresses: sources.filter((source) => !isV6(source)),
        banned_ipv6_addresses: sources.filter(isV6),
      })
    },
  )

  app.delete(
    '/projects/:ref/network-bans',
    {
      config: { permission: 'project_admin_write' },
      schema: {
        params: refParams,
        body: liftNetworkBansBody,
        response: { 200: nothing, ...refusals },
      },
    },
    async (request, reply) => {
      const { ref } = projectOf(request).tenant
      const { ipv4_addresses: v4 = [], ipv6_addresses: v6 = [], requester_ip } = request.body
      const sources = [...v4, ...v6, ...(requester_ip === true ? [sourceKey(request.ip)] : [])]
      if (sources.length === 0) {
        throw badRequest('ipv4_addresses: name what is to be lifted, or send requester_ip: true')
      }
      await deps.throttle.lift(ref, sources)
      recordChange(deps, request, { action: 'network_bans_lifted', details: { sources } })
      return reply.send(undefined)
    },
  )
}
