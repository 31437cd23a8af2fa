// /api/members/{user_id}/identities: which identity of the provider is this member. An operator says
// so; an e-mail address in a JWT links nobody.
import { z } from 'zod'
import type { LinkedIdentity } from '../../store/identities.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { badRequest, notFound } from '../api-error.ts'
import { recordChange } from '../record-change.ts'
import { nothing, refusals, userParams } from '../schemas/common.ts'
import { identityAnswer, identityBody, identityListAnswer } from '../schemas/sessions.ts'

const identityParams = userParams.extend({ identity_id: z.guid().toLowerCase() })

export function identityRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/members/:user_id/identities',
    { schema: { params: userParams, response: { 200: identityListAnswer, ...refusals } } },
    async (request) => {
      const userId = request.params.user_id
      if ((await deps.members.find(userId)) === null) throw unknownMember(userId)
      return { items: (await deps.identities.list(userId)).map(answerOf) }
    },
  )

  app.post(
    '/members/:user_id/identities',
    {
      schema: {
        params: userParams,
        body: identityBody,
        response: { 200: identityAnswer, 201: identityAnswer, ...refusals },
      },
    },
    async (request, reply) => {
      const userId = request.params.user_id
      const { issuer = deps.settings.identityIssuer, subject } = request.body
      if (issuer === null) throw badRequest('issuer: name one, there is no AUTH_ISSUER')
      if ((await deps.members.find(userId)) === null) throw unknownMember(userId)
      const isNew = await deps.identities.link(userId, { issuer, subject })
      const all = await deps.identities.list(userId)
      const linked = all.find((one) => one.issuer === issuer && one.subject === subject)
      if (linked === undefined) throw notFound('the identity was unlinked again just now')
      if (isNew) {
        const details = { id: linked.id, issuer }
        recordChange(deps, request, { action: 'identity_linked', subject: userId, details })
      }
      return reply.code(isNew ? 201 : 200).send(answerOf(linked))
    },
  )

  app.delete(
    '/members/:user_id/identities/:identity_id',
    { schema: { params: identityParams, response: { 204: nothing, ...refusals } } },
    async (request, reply) => {
      const { user_id: userId, identity_id: id } = request.params
      if (!(await deps.identities.unlink(userId, id))) {
        throw notFound(`member ${userId} has no identity ${id}`)
      }
      const details = { id }
      recordChange(deps, request, { action: 'identity_unlinked', subject: userId, details })
      return reply.code(204).send()
    },
  )
}

const unknownMember = (userId: string): Error => notFound(`there is no member ${userId}`)

const answerOf = ({ id, issuer, subject, createdAtMs }: LinkedIdentity) => ({
  id,
  issuer,
  subject,
  created_at: new Date(createdAtMs).toISOString(),
})
