// The way into the dashboard and out of it: a token once, for a cookie that the page cannot read. The
// other way in, by an identity provider, is provider-routes.ts.
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { BearerOwner } from '../access/bearers.ts'
import type { ApiApp } from '../api/api-app.ts'
import type { ApiDeps } from '../api/api-deps.ts'
import { ApiError } from '../api/api-error.ts'
import type { Authorizer } from '../api/authorize.ts'
import { toEpochSeconds } from '../api/expires-at.ts'
import { isPrivate, refuseForeignPage } from '../api/own-origin.ts'
import { recordChange } from '../api/record-change.ts'
import { cookieHeader, cookieOf } from '../api/session-cookie.ts'

/** The longest token there is has 8 KB. */
const signInBody = z.strictObject({ token: z.string().trim().min(1).max(8192) })

export function signInRoutes(app: ApiApp, deps: ApiDeps, authorizer: Authorizer): void {
  app.post('/sign-in', { schema: { hide: true, body: signInBody } }, async (request, reply) => {
    const origin = privateOrigin(request, deps)
    const owner = await authorizer.identifyToken(request.body.token, request.ip)
    const { cookie, endsAtMs } = await openSession(request, deps, origin, owner)
    return reply.header('set-cookie', cookie).send({ expires_at: toEpochSeconds(endsAtMs) })
  })

  app.post('/sign-out', { schema: { hide: true } }, async (request, reply) => {
    const origin = refuseForeignPage(request, deps.settings)
    const id = cookieOf(request, origin)
    if (id !== null) {
      const owner = await deps.webSessions.find(id, { isUse: false })
      await deps.webSessions.close(id)
      request.caller = owner
      if (owner !== null) {
        const subject = owner.member.userId
        recordChange(deps, request, {
          action: 'logged_out',
          subject,
          details: { kind: 'dashboard' },
        })
      }
    }
    return reply.code(204).header('set-cookie', cookieHeader(origin, null)).send()
  })
}

/** Of our own page, which asked. Throws 421 or 403, also where what is secret could be read on its way. */
export function privateOrigin(request: FastifyRequest, { settings }: ApiDeps): URL {
  const origin = refuseForeignPage(request, settings)
  if (isPrivate(origin)) return origin
  throw new ApiError(
    403,
    'without TLS the dashboard takes tokens on this machine only; set API_TLS=true, or API_PUBLIC_URL to the https address in front',
  )
}

/** For whoever was just found good, however; the browser's session before this one ends. */
export async function openSession(
  request: FastifyRequest,
  deps: ApiDeps,
  origin: URL,
  owner: BearerOwner,
): Promise<{ readonly cookie: string; readonly endsAtMs: number }> {
  request.caller = owner
  const { id, endsAtMs } = await deps.webSessions.open(owner)
  const before = cookieOf(request, origin)
  if (before !== null) await deps.webSessions.close(before)
  recordChange(deps, request, {
    action: 'session_created',
    subject: owner.member.userId,
    details: { kind: 'dashboard' },
  })
  return { cookie: cookieHeader(origin, id), endsAtMs }
}
