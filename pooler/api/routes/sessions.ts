// Who is in a project's database right now, and the button that ends one of them.
import { z } from 'zod'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps, SessionView } from '../api-deps.ts'
import { notFound } from '../api-error.ts'
import { callerOf, projectOf, seesEverybody } from '../authorize.ts'
import { toEpochSeconds } from '../expires-at.ts'
import { recordChange } from '../record-change.ts'
import { sessionListAnswer } from '../schemas/access.ts'
import { nothing, refParams, refusals } from '../schemas/common.ts'

const sessionParams = refParams.extend({ id: z.string().min(1).max(64) })

export function sessionRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/projects/:ref/database/jit/sessions',
    {
      config: { permission: 'database_jit_read' },
      schema: { params: refParams, response: { 200: sessionListAnswer, ...refusals } },
    },
    async (request) => {
      const project = projectOf(request)
      const sessions = await deps.liveSessions.list(project.tenant.ref)
      const { userId } = callerOf(request).member
      const seen = seesEverybody(project)
        ? sessions
        : sessions.filter((session) => session.userId === userId)
      return { items: seen.map(sessionAnswer) }
    },
  )

  app.delete(
    '/projects/:ref/database/jit/sessions/:id',
    {
      config: { permission: 'database_jit_read' },
      schema: { params: sessionParams, response: { 200: nothing, ...refusals } },
    },
    async (request, reply) => {
      const project = projectOf(request)
      const { id } = request.params
      const { userId } = callerOf(request).member
      const sessions = await deps.liveSessions.list(project.tenant.ref)
      const session = sessions.find((one) => one.sessionId === id)
      // Another's session is as good as none to those who may only see their own.
      if (session === undefined || (session.userId !== userId && !seesEverybody(project))) {
        throw notFound(`session ${id} was not found in this project`)
      }
      const reason =
        session.userId === userId
          ? 'session closed by yourself'
          : 'session closed by an administrator'
      await deps.liveSessions.end(project.tenant.ref, id, reason)
      recordChange(deps, request, {
        action: 'session_ended_by_hand',
        subject: session.userId,
        role: session.role,
        sessionId: id,
      })
      return reply.send(undefined)
    },
  )
}

function sessionAnswer(session: SessionView): z.infer<typeof sessionListAnswer>['items'][number] {
  return {
    id: session.sessionId,
    user_id: session.userId,
    email: session.email,
    role: session.role,
    address: session.address,
    application_name: session.applicationName,
    started_at: new Date(session.startedAtMs).toISOString(),
    expires_at: session.endsAtMs === null ? null : toEpochSeconds(session.endsAtMs),
  }
}
