// All that the HTTP side needs of the rest of the process. It sees stores and registries, never a
// socket of a client or server; whoever composes the process fills this in.
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { ServerCertificates } from '../accept/server-certificates.ts'
import type { AssignableRoles } from '../access/assignable-roles.ts'
import type { AuditTrail } from '../access/audit-trail.ts'
import type { Bearers } from '../access/bearers.ts'
import type { ProviderSignIn } from '../access/provider-sign-in.ts'
import type { SessionJwts } from '../access/session-jwt.ts'
import type { SessionKeys } from '../access/session-keys.ts'
import type { WebSessions } from '../access/web-sessions.ts'
import type { BlockedSource } from '../auth/auth-throttle.ts'
import type { BranchStore } from '../store/branches.ts'
import type { Changes } from '../store/change-feed.ts'
import type { EventStore } from '../store/events.ts'
import type { HoldStore } from '../store/holds.ts'
import type { IdentityStore } from '../store/identities.ts'
import type { InvitationStore } from '../store/invitations.ts'
import type { MemberStore } from '../store/members.ts'
import type { RuleStore } from '../store/rules.ts'
import type { TenantStore } from '../store/tenants.ts'
import type { TokenStore } from '../store/tokens.ts'
import type { IpVersion, Tenant } from '../tenant/tenant.ts'
import type { WebhookQueue } from '../webhook/webhook-queue.ts'
import type { JwtSecrets } from './jwt-guard.ts'

/** A person's live connection, in whichever process. */
export interface SessionView {
  readonly sessionId: string
  readonly userId: string
  readonly email: string | null
  readonly role: string
  readonly address: string
  readonly applicationName: string | null
  readonly startedAtMs: number
  /** null: access without an end. */
  readonly endsAtMs: number | null
}

export interface SessionBoard {
  list(ref: string): Promise<readonly SessionView[]>
  /** Tells every process to end it; the client has its FATAL within a second. */
  end(ref: string, sessionId: string, reason: string): Promise<void>
}

export interface ThrottleBoard {
  list(ref: string): Promise<readonly BlockedSource[]>
  /** Without sources: all of the project. */
  lift(ref: string, sources?: readonly string[]): Promise<void>
}

export interface PoolControl {
  /** Ends every client and server of the project, in every process; `reason` is what they are told. */
  terminate(ref: string, reason: string): Promise<void>
}

export interface DatabaseFacts {
  /** server_version_num: 170004 for 17.4. */
  readonly serverVersionNum: number
}

export interface UpstreamPlace {
  readonly host: string
  readonly port: number
  readonly ipVersion: IpVersion
}

export interface ProjectFigures {
  readonly clients: number
  readonly waiting: number
  readonly oldestWaitMs: number
  /** Servers at work for a client, and all that are open. */
  readonly serversBusy: number
  readonly servers: number
  readonly serversMax: number
  /** Of all pools together; they shrink where a pool goes. */
  readonly transactions: number
  readonly queries: number
  readonly bytesFromClients: number
  readonly bytesToClients: number
  /** Waits for a server by buckets, as metrics/histogram.ts has them. */
  readonly checkouts: readonly number[]
}

export interface RenderedMetrics {
  readonly contentType: string
  readonly text: string
}

export interface ApiSettings {
  /** null: /api answers 403 to everybody. */
  readonly apiJwt: JwtSecrets | null
  /** null: metrics only for a loopback peer that no proxy stands before. */
  readonly metricsJwt: JwtSecrets | null
  /** Addresses or CIDRs whose X-Forwarded-For is believed; empty: nobody's. */
  readonly trustedProxies: readonly string[]
  /** Of the Postgres ports; they may be renewed. null: plain HTTP. */
  readonly tls: Pick<ServerCertificates, 'contextFor' | 'covers' | 'defaultPair'> | null
  readonly isRuleExpiryRequired: boolean
  /** AUTH_ISSUER; null: there is no identity provider. */
  readonly identityIssuer: string | null
  /** False where clients cannot have TLS, and tokens are therefore never taken. */
  readonly canTakeTokens: boolean
  /** Where people reach this API, for links; null: at the address that they used. */
  readonly publicUrl: string | null
  /** What clients dial: stands in connection strings. */
  readonly poolerHost: string
  /** null: there are no direct host names. */
  readonly poolerDomain: string | null
  readonly transactionPort: number
  readonly sessionPort: number
}

export interface ApiDeps {
  readonly tenants: TenantStore
  readonly branches: BranchStore
  readonly invitations: InvitationStore
  /** null: links of invitations are told to whoever invites. */
  readonly inviteWebhook: Pick<WebhookQueue, 'push'> | null
  readonly members: MemberStore
  readonly tokens: TokenStore
  readonly rules: RuleStore
  readonly events: Pick<EventStore, 'query'>
  readonly identities: Pick<IdentityStore, 'link' | 'list' | 'unlink'>
  readonly bearers: Pick<Bearers, 'find' | 'identityOf' | 'logOut' | 'ownerOf'>
  /** null: people sign in with tokens only. */
  readonly providerSignIn: Pick<ProviderSignIn, 'begin' | 'finish'> | null
  readonly sessionJwts: Pick<SessionJwts, 'issue'>
  readonly sessionKeys: Pick<SessionKeys, 'published'>
  readonly webSessions: Pick<WebSessions, 'open' | 'find' | 'close'>
  readonly changes: Pick<Changes, 'onChange'>
  readonly holds: Pick<HoldStore, 'query'>
  readonly assignableRoles: Pick<AssignableRoles, 'list' | 'judge'>
  readonly auditTrail: Pick<AuditTrail, 'record'>
  readonly liveSessions: SessionBoard
  readonly throttle: ThrottleBoard
  readonly poolControl: PoolControl
  /** Asks the project's database itself. */
  databaseFacts(tenant: Tenant): Promise<DatabaseFacts | 'unreachable'>
  /** Why nothing will ever connect there, once its name is resolved; null: nothing is known against it. */
  upstreamFault(place: UpstreamPlace): Promise<string | null>
  /** What the project's pools in this process do at this moment, and have done since they were made. */
  projectFigures(ref: string): Promise<ProjectFigures>
  /** Why this process should get no traffic; empty when it should. */
  readiness(): Promise<readonly string[]>
  /** Tells an outage of the metadata from a fault of ours. */
  isMetadataReachable(): Promise<boolean>
  /** All series, or those of one project. */
  renderMetrics(ref: string | null): Promise<RenderedMetrics>
  readonly settings: ApiSettings
  readonly log: Log
  readonly clock: Clock
}
