// Gives the API the registries and stores of a running process, behind the interface it asks for.
import type { Clock } from '../shared/clock.ts'
import { PoolerError } from '../shared/errors.ts'
import type { Log } from '../shared/log.ts'
import { WebSessions } from './access/web-sessions.ts'
import type { ApiDeps, ApiSettings } from './api/api-deps.ts'
import type { Config } from './config/settings.ts'
import type { ControlPlane } from './control-plane.ts'
import type { DataPlane } from './data-plane.ts'
import { type MetricsText, metricsContentType } from './metrics/metrics-text.ts'
import type { OtherWorkersLink } from './other-workers-link.ts'
import { UpstreamAddressError, type UpstreamAddresses } from './pool/upstream-address.ts'
import { figuresHereOf, sumFigures } from './project-figures-of.ts'
import { serverVersionOf } from './project-query.ts'
import { sessionBoardOf } from './session-views-of.ts'
import { WebSessionStore } from './store/web-sessions.ts'

export interface ApiParts {
  readonly config: Config
  readonly control: ControlPlane
  readonly data: DataPlane
  readonly addresses: UpstreamAddresses
  readonly metricsText: MetricsText
  /** null: this process is alone. */
  readonly others: Pick<
    OtherWorkersLink,
    'lift' | 'terminate' | 'metrics' | 'figures' | 'sessions'
  > | null
  readonly apiTls: ApiSettings['tls']
  readonly clock: Clock
  readonly log: Log
}

export function apiDepsOf(parts: ApiParts): ApiDeps {
  const { control, data, addresses, metricsText, others, clock, log } = parts
  const { tenants, branches, members, invitations, tokens, rules, events, holds } = control
  const { assignableRoles, auditTrail, identities, bearers, sessionJwts, sessionKeys } = control
  return {
    tenants,
    branches,
    invitations,
    inviteWebhook: control.inviteWebhook,
    members,
    tokens,
    rules,
    events,
    identities,
    bearers,
    providerSignIn: control.providerSignIn,
    sessionJwts,
    sessionKeys,
    webSessions: new WebSessions({
      store: new WebSessionStore(control.database),
      bearers,
      clock,
    }),
    changes: control.changes,
    holds,
    assignableRoles,
    auditTrail,
    liveSessions: sessionBoardOf(control, others),
    throttle: {
      list: async (ref) => {
        const blocked = control.throttle.list(ref)
        return blocked.map(({ source, untilMs }) => ({ source, untilMs }))
      },
      lift: async (ref, sources) => {
        control.throttle.lift(ref, sources)
        await others?.lift(ref, sources ?? null)
      },
    },
    poolControl: {
      terminate: async (ref, reason) => {
        const ended = new PoolerError('ETERMINATED', { values: { reason } })
        await Promise.all([data.endClientsOf(ref, ended), others?.terminate(ref, reason)])
      },
    },
    databaseFacts: async (tenant) => {
      const serverVersionNum = await serverVersionOf(data, tenant)
      return serverVersionNum === null ? 'unreachable' : { serverVersionNum }
    },
    upstreamFault: async ({ host, port, ipVersion }) => {
      try {
        await addresses.resolve(host, ipVersion, port)
        return null
      } catch (error) {
        // A name that cannot be resolved just now may be a database that is still being made.
        const isRefused = error instanceof UpstreamAddressError && error.isPermanent
        return isRefused ? error.message : null
      }
    },
    projectFigures: async (ref) => {
      const elsewhere = (await others?.figures(ref)) ?? []
      return sumFigures([figuresHereOf(ref, data), ...elsewhere])
    },
    readiness: async () => {
      const reasons: string[] = []
      if (data.isDraining) reasons.push('draining')
      if (data.portOf('transaction') === null) reasons.push('not listening')
      if (!(await control.database.isReachable())) reasons.push('metadata not reachable')
      return reasons
    },
    isMetadataReachable: () => control.database.isReachable(),
    renderMetrics: async (ref) => {
      const text = await (ref === null ? metricsText.render() : metricsText.renderTenant(ref))
      const all = others === null ? text : await others.metrics(ref, text)
      return { contentType: metricsContentType, text: all }
    },
    settings: settingsOf(parts),
    log,
    clock,
  }
}

function settingsOf({ config, data, apiTls }: ApiParts): ApiSettings {
  const { apiJwtSecret, metricsJwtSecret } = config
  return {
    apiJwt:
      apiJwtSecret === null
        ? null
        : { current: apiJwtSecret, previous: config.apiJwtSecretPrevious },
    metricsJwt:
      metricsJwtSecret === null
        ? null
        : { current: metricsJwtSecret, previous: config.metricsJwtSecretPrevious },
    trustedProxies: config.apiTrustedProxies,
    tls: apiTls,
    identityIssuer: config.authIssuer,
    isRuleExpiryRequired: config.ruleExpiryRequired,
    canTakeTokens: config.globalDownstreamCertPath !== null || config.allowInsecureLoopbackTokens,
    poolerHost: config.poolerDomain ?? config.proxyHost ?? 'localhost',
    poolerDomain: config.poolerDomain,
    publicUrl: config.apiPublicUrl,
    // Asked when they are told: with port 0 it is only known once the port is open.
    get transactionPort() {
      return data.portOf('transaction') ?? config.proxyPortTransaction
    },
    get sessionPort() {
      return data.portOf('session') ?? config.proxyPortSession
    },
  }
}
