// Session JWTs: a personal access token for a few minutes, in a form that others can verify; and the
// log-out of such a session, or of one at the identity provider.
import { z } from 'zod'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { ApiError, badRequest } from '../api-error.ts'
import { callerOf } from '../authorize.ts'
import { toEpochSeconds } from '../expires-at.ts'
import { recordChange } from '../record-change.ts'
import { nothing, refusals } from '../schemas/common.ts'
import { keySetAnswer, sessionAnswer, sessionBody } from '../schemas/sessions.ts'

/** Whoever verifies may keep the keys for so long; a new one is published earlier than that. */
const keySetMaxAgeSeconds = 300

export function authSessionRoutes(app: ApiApp, deps: ApiDeps): void {
  app.post(
    '/auth/session',
    {
      schema: {
        body: sessionBody.nullish().transform((body) => body ?? sessionBody.parse({})),
        response: { 201: sessionAnswer, ...refusals },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request)
      if (caller.bearer.kind !== 'personal') {
        throw new ApiError(
          403,
          'a session is made with a personal access token, not with a session',
        )
      }
      const session = await deps.sessionJwts.issue(caller, request.body.ttl_seconds)
      recordChange(deps, request, {
        action: 'session_created',
        subject: caller.member.userId,
        sessionId: session.sessionId,
      })
      const expiresAt = toEpochSeconds(session.endsAtMs)
      return reply.code(201).send({ access_token: session.token.reveal(), expires_at: expiresAt })
    },
  )

  app.delete(
    '/auth/session',
    { schema: { response: { 204: nothing, ...refusals } } },
    async (request, reply) => {
      const caller = callerOf(request)
      const { bearer } = caller
      if (bearer.kind === 'personal') {
        throw badRequest(
          `this is a personal access token and no session; revoke it with DELETE /v1/access-tokens/${caller.token.id}`,
        )
      }
      await deps.bearers.logOut({ ...caller, bearer })
      recordChange(deps, request, { action: 'logged_out', subject: caller.member.userId })
      return reply.code(204).send()
    },
  )
}

/** For whoever verifies our session JWTs. */
export function keySetRoute(app: ApiApp, { sessionKeys }: Pick<ApiDeps, 'sessionKeys'>): void {
  app.get(
    '/.well-known/jwks.json',
    { schema: { response: { 200: keySetAnswer } } },
    async (_request, reply) => {
      reply.header('cache-control', `public, max-age=${keySetMaxAgeSeconds}`)
      const keys = z.array(z.record(z.string(), z.unknown())).parse(await sessionKeys.published())
      return reply.send({ keys })
    },
  )
}
