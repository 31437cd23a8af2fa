// The members of a project. Who may change whom is guarded by the store, in the same transaction.
import type { z } from 'zod'
import type { Member } from '../../store/members.ts'
import type { MembershipRole } from '../../store/schema.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { notFound } from '../api-error.ts'
import { callerOf, projectOf, refuseOnBranch, requirePermission } from '../authorize.ts'
import { recordChange } from '../record-change.ts'
import { memberParams, nothing, refParams, refusals } from '../schemas/common.ts'
import { membershipAnswer, membershipBody } from '../schemas/people.ts'

export function membershipRoutes(app: ApiApp, deps: ApiDeps): void {
  readingRoutes(app, deps)
  writingRoutes(app, deps)
}

function readingRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/projects/:ref/members',
    {
      config: { permission: 'project_admin_read' },
      schema: { params: refParams, response: { 200: membershipAnswer.array(), ...refusals } },
    },
    async (request) => {
      const members = await deps.members.membersOf(projectOf(request).rulesTenant.ref)
      return members.map(({ member, role }) => answerOf(member, role))
    },
  )

  app.get(
    '/projects/:ref/members/:user_id',
    {
      config: { permission: 'project_admin_read' },
      schema: { params: memberParams, response: { 200: membershipAnswer, ...refusals } },
    },
    async (request) => {
      const { user_id: userId } = request.params
      const [member, role] = await Promise.all([
        deps.members.find(userId),
        deps.members.roleOf(projectOf(request).rulesTenant.ref, userId),
      ])
      if (member === null || role === null) throw notAMember(userId)
      return answerOf(member, role)
    },
  )
}

function writingRoutes(app: ApiApp, deps: ApiDeps): void {
  app.put(
    '/projects/:ref/members/:user_id',
    {
      config: { permission: 'project_admin_write' },
      schema: {
        params: memberParams,
        body: membershipBody,
        response: { 200: membershipAnswer, 201: membershipAnswer, ...refusals },
      },
    },
    async (request, reply) => {
      const project = projectOf(request)
      refuseOnBranch(project)
      const { user_id: userId } = request.params
      const { role } = request.body
      const member = await deps.members.find(userId)
      if (member === null) throw notFound(`there is no person ${userId}`)
      const actor = { userId: callerOf(request).member.userId, role: project.callerRole }
      const { isCreated } = await deps.members.putMembership(
        project.tenant.ref,
        userId,
        role,
        actor,
      )
      recordChange(deps, request, {
        action: 'membership_put',
        subject: userId,
        details: { membership: role },
      })
      return reply.code(isCreated ? 201 : 200).send(answerOf(member, role))
    },
  )

  app.delete(
    '/projects/:ref/members/:user_id',
    {
      // Everybody may leave, by a token without a scope; taking others out needs more.
      config: { permission: 'database_jit_read' },
      schema: { params: memberParams, response: { 200: nothing, ...refusals } },
    },
    async (request, reply) => {
      const project = projectOf(request)
      refuseOnBranch(project)
      const { user_id: userId } = request.params
      const actor = { userId: callerOf(request).member.userId, role: project.callerRole }
      const isLeaving = userId === actor.userId && project.callerScope === null
      if (!isLeaving) requirePermission(project, 'project_admin_write')
      const isRemoved = await deps.members.removeMembership(project.tenant.ref, userId, actor)
      if (!isRemoved) throw notAMember(userId)
      recordChange(deps, request, { action: 'membership_removed', subject: userId })
      return reply.send(undefined)
    },
  )
}

const notAMember = (userId: string): Error => notFound(`${userId} is no member of this project`)

function answerOf(member: Member, role: MembershipRole): z.infer<typeof membershipAnswer> {
  return { user_id: member.userId, primary_email: member.email, username: member.name, role }
}
