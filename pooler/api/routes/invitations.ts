// Invitations: made and withdrawn by those who give rules, accepted by whoever has the link. Nobody
// learns why one is not accepted.
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { Secret } from '../../../shared/secret.ts'
import { identityIdOf } from '../../store/identities.ts'
import type { Invitation, InvitedRule } from '../../store/invitations.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { ApiError, badRequest, notFound } from '../api-error.ts'
import { actingOf, callerOf, type ProjectView, projectOf, refuseOnBranch } from '../authorize.ts'
import { linkOriginOf } from '../own-origin.ts'
import { recordChange } from '../record-change.ts'
import { judgeRoles } from '../role-judgement.ts'
import { invitedRuleAnswer, readRules, ruleAnswer, ruleWarnings } from '../rule-input.ts'
import { nothing, refParams, refusals } from '../schemas/common.ts'
import {
  acceptAnswer,
  acceptBody,
  type InviteBody,
  inviteAnswer,
  inviteBody,
} from '../schemas/invitations.ts'

const invitationDaysMax = 7
const dayMs = 86_400_000
const inviteParams = refParams.extend({ id: z.guid().toLowerCase() })

export function invitationRoutes(app: ApiApp, deps: ApiDeps): void {
  inviteRoute(app, deps)
  acceptRoute(app, deps)
  withdrawRoute(app, deps)
}

function inviteRoute(app: ApiApp, deps: ApiDeps): void {
  app.post(
    '/projects/:ref/database/jit/invite',
    {
      config: { permission: 'database_jit_write' },
      schema: { params: refParams, body: inviteBody, response: { 200: inviteAnswer, ...refusals } },
    },
    async (request) => {
      const project = projectOf(request)
      refuseOnBranch(project)
      const { tenant } = project
      const base = baseOf(deps, request)
      const invited = readInvited(deps, request.body)
      const { rules, ...judged } = await judgeRoles(deps, tenant, invited, { key: 'roles' })
      const warnings = [...ruleWarnings(rules), ...judged.warnings]
      const nowMs = deps.clock.wallMs()
      const { invitation, token } = await deps.invitations.create(tenant.ref, {
        email: request.body.email,
        rules,
        delivery: deps.inviteWebhook === null ? 'by hand' : 'pending',
        acting: actingOf(request),
        expiresAtMs: nowMs + invitationDaysMax * dayMs,
        nowMs,
      })
      const link = linkOf(base, invitation, token)
      await deliver(deps, request, project, invitation, link)
      const { id, email } = invitation
      recordChange(deps, request, {
        action: 'invitation_created',
        details: { invite_id: id, email, user_roles: rules.map(invitedRuleAnswer) },
      })
      return {
        email,
        invite_id: id,
        user_roles: rules.map(invitedRuleAnswer),
        expires_at: new Date(invitation.expiresAtMs).toISOString(),
        ...(deps.inviteWebhook === null && { link, token: token.reveal() }),
        ...(warnings.length > 0 && { warnings }),
      }
    },
  )
}

function acceptRoute(app: ApiApp, deps: ApiDeps): void {
  app.post(
    '/projects/:ref/database/jit/invite/accept',
    {
      config: { isOpen: true },
      schema: { params: refParams, body: acceptBody, response: { 200: acceptAnswer, ...refusals } },
    },
    async (request) => {
      const { caller, newcomer } = request
      if (caller !== null && caller.token.scope !== null) {
        throw new ApiError(403, 'a scoped token accepts no invitations')
      }
      const { ref } = request.params
      const { email, token } = request.body
      const accepted = await deps.invitations.accept({
        ref,
        email,
        token: new Secret(token),
        userId: caller?.member.userId ?? null,
        identity: newcomer,
        nowMs: deps.clock.wallMs(),
      })
      if (accepted === null) {
        throw notFound(
          'there is no such invitation: it was used, withdrawn or is over, or link, e-mail and token do not belong together',
        )
      }
      const { userId, invitation, isNew, firstToken } = accepted
      const details = { invite_id: invitation.id, is_new: isNew }
      const event = { action: 'invitation_accepted', actor: userId, details } as const
      recordChange(deps, request, event, ref)
      if (newcomer !== null) {
        const linked = { id: identityIdOf(newcomer), issuer: newcomer.issuer }
        const how = { actor: userId, subject: userId, details: linked } as const
        recordChange(deps, request, { action: 'identity_linked', ...how }, ref)
      }
      const rules = (await deps.rules.find(ref, userId))?.rules ?? []
      return {
        user_id: userId,
        user_roles: rules.map(ruleAnswer),
        ...(firstToken !== null && { token: firstToken.reveal() }),
      }
    },
  )
}

