// /api/members: the operator makes and removes people and their first tokens. Removing somebody
// ends everything of theirs in all projects; the store's announcement does that, not this file.
import type { z } from 'zod'
import type { Member } from '../../store/members.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { notFound } from '../api-error.ts'
import { recordChange } from '../record-change.ts'
import { nothing, refusals, userParams } from '../schemas/common.ts'
import { newTokenAnswer, personAnswer, personBody, tokenBody } from '../schemas/people.ts'
import { createToken, tokenDetails } from '../token-answers.ts'

export function peopleRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/members/:user_id',
    { schema: { params: userParams, response: { 200: personAnswer, ...refusals } } },
    async (request) => {
      const member = await deps.members.find(request.params.user_id)
      if (member === null) throw unknownPerson(request.params.user_id)
      return answerOf(member)
    },
  )

  app.put(
    '/members/:user_id',
    {
      schema: {
        params: userParams,
        body: personBody,
        response: { 200: personAnswer, 201: personAnswer, ...refusals },
      },
    },
    async (request, reply) => {
      const { email, name, operator } = request.body
      const userId = request.params.user_id
      const input = { email: email ?? null, name, isOperator: operator }
      const { member, isCreated } = await deps.members.put(userId, input)
      const details = { operator: member.isOperator, is_created: isCreated }
      recordChange(deps, request, { action: 'member_put', subject: userId, details })
      return reply.code(isCreated ? 201 : 200).send(answerOf(member))
    },
  )

  app.delete(
    '/members/:user_id',
    { schema: { params: userParams, response: { 204: nothing, ...refusals } } },
    async (request, reply) => {
      const userId = request.params.user_id
      if (!(await deps.members.remove(userId))) throw unknownPerson(userId)
      recordChange(deps, request, { action: 'member_removed', subject: userId })
      return reply.code(204).send()
    },
  )

  app.post(
    '/members/:user_id/access-tokens',
    {
      schema: {
        params: userParams,
        body: tokenBody,
        response: { 201: newTokenAnswer, ...refusals },
      },
    },
    async (request, reply) => {
      const userId = request.params.user_id
      if ((await deps.members.find(userId)) === null) throw unknownPerson(userId)
      const created = await createToken(deps, userId, request.body)
      recordChange(deps, request, {
        action: 'token_created',
        subject: userId,
        details: tokenDetails(created),
      })
      return reply.code(201).send(created)
    },
  )
}

const unknownPerson = (userId: string): Error => notFound(`there is no member ${userId}`)

function answerOf(member: Member): z.infer<typeof personAnswer> {
  return {
    user_id: member.userId,
    email: member.email,
    name: member.name,
    operator: member.isOperator,
    created_at: new Date(member.createdAtMs).toISOString(),
  }
}
