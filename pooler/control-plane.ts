// The part of the process that knows projects, people and their access: the metadata, what is
// remembered of them, and who may come in. Sees no socket of a client or a server.
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Clock } from '../shared/clock.ts'
import { SecretBox } from '../shared/crypto/secret-box.ts'
import type { Log } from '../shared/log.ts'
import { AccessEnder } from './access/access-ender.ts'
import { AccessTokens } from './access/access-tokens.ts'
import { AssignableRoles, type ProjectQuery } from './access/assignable-roles.ts'
import { AuditTrail } from './access/audit-trail.ts'
import { Bearers } from './access/bearers.ts'
import { GuardedClient } from './access/guarded-client.ts'
import { HoldRecord } from './access/hold-record.ts'
import { HttpAuthoriser } from './access/http-authoriser.ts'
import { LiveSessions } from './access/live-sessions.ts'
import { OutsideAccess } from './access/outside-access.ts'
import { OutsideWatch } from './access/outside-watch.ts'
import { Presence } from './access/presence.ts'
import type { ProviderSignIn } from './access/provider-sign-in.ts'
import { SessionJwts } from './access/session-jwt.ts'
import { SessionKeys } from './access/session-keys.ts'
import { TokenAccess } from './access/token-access.ts'
import { AuthQuery } from './auth/auth-query.ts'
import { AuthThrottle } from './auth/auth-throttle.ts'
import { Authenticator } from './auth/authenticate.ts'
import { Credentials } from './auth/credentials.ts'
import { MockVerifiers } from './auth/mock-verifier.ts'
import { RoleVerifiers } from './auth/role-verifiers.ts'
import { TokenAuth } from './auth/token-auth.ts'
import type { Config } from './config/settings.ts'
import { type EventWebhook, newEventWebhook } from './event-webhook.ts'
import { newInviteWebhook, tellUndelivered } from './invite-webhook.ts'
import { DecisionTimes } from './metrics/counters.ts'
import type { ControlSnapshot } from './metrics/snapshot.ts'
import type { UpstreamAddresses } from './pool/upstream-address.ts'
import { newProviderParts } from './provider-parts.ts'
import { BranchStore } from './store/branches.ts'
import { ChangeFeed } from './store/change-feed.ts'
import { type Database, openDatabase } from './store/database.ts'
import { EndedSessionStore } from './store/ended-sessions.ts'
import { type AccessEvent, EventStore } from './store/events.ts'
import { HoldStore } from './store/holds.ts'
import { IdentityStore } from './store/identities.ts'
import { InvitationStore } from './store/invitations.ts'
import { MemberStore } from './store/members.ts'
import { PresenceStore } from './store/presence.ts'
import { RuleStore } from './store/rules.ts'
import { SealedSecrets } from './store/sealed-secrets.ts'
import { SigningKeyStore } from './store/signing-keys.ts'
import { TenantStore } from './store/tenants.ts'
import { TokenStore } from './store/tokens.ts'
import { KeyReplacement } from './tenant/key-replacement.ts'
import { TenantCache } from './tenant/tenant-cache.ts'
import type { WebhookQueue } from './webhook/webhook-queue.ts'

export interface ControlPlaneOptions {
  readonly config: Config
  /** Of the metadata; its schema has been brought up to date. */
  readonly databaseUrl: string
  readonly vaultKey: NonNullable<Config['vaultEncKey']>
  readonly globalCa: string | null
  readonly addresses: UpstreamAddresses
  readonly clock: Clock
  readonly log: Log
  /** Asks a project's database about its roles, over an auxiliary connection. */
  readonly projectQuery: ProjectQuery
  /** For what is no database: identity providers, outside authorisers. */
  readonly guardedAddresses: UpstreamAddresses
}

const dayMs = 86_400_000

/** Not only host and process: in a container both come again with the next start. */
const newProcessName = (): string =>
  `${hostname()}/${process.pid}/${randomBytes(4).toString('hex')}`

