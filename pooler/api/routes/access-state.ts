// Temporary access on or off, and TLS enforcement, which it needs.
import type { Tenant } from '../../tenant/tenant.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { ApiError, conflict } from '../api-error.ts'
import { projectOf, refuseOnBranch } from '../authorize.ts'
import { recordChange } from '../record-change.ts'
import {
  sslAnswer,
  sslBody,
  stateAnswer,
  stateBody,
  type UnavailableReason,
} from '../schemas/access.ts'
import { refParams, refusals } from '../schemas/common.ts'

/** The feature's own place, and the one that its guide names. */
const statePaths = ['/projects/:ref/jit-access', '/projects/:ref/database/jit-access'] as const

/** The first version whose logins can carry a token, as the public feature has it. */
const serverVersionNumMin = 170_000

const reasonTexts: Readonly<Record<UnavailableReason, string>> = {
  platform_unsupported:
    'clients of this pooler cannot have TLS, and tokens are taken over TLS only',
  postgres_upgrade_required: 'the database is older than Postgres 17',
  ssl_enforcement_required:
    'TLS is not enforced; PUT …/ssl-enforcement with {"requestedConfig":{"database":true}} first',
  temporarily_unavailable: 'the database cannot be reached right now',
}

export function accessStateRoutes(app: ApiApp, deps: ApiDeps): void {
  for (const path of statePaths) stateRoutes(app, deps, path)
  sslRoutes(app, deps)
}

function stateRoutes(app: ApiApp, deps: ApiDeps, path: string): void {
  app.get(
    path,
    {
      config: { permission: 'project_admin_read' },
      schema: { params: refParams, response: { 200: stateAnswer, ...refusals } },
    },
    async (request) => {
      const { rulesTenant } = projectOf(request)
      if (rulesTenant.useJit) return { state: 'enabled' as const }
      const unavailable = await whyUnavailable(rulesTenant, deps)
      return unavailable === null
        ? { state: 'disabled' as const }
        : { state: 'unavailable' as const, unavailableReason: unavailable }
    },
  )

  app.put(
    path,
    {
      config: { permission: 'project_admin_write' },
      schema: { params: refParams, body: stateBody, response: { 200: stateAnswer, ...refusals } },
    },
    async (request) => {
      const project = projectOf(request)
      refuseOnBranch(project)
      const { tenant } = project
      const isEnabled = request.body.state === 'enabled'
      if (isEnabled && !tenant.useJit) {
        const unavailable = await whyUnavailable(tenant, deps)
        if (unavailable !== null) throw unavailableError(unavailable)
      }
      if (isEnabled !== tenant.useJit) {
        // TLS may have been given up while the database was asked.
        const set = await deps.tenants.setJit(tenant.ref, isEnabled)
        if (set === null) throw unavailableError('ssl_enforcement_required')
        recordChange(deps, request, {
          action: 'state_changed',
          details: { state: request.body.state },
        })
      }
      return { state: request.body.state, appliedSuccessfully: true }
    },
  )
}

async function whyUnavailable(tenant: Tenant, deps: ApiDeps): Promise<UnavailableReason | null> {
  if (!deps.settings.canTakeTokens) return 'platform_unsupported'
  const facts = await deps.databaseFacts(tenant)
  if (facts === 'unreachable') return 'temporarily_unavailable'
  if (facts.serverVersionNum < serverVersionNumMin) return 'postgres_upgrade_required'
  return tenant.enforceSsl ? null : 'ssl_enforcement_required'
}

function unavailableError(unavailable: UnavailableReason): ApiError {
  return new ApiError(409, `temporary access cannot be enabled: ${reasonTexts[unavailable]}`, {
    body: { state: 'unavailable', unavailableReason: unavailable },
  })
}

function sslRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/projects/:ref/ssl-enforcement',
    {
      config: { permission: 'project_admin_read' },
      schema: { params: refParams, response: { 200: sslAnswer, ...refusals } },
    },
    async (request) => sslState(projectOf(request).rulesTenant.enforceSsl),
  )

  app.put(
    '/projects/:ref/ssl-enforcement',
    {
      config: { permission: 'project_admin_write' },
      schema: { params: refParams, body: sslBody, response: { 200: sslAnswer, ...refusals } },
    },
    async (request) => {
      const project = projectOf(request)
      refuseOnBranch(project)
      const { tenant } = project
      const isEnforced = request.body.requestedConfig.database
      if (!isEnforced && tenant.useJit) throw tlsNeeded()
      if (isEnforced !== tenant.enforceSsl) {
        const set = await deps.tenants.setEnforceSsl(tenant.ref, isEnforced)
        if (set === null) throw tlsNeeded()
        recordChange(deps, request, {
          action: 'ssl_enforcement_changed',
          details: { database: isEnforced },
        })
      }
      return sslState(isEnforced)
    },
  )
}

const tlsNeeded = (): ApiError =>
  conflict('temporary access is enabled and needs TLS; disable it first')

const sslState = (
  isEnforced: boolean,
): { currentConfig: { database: boolean }; appliedSuccessfully: boolean } => ({
  currentConfig: { database: isEnforced },
  appliedSuccessfully: true,
})
