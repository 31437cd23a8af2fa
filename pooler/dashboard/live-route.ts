import type { Readable } from 'node:stream'
import type { ApiApp } from '../api/api-app.ts'
import type { ApiDeps } from '../api/api-deps.ts'
import { type Authorizer, callerOf, permits, projectOf, seesEverybody } from '../api/authorize.ts'
import { refParams } from '../api/schemas/common.ts'
import { LiveStreams } from './live-streams.ts'

/** Server-sent events for the page of a project. Streams end when the API closes. */
export function liveRoute(app: ApiApp, deps: ApiDeps, authorizer: Authorizer): void {
  const streams = new LiveStreams(deps)
  // Before it waits for requests under way, which these are.
  app.addHook('preClose', async () => streams.close())
  app.get(
    '/projects/:ref/live',
    {
      config: { permission: 'database_jit_read', isBackground: true },
      schema: { hide: true, params: refParams },
    },
    async (request, reply) => {
      const project = projectOf(request)
      const { member, token } = callerOf(request)
      const body: Readable = streams.open({
        sessionKey: token.id,
        userId: member.userId,
        ref: project.tenant.ref,
        rulesRef: project.rulesTenant.ref,
        seesEverybody: seesEverybody(project),
        seesFigures: permits(project, 'project_admin_read'),
        isStillGood: () => authorizer.isStillGood(request),
      })
      // Proxies that gather answers would hold all of it back.
      reply.headers({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
      return reply.send(body)
    },
  )
}
