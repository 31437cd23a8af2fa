// What callers find out about themselves: profile and tokens.
import { z } from 'zod'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { ApiError, notFound } from '../api-error.ts'
import { actingOf, callerOf } from '../authorize.ts'
import { recordChange } from '../record-change.ts'
import { nothing, refusals } from '../schemas/common.ts'
import { newTokenAnswer, profileAnswer, tokenBody, tokenListAnswer } from '../schemas/people.ts'
import { createToken, tokenAnswer, tokenDetails } from '../token-answers.ts'

const tokenParams = z.object({ id: z.guid().toLowerCase() })

export function ownAccountRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/profile',
    { schema: { response: { 200: profileAnswer, ...refusals } } },
    async (request) => {
      const { userId, email, name } = callerOf(request).member
      return { gotrue_id: userId, primary_email: email, username: name }
    },
  )

  tokenRoutes(app, deps)
}

function tokenRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/access-tokens',
    { schema: { response: { 200: tokenListAnswer, ...refusals } } },
    async (request) => {
      const { member, token } = callerOf(request)
      const records = await deps.tokens.list(member.userId)
      // What else its owner has is none of a scoped token's business.
      const seen = token.scope === null ? records : records.filter((one) => one.id === token.id)
      return seen.map(tokenAnswer)
    },
  )

  app.post(
    '/access-tokens',
    { schema: { body: tokenBody, response: { 201: newTokenAnswer, ...refusals } } },
    async (request, reply) => {
      const { member, token, bearer } = callerOf(request)
      if (bearer.kind === 'session') {
        throw new ApiError(403, 'a session cannot create tokens: they would outlive it')
      }
      if (token.scope !== null) throw new ApiError(403, 'a scoped token cannot create tokens')
      const created = await createToken(
        deps,
        member.userId,
        request.body,
        actingOf(request).tokenId,
      )
      recordChange(deps, request, {
        action: 'token_created',
        subject: member.userId,
        details: tokenDetails(created),
      })
      return reply.code(201).send(created)
    },
  )

  app.delete(
    '/access-tokens/:id',
    { schema: { params: tokenParams, response: { 200: nothing, ...refusals } } },
    async (request, reply) => {
      const { member, token } = callerOf(request)
      const { id } = request.params
      if (token.scope !== null && token.id !== id) {
        throw new ApiError(403, 'a scoped token can revoke itself only')
      }
      if (!(await deps.tokens.revoke(id, member.userId))) {
        throw notFound(`you have no token ${id}`)
      }
      recordChange(deps, request, {
        action: 'token_revoked',
        subject: member.userId,
        details: { id },
      })
      return reply.send(undefined)
    },
  )
}
