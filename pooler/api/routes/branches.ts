// The branches of a project: seen from the parent and from each of them, made and removed on the
// parent.
import { z } from 'zod'
import { Secret } from '../../../shared/secret.ts'
import type { Branch, BranchInput } from '../../store/branches.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { notFound } from '../api-error.ts'
import { callerOf, projectOf, refuseOnBranch, refuseUnlessOperator } from '../authorize.ts'
import { recordChange } from '../record-change.ts'
import { nothing, refParams, refusals } from '../schemas/common.ts'
import { type BranchBody, branchAnswer, branchBody } from '../schemas/projects.ts'
import { checkUpstream } from '../upstream-input.ts'

const branchParams = refParams.extend({ id: z.string().min(1).max(128) })

export function branchRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/projects/:ref/branches',
    {
      config: { permission: 'project_admin_read' },
      schema: { params: refParams, response: { 200: branchAnswer.array(), ...refusals } },
    },
    async (request) => {
      const branches = await deps.branches.list(projectOf(request).rulesTenant.ref)
      return branches.map(answerOf)
    },
  )

  app.post(
    '/projects/:ref/branches',
    {
      config: { permission: 'project_admin_write' },
      schema: {
        params: refParams,
        body: branchBody,
        response: { 201: branchAnswer, ...refusals },
      },
    },
    async (request, reply) => {
      const project = projectOf(request)
      refuseOnBranch(project)
      const { tenant } = project
      const { db_host: host = tenant.dbHost, db_port: port = tenant.dbPort } = request.body
      const isMoved = host.toLowerCase() !== tenant.dbHost.toLowerCase() || port !== tenant.dbPort
      if (isMoved) {
        refuseUnlessOperator(callerOf(request), 'db_host and db_port of a branch')
        await checkUpstream(deps, { host, port, ipVersion: tenant.ipVersion })
      }
      const branch = await deps.branches.create(tenant.ref, inputOf(request.body))
      recordChange(deps, request, {
        action: 'branch_created',
        details: { branch: branch.ref, name: branch.name, fields: Object.keys(request.body) },
      })
      return reply.code(201).send(answerOf(branch))
    },
  )

  app.delete(
    '/projects/:ref/branches/:id',
    {
      config: { permission: 'project_admin_write' },
      schema: { params: branchParams, response: { 200: nothing, ...refusals } },
    },
    async (request, reply) => {
      const project = projectOf(request)
      refuseOnBranch(project)
      const { id } = request.params
      // Whoever is in it is ended by the announcement of the change, in every process.
      const branch = await deps.branches.remove(project.tenant.ref, id)
      if (branch === null) throw notFound(`branch ${id} was not found in this project`)
      recordChange(deps, request, {
        action: 'branch_removed',
        details: { branch: branch.ref, name: branch.name },
      })
      return reply.send(undefined)
    },
  )
}

function inputOf(body: BranchBody): BranchInput {
  const { branch_name, name, db_host, db_port, db_database, users } = body
  return {
    name: branch_name ?? name ?? '',
    dbHost: db_host,
    dbPort: db_port,
    dbDatabase: db_database,
    users: users?.map(({ db_user, db_password }) => ({
      dbUser: db_user,
      dbPassword: new Secret(db_password),
    })),
  }
}

function answerOf(branch: Branch): z.infer<typeof branchAnswer> {
  return {
    id: branch.id,
    name: branch.name,
    project_ref: branch.ref,
    parent_project_ref: branch.parentRef,
    is_default: false,
    created_at: new Date(branch.createdAtMs).toISOString(),
  }
}