export class ControlPlane {
  readonly database: Database
  readonly tenants: TenantStore
  readonly branches: BranchStore
  readonly invitations: InvitationStore
  readonly inviteWebhook: WebhookQueue | null
  readonly eventWebhook: EventWebhook | null
  readonly members: MemberStore
  readonly tokens: TokenStore
  readonly rules: RuleStore
  readonly events: EventStore
  readonly holds: HoldStore
  readonly changes: ChangeFeed
  readonly tenantCache: TenantCache
  readonly liveSessions: LiveSessions
  readonly identities: IdentityStore
  readonly accessTokens: AccessTokens
  readonly sessionKeys: SessionKeys
  readonly sessionJwts: SessionJwts
  readonly bearers: Bearers
  /** null: people sign in with tokens only. */
  readonly providerSignIn: ProviderSignIn | null
  readonly assignableRoles: AssignableRoles
  readonly auditTrail: AuditTrail
  readonly holdRecord: HoldRecord
  readonly presence: Presence
  readonly throttle: AuthThrottle
  readonly keyReplacement: KeyReplacement
  readonly credentials = new Credentials()
  readonly tokenDecisions = new DecisionTimes()
  readonly authenticator: Authenticator
  readonly #ender: AccessEnder
  readonly #authQuery: AuthQuery
  readonly #outsideWatch: OutsideWatch
  readonly #guardedClient: GuardedClient
  readonly #options: ControlPlaneOptions

