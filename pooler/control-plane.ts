// The part of the process that knows projects, people and their access: the metadata, what is
// remembered of them, and who may come in. Sees no socket of a client or a server.
import { hostname } from 'node:os'
import type { Clock } from '../shared/clock.ts'
import { SecretBox } from '../shared/crypto/secret-box.ts'
import type { Log } from '../shared/log.ts'
import { AccessEnder } from './access/access-ender.ts'
import { AccessTokens } from './access/access-tokens.ts'
import { AssignableRoles, type ProjectQuery } from './access/assignable-roles.ts'
import { AuditTrail } from './access/audit-trail.ts'
import { LiveSessions } from './access/live-sessions.ts'
import { TokenAccess } from './access/token-access.ts'
import { AuthQuery } from './auth/auth-query.ts'
import { AuthThrottle } from './auth/auth-throttle.ts'
import { Authenticator } from './auth/authenticate.ts'
import { Credentials } from './auth/credentials.ts'
import { MockVerifiers } from './auth/mock-verifier.ts'
import { RoleVerifiers } from './auth/role-verifiers.ts'
import { TokenAuth } from './auth/token-auth.ts'
import type { Config } from './config/settings.ts'
import type { UpstreamAddresses } from './pool/upstream-address.ts'
import { BranchStore } from './store/branches.ts'
import { ChangeFeed } from './store/change-feed.ts'
import { type Database, openDatabase } from './store/database.ts'
import { EventStore } from './store/events.ts'
import { MemberStore } from './store/members.ts'
import { RuleStore } from './store/rules.ts'
import { TenantStore } from './store/tenants.ts'
import { TokenStore } from './store/tokens.ts'
import { TenantCache } from './tenant/tenant-cache.ts'

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
}

const dayMs = 86_400_000
/** How long a person may stay in while it cannot be judged whether they still may. */
const accessBlindMaxMs = 300_000

export class ControlPlane {
  readonly database: Database
  readonly tenants: TenantStore
  readonly branches: BranchStore
  readonly members: MemberStore
  readonly tokens: TokenStore
  readonly rules: RuleStore
  readonly events: EventStore
  readonly changes: ChangeFeed
  readonly tenantCache: TenantCache
  readonly liveSessions: LiveSessions
  readonly accessTokens: AccessTokens
  readonly assignableRoles: AssignableRoles
  readonly auditTrail: AuditTrail
  readonly throttle: AuthThrottle
  readonly credentials = new Credentials()
  readonly authenticator: Authenticator
  readonly #ender: AccessEnder
  readonly #authQuery: AuthQuery

  constructor(options: ControlPlaneOptions) {
    const { config, clock, log, databaseUrl, globalCa, addresses } = options
    const box = new SecretBox({ current: options.vaultKey, previous: config.vaultEncKeyPrevious })
    const database = openDatabase(databaseUrl, log)
    this.database = database
    this.tenants = new TenantStore(database, box)
    this.branches = new BranchStore(database, box)
    this.members = new MemberStore(database)
    this.tokens = new TokenStore(database)
    this.rules = new RuleStore(database)
    this.events = new EventStore(database, `${hostname()}/${process.pid}`)
    const changes = new ChangeFeed({ url: databaseUrl, database, clock, log })
    this.changes = changes
    this.tenantCache = new TenantCache({ tenants: this.tenants, changes, clock, log })
    this.liveSessions = new LiveSessions(clock)
    this.accessTokens = new AccessTokens({ tokens: this.tokens, changes, clock, log })
    this.assignableRoles = new AssignableRoles({ query: options.projectQuery, changes, clock })
    this.auditTrail = new AuditTrail({
      events: this.events,
      clock,
      log,
      retentionMs: config.auditRetentionDays * dayMs,
    })
    const tokenAccess = new TokenAccess({
      accessTokens: this.accessTokens,
      rules: this.rules,
      tenants: this.tenantCache,
      changes,
      clock,
      assignableRoles: this.assignableRoles,
      canRecord: () => this.auditTrail.hasRoomForLogin,
    })
    this.#ender = new AccessEnder({
      sessions: this.liveSessions,
      tokenAccess,
      changes,
      clock,
      log,
      blindMaxMs: accessBlindMaxMs,
    })
    this.throttle = new AuthThrottle(clock)
    this.#authQuery = new AuthQuery({
      connectTimeoutMs: config.serverConnectTimeoutMs,
      loginTimeoutMs: config.serverLoginTimeoutMs,
      globalCa,
      addresses,
      clock,
      log,
    })
    this.authenticator = this.#newAuthenticator(options, box, tokenAccess)
  }

  /** Listens for changes. Rejects when the metadata cannot be reached. */
  async start(): Promise<void> {
    await this.changes.start()
  }

  /** What has been recorded is written before the metadata are let go. */
  async stop(): Promise<void> {
    this.#ender.close()
    this.#authQuery.close()
    await this.auditTrail.close()
    await this.accessTokens.close()
    await this.changes.close()
    await this.database.close()
  }

  #newAuthenticator(
    { clock, log }: ControlPlaneOptions,
    box: SecretBox,
    tokenAccess: TokenAccess,
  ): Authenticator {
    const { throttle, credentials, liveSessions, auditTrail } = this
    const verifiers = new RoleVerifiers({
      authQuery: this.#authQuery,
      mocks: new MockVerifiers(box.deriveKey('made-up verifiers')),
      clock,
      onVerifier: (tenant, role, verifier) => credentials.noteVerifier(tenant, role, verifier),
    })
    const wallMs = (): number => clock.wallMs()
    const tokenAuth = new TokenAuth({ tokenAccess, liveSessions, auditTrail, wallMs })
    return new Authenticator({ verifiers, credentials, throttle, tokenAuth, clock, log })
  }
}