function withdrawRoute(app: ApiApp, deps: ApiDeps): void {
  app.delete(
    '/projects/:ref/database/jit/invite/:id',
    {
      config: { permission: 'database_jit_write' },
      schema: { params: inviteParams, response: { 200: nothing, ...refusals } },
    },
    async (request, reply) => {
      const project = projectOf(request)
      refuseOnBranch(project)
      const { id } = request.params
      const removed = await deps.invitations.remove(project.tenant.ref, id)
      if (removed === null) throw notFound(`invitation ${id} was not found in this project`)
      const details = { invite_id: id, email: removed.email }
      recordChange(deps, request, { action: 'invitation_removed', details })
      return reply.send(undefined)
    },
  )
}

function readInvited(deps: ApiDeps, { roles }: InviteBody): readonly InvitedRule[] {
  const rules = readRules(
    roles.map(({ expires_after_seconds: _later, ...grant }) => grant),
    { existing: [], nowMs: deps.clock.wallMs(), isExpiryRequired: false, key: 'roles' },
  )
  return rules.map((rule, index) => {
    const expiresAfterS = roles[index]?.expires_after_seconds ?? null
    const where = `roles.${index}.expires_after_seconds`
    if (expiresAfterS !== null && rule.expiresAtMs !== null) {
      throw badRequest(`${where}: give this or expires_at, not both`)
    }
    if (expiresAfterS === null && rule.expiresAtMs === null && deps.settings.isRuleExpiryRequired) {
      throw badRequest(`${where}: a rule needs an end here, this or expires_at`)
    }
    return { ...rule, expiresAfterS }
  })
}

/** Whoever gets the link back may as well have asked for it under any name. */
function baseOf({ inviteWebhook, settings }: ApiDeps, request: FastifyRequest): string {
  if (inviteWebhook !== null) return linkOriginOf(request, settings)
  return settings.publicUrl ?? `${request.protocol}://${request.host}`
}

/** Behind the `#`, so that no server on the way to the page sees or logs it. */
function linkOf(base: string, { ref, email }: Invitation, token: Secret<string>): string {
  const secret = new URLSearchParams({ email, token: token.reveal() })
  return `${base}/invite/${encodeURIComponent(ref)}#${secret.toString()}`
}

/** Without a webhook the link is in the answer. */
async function deliver(
  deps: ApiDeps,
  request: FastifyRequest,
  { tenant }: ProjectView,
  invitation: Invitation,
  link: string,
): Promise<void> {
  if (deps.inviteWebhook === null) return
  const { member } = callerOf(request)
  const isTaken = deps.inviteWebhook.push({
    id: invitation.id,
    type: 'invitation.created',
    atMs: deps.clock.wallMs(),
    data: {
      invite_id: invitation.id,
      email: invitation.email,
      link,
      expires_at: new Date(invitation.expiresAtMs).toISOString(),
      project: { ref: tenant.ref, name: tenant.name },
      invited_by: { user_id: member.userId, email: member.email, name: member.name },
    },
  })
  if (isTaken) return
  await deps.invitations.remove(tenant.ref, invitation.id)
  throw new ApiError(429, 'too many invitations wait to be delivered; try again in a minute', {
    headers: { 'retry-after': '60' },
  })
}