  constructor(options: ControlPlaneOptions) {
    const { config, clock, log, databaseUrl } = options
    this.#options = options
    const box = new SecretBox({ current: options.vaultKey, previous: config.vaultEncKeyPrevious })
    const database = openDatabase(databaseUrl, log)
    this.database = database
    this.keyReplacement = newKeyReplacement(options, new SealedSecrets(database, box))
    this.tenants = new TenantStore(database, box)
    this.branches = new BranchStore(database, box)
    this.invitations = new InvitationStore(database)
    this.inviteWebhook = newInviteWebhook(config, this.invitations, clock, log)
    this.members = new MemberStore(database)
    this.tokens = new TokenStore(database)
    this.rules = new RuleStore(database)
    this.identities = new IdentityStore(database)
    const processName = newProcessName()
    this.events = new EventStore(database, processName)
    this.holds = new HoldStore(database, processName)
    const changes = new ChangeFeed({ url: databaseUrl, database, clock, log })
    this.changes = changes
    this.tenantCache = new TenantCache({ tenants: this.tenants, changes, clock, log })
    this.liveSessions = new LiveSessions(clock)
    this.accessTokens = new AccessTokens({ tokens: this.tokens, changes, clock, log })
    this.#guardedClient = new GuardedClient({ addresses: options.guardedAddresses, clock })
    this.sessionKeys = new SessionKeys({ store: new SigningKeyStore(database, box), clock, log })
    this.sessionJwts = new SessionJwts(this.sessionKeys, clock)
    const provider = newProviderParts({ ...options, client: this.#guardedClient, box })
    this.providerSignIn = provider.signIn
    this.bearers = new Bearers({
      accessTokens: this.accessTokens,
      sessionJwts: this.sessionJwts,
      provider: provider.bearers,
      identities: this.identities,
      endedSessions: new EndedSessionStore(database),
      changes,
      clock,
    })
    this.assignableRoles = new AssignableRoles({ query: options.projectQuery, changes, clock })
    const retentionMs = config.auditRetentionDays * dayMs
    this.eventWebhook = newEventWebhook(config, clock, log)
    const onWritten = (events: readonly AccessEvent[]) => this.eventWebhook?.tell(events)
    this.auditTrail = new AuditTrail({ events: this.events, clock, log, retentionMs, onWritten })
    this.holdRecord = new HoldRecord({ holds: this.holds, clock, log, retentionMs })
    const presenceStore = new PresenceStore(database, processName)
    const sessions = this.liveSessions
    this.presence = new Presence({ store: presenceStore, sessions, clock, log })
    const outside = newOutsideAccess(options, this.#guardedClient, changes)
    const tokenAccess = new TokenAccess({
      bearers: this.bearers,
      outside,
      rules: this.rules,
      tenants: this.tenantCache,
      changes,
      clock,
      assignableRoles: this.assignableRoles,
      canRecord: () => this.auditTrail.hasRoomForLogin && this.holdRecord.hasRoomForLogin,
    })
    this.#ender = new AccessEnder({
      sessions,
      tokenAccess,
      changes,
      clock,
      log,
      blindMaxMs: config.accessBlindMaxMs,
    })
    this.#outsideWatch = new OutsideWatch({
      sessions,
      outside,
      tenants: this.tenantCache,
      clock,
      recheckMs: config.jitRecheckMs,
    })
    this.throttle = new AuthThrottle(clock)
    this.#authQuery = newAuthQuery(options)
    this.authenticator = this.#newAuthenticator(options, box, tokenAccess)
  }

  /** What the metrics show of it. */
  get snapshot(): ControlSnapshot {
    const { tokenDecisions, liveSessions, keyReplacement } = this
    return { tokenDecisions, liveSessions: liveSessions.size, sealed: keyReplacement.counts }
  }

  /** Listens for changes. Rejects when the metadata cannot be reached, or VAULT_ENC_KEY is not theirs. */
  async start(): Promise<void> {
    await this.changes.start()
    await this.keyReplacement.check()
    await this.sessionKeys.renew()
    this.presence.start()
    await tellUndelivered(this.invitations, this.#options.clock.wallMs(), this.#options.log)
  }

  /** What has been recorded is written before the metadata are let go. */
  async stop(): Promise<void> {
    await this.keyReplacement.close()
    this.#ender.close()
    this.#outsideWatch.close()
    this.#authQuery.close()
    this.sessionKeys.close()
    this.#guardedClient.close()
    await this.inviteWebhook?.close()
    await this.holdRecord.close()
    const isRecorded = await this.auditTrail.close()
    await this.eventWebhook?.close()
    await this.presence.close(isRecorded)
    await this.accessTokens.close()
    await this.changes.close()
    await this.database.close()
  }

  #newAuthenticator(
    { clock, log }: ControlPlaneOptions,
    box: SecretBox,
    tokenAccess: TokenAccess,
  ): Authenticator {
    const { throttle, credentials, liveSessions, auditTrail, holdRecord } = this
    const decisions = this.tokenDecisions
    const verifiers = new RoleVerifiers({
      authQuery: this.#authQuery,
      mocks: new MockVerifiers(box.deriveKey('made-up verifiers')),
      clock,
      onVerifier: (tenant, role, verifier) => credentials.noteVerifier(tenant, role, verifier),
    })
    const tokenAuth = new TokenAuth({
      tokenAccess,
      liveSessions,
      auditTrail,
      holds: holdRecord,
      decisions,
      clock,
    })
    return new Authenticator({ verifiers, credentials, throttle, tokenAuth, clock, log })
  }
}

function newAuthQuery(options: ControlPlaneOptions): AuthQuery {
  const { serverConnectTimeoutMs, serverLoginTimeoutMs } = options.config
  return new AuthQuery({
    ...options,
    connectTimeoutMs: serverConnectTimeoutMs,
    loginTimeoutMs: serverLoginTimeoutMs,
  })
}

const newKeyReplacement = (
  { config, clock, log }: ControlPlaneOptions,
  secrets: SealedSecrets,
): KeyReplacement =>
  new KeyReplacement({ secrets, hasPreviousKey: config.vaultEncKeyPrevious !== null, clock, log })

const newOutsideAccess = (
  { clock, log }: ControlPlaneOptions,
  client: GuardedClient,
  changes: ChangeFeed,
): OutsideAccess => new OutsideAccess(new HttpAuthoriser({ client, changes, clock, log }), clock)
