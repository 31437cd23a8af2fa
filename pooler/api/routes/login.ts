// The login question over HTTP: as poolers and Postgres modules ask it with a person's own token,
// and as a dry run for the person, who may know each reason.
import type { FastifyRequest } from 'fastify'
import { normalizeAddress } from '../../accept/address-filter.ts'
import { decideAccess } from '../../access/decide-access.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { ApiError, badRequest } from '../api-error.ts'
import { callerOf, projectOf } from '../authorize.ts'
import { hintFor } from '../check-hints.ts'
import { toEpochSeconds } from '../expires-at.ts'
import { type CallerFacts, checkLogin, decideLogin, factsOf } from '../login-question.ts'
import { recordChange } from '../record-change.ts'
import { ruleAnswer } from '../rule-input.ts'
import { checkAnswer, checkBody, loginAnswer, loginBody } from '../schemas/access.ts'
import { refParams, refusals } from '../schemas/common.ts'
import { authoriserWarnings, storedSecretWarnings } from '../upstream-warnings.ts'

export function loginRoutes(app: ApiApp, deps: ApiDeps): void {
  app.post(
    '/projects/:ref/database/jit',
    {
      config: { permission: 'database_jit_read' },
      schema: { params: refParams, body: loginBody, response: { 200: loginAnswer, ...refusals } },
    },
    async (request) => {
      const { role, rhost } = request.body
      const facts = await gatherFacts(deps, request, rhost)
      const decision = await decideLogin(deps, facts, role)
      const reason = decision.isAllowed ? {} : { reason: decision.reason }
      recordChange(deps, request, {
        action: 'asked',
        role,
        address: facts.clientAddress,
        ...reason,
      })
      if (!decision.isAllowed) throw refusalOf(decision.reason)
      const { rule, endsAtMs } = decision
      return {
        user_id: callerOf(request).member.userId,
        // The end of the token binds as that of the rule does.
        user_role: ruleAnswer({ ...rule, expiresAtMs: endsAtMs }),
      }
    },
  )

  app.post(
    '/projects/:ref/database/jit/check',
    {
      config: { permission: 'database_jit_read' },
      schema: {
        params: refParams,
        body: checkBody.nullish(),
        response: { 200: checkAnswer, ...refusals },
      },
    },
    async (request) => {
      const { role = null, rhost = request.ip } = request.body ?? {}
      const facts = await gatherFacts(deps, request, rhost)
      const ownRoles = facts.rules.map((rule) => rule.role)
      const roles = role !== null ? [role] : ownRoles.length > 0 ? ownRoles : [null]
      const results = await Promise.all(roles.map((one) => resultFor(deps, facts, one)))
      return {
        user_id: callerOf(request).member.userId,
        rhost: facts.clientAddress,
        allowed: results.some((result) => result.allowed) || (results[0]?.allowed ?? null),
        results,
      }
    },
  )
}

async function gatherFacts(
  deps: ApiDeps,
  request: FastifyRequest,
  rhost: string,
): Promise<CallerFacts> {
  const address = normalizeAddress(rhost)
  if (address === null) throw badRequest(`rhost: ${rhost} is no IP address`)
  return factsOf(deps, callerOf(request), projectOf(request).tenant, address)
}

/** 406 means that temporary access was never set up for this person; 403 that something forbids it. */
function refusalOf(reason: string): ApiError {
  if (reason === 'no_rule') {
    return new ApiError(406, 'you have no rule in this project', { body: { reason } })
  }
  if (reason.startsWith('token_')) return new ApiError(401, 'the token is not valid')
  const missing = reason === 'scope_permission' ? ['database_jit_read'] : null
  return new ApiError(403, 'you are not allowed to assume this role', {
    body: { reason, ...(missing !== null && { missing_permissions: missing }) },
  })
}

async function resultFor(deps: ApiDeps, facts: CallerFacts, role: string | null) {
  const checks = await checkLogin(deps, facts, role)
  const told = checks.map((one) => ({ ...one, hint: hintFor(one.check, one.reason) }))
  if (facts.project.jitApiUrl !== null) {
    const isRefused = checks.some((check) => check.passed === false)
    const warnings = [...authoriserWarnings(facts.project)]
    return { role, allowed: isRefused ? false : null, expires_at: null, warnings, checks: told }
  }
  const decision = decideAccess({ ...facts, role: role ?? '' })
  const endsAtMs = decision.isAllowed ? decision.endsAtMs : null
  return {
    role,
    // What could not be tested, though all before it passed, is told and refuses nothing here.
    allowed: decision.isAllowed && checks.every((check) => check.passed !== false),
    expires_at: endsAtMs === null ? null : toEpochSeconds(endsAtMs),
    warnings: decision.isAllowed
      ? [...decision.warnings, ...storedSecretWarnings(facts.project, decision.rule.role)]
      : [],
    checks: told,
  }
}
