// What Prometheus scrapes. Without a secret only a process on this machine may ask, and only itself:
// a proxy on this machine would ask for anybody, and a browser for the page of a foreign name.
import type { FastifyRequest } from 'fastify'
import { isLoopback } from '../../accept/address-filter.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps, RenderedMetrics } from '../api-deps.ts'
import { isSignedByUs } from '../jwt-guard.ts'
import { isOwnName } from '../own-origin.ts'
import { nothing, refParams } from '../schemas/common.ts'
import { metricsText } from '../schemas/operations.ts'

export function metricsRoutes(app: ApiApp, deps: ApiDeps): void {
  app.addHook('onRequest', async (request, reply) => {
    if (!(await mayScrape(request, deps))) return reply.code(403).send()
  })

  app.get(
    '/metrics',
    { schema: { response: { 200: metricsText, 403: nothing } } },
    async (_request, reply) => {
      const { contentType, text } = await deps.renderMetrics(null)
      return reply.type(contentType).send(text)
    },
  )

  app.get(
    '/metrics/:ref',
    { schema: { params: refParams, response: { 200: metricsText, 403: nothing } } },
    async (request, reply) => {
      const { contentType, text }: RenderedMetrics = await deps.renderMetrics(request.params.ref)
      return reply.type(contentType).send(text)
    },
  )
}

async function mayScrape(request: FastifyRequest, deps: ApiDeps): Promise<boolean> {
  const secrets = deps.settings.metricsJwt
  if (secrets !== null) {
    return isSignedByUs(request.headers.authorization, secrets, deps.clock.wallMs())
  }
  // The socket's own peer, whatever trusted proxies say about theirs.
  const isNear = isLoopback(request.socket.remoteAddress ?? '')
  if (!isNear || Object.keys(request.headers).some(isForwarding)) return false
  return isOwnName(request, deps.settings)
}

const isForwarding = (name: string): boolean =>
  name === 'forwarded' || name === 'x-real-ip' || name.startsWith('x-forwarded-')
