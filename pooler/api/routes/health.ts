// For load balancers and supervisors, without a token: is the process alive, and should it get traffic.
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { nothing } from '../schemas/common.ts'
import { readinessAnswer } from '../schemas/operations.ts'

export function healthRoutes(app: ApiApp, deps: Pick<ApiDeps, 'readiness'>): void {
  app.get('/health', { schema: { response: { 204: nothing } } }, async (_request, reply) =>
    reply.code(204).send(),
  )

  app.get(
    '/ready',
    { schema: { response: { 204: nothing, 503: readinessAnswer } } },
    async (_request, reply) => {
      const reasons = [...(await deps.readiness())]
      if (reasons.length === 0) return reply.code(204).send()
      return reply.code(503).send({ message: `not ready: ${reasons.join(', ')}`, reasons })
    },
  )
}
