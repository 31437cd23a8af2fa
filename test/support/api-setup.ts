// An API server over real stores in a database of its own. What the API only asks of the rest of
// the process (databases, live sessions, pools) stands still here and is set by the test.
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { SignJWT } from 'jose'
import { AccessTokens } from '../../pooler/access/access-tokens.ts'
import { Bearers } from '../../pooler/access/bearers.ts'
import type { RoleVerdict } from '../../pooler/access/role-verdict.ts'
import { SessionJwts } from '../../pooler/access/session-jwt.ts'
import { SessionKeys } from '../../pooler/access/session-keys.ts'
import { WebSessions } from '../../pooler/access/web-sessions.ts'
import type { ApiDeps, ProjectFigures, SessionView } from '../../pooler/api/api-deps.ts'
import { createApiServer } from '../../pooler/api/api-server.ts'
import type { BlockedSource } from '../../pooler/auth/auth-throttle.ts'
import { BranchStore } from '../../pooler/store/branches.ts'
import { type Database, openDatabase } from '../../pooler/store/database.ts'
import { EndedSessionStore } from '../../pooler/store/ended-sessions.ts'
import { type AccessEvent, EventStore } from '../../pooler/store/events.ts'
import { HoldStore } from '../../pooler/store/holds.ts'
import { IdentityStore } from '../../pooler/store/identities.ts'
import { InvitationStore } from '../../pooler/store/invitations.ts'
import { MemberStore } from '../../pooler/store/members.ts'
import { RuleStore } from '../../pooler/store/rules.ts'
import type { MembershipRole } from '../../pooler/store/schema.ts'
import { SigningKeyStore } from '../../pooler/store/signing-keys.ts'
import type { TenantInput } from '../../pooler/store/tenant-input.ts'
import { TenantStore } from '../../pooler/store/tenants.ts'
import { TokenStore } from '../../pooler/store/tokens.ts'
import { WebSessionStore } from '../../pooler/store/web-sessions.ts'
import { SecretBox } from '../../shared/crypto/secret-box.ts'
import { nullLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import { type ApiDocument, ApiDocumentCheck } from './api-document-check.ts'
import { HandDrivenChanges } from './hand-driven-changes.ts'
import { ManualClock } from './manual-clock.ts'
import { sharedPostgres, uniqueName } from './postgres.ts'
import { makeVerdict } from './rules.ts'

export const apiJwtSecret = 'the secret of this test run, 32 characters'

export interface Person {
  readonly userId: string
  readonly token: string
  readonly tokenId: string
}

/** What the API is told of the world outside the metadata; tests change it as they go. */
export class ApiWorld {
  serverVersionNum: number | 'unreachable' = 180_000
  readiness: readonly string[] = []
  isMetadataReachable = true
  /** By host. */
  readonly upstreamFaults = new Map<string, string>()
  readonly roles = new Map<string, RoleVerdict>()
  readonly sessions = new Map<string, SessionView[]>()
  readonly ended: { ref: string; sessionId: string; reason: string }[] = []
  readonly terminated: string[] = []
  readonly blocked = new Map<string, BlockedSource[]>()
  readonly events: AccessEvent[] = []
  readonly changes = new HandDrivenChanges()
  figures: ProjectFigures = {
    clients: 0,
    waiting: 0,
    oldestWaitMs: 0,
    serversBusy: 0,
    servers: 0,
    serversMax: 0,
    transactions: 0,
    queries: 0,
    bytesFromClients: 0,
    bytesToClients: 0,
    checkouts: [],
  }

  addRole(role: string, verdict: Partial<RoleVerdict> = {}): void {
    this.roles.set(role, makeVerdict(role, verdict))
  }

  /** The last event of the action, without its time. */
  lastEvent(action: AccessEvent['action']): AccessEvent | undefined {
    return this.events.findLast((event) => event.action === action)
  }
}

export interface ApiSetup {
  readonly app: FastifyInstance
  readonly deps: ApiDeps
  readonly world: ApiWorld
  readonly clock: ManualClock
  /** A tenant that enforces TLS, with a stored password for `app` and temporary access on. */
  project(input?: Partial<TenantInput>): Promise<string>
  person(memberships?: Readonly<Record<string, MembershipRole>>): Promise<Person>
  ask(token: string | null, request: InjectOptions): Promise<LightMyRequestResponse>
  apiJwt(): Promise<string>
  close(): Promise<void>
}

export async function setUpApi(
  settings: Partial<ApiDeps['settings']> = {},
  parts: Partial<ApiDeps> = {},
): Promise<ApiSetup> {
  const postgres = sharedPostgres()
  const name = uniqueName('api')
  await postgres.createDatabase(name)
  const database = openDatabase(postgres.url(name), nullLog)
  await database.migrate()
  const world = new ApiWorld()
  const clock = new ManualClock(Date.now())
  const box = new SecretBox({ current: new Secret('0123456789abcdef0123456789abcdef') })
  const stores = {
    tenants: new TenantStore(database, box),
    branches: new BranchStore(database, box),
    members: new MemberStore(database),
    invitations: new InvitationStore(database),
    tokens: new TokenStore(database),
    rules: new RuleStore(database),
    identities: new IdentityStore(database),
    events: new EventStore(database, 'test'),
    holds: new HoldStore(database, 'test'),
  }
  const deps: ApiDeps = {
    ...stores,
    ...sessionParts(database, box, stores, clock),
    ...worldly(world),
    inviteWebhook: null,
    providerSignIn: null,
    ...parts,
    settings: { ...usualSettings, ...settings },
    log: nullLog,
    clock,
  }
  const app = createApiServer(deps)
  await app.ready()
  const documentCheck = new ApiDocumentCheck(app.swagger() as unknown as ApiDocument)
  return {
    app,
    deps,
    world,
    clock,
    project: (input) => makeProject(stores.tenants, input),
    person: (memberships) => makePerson(deps, memberships),
    ask: async (token, request) => {
      const answer = await app.inject({
        ...request,
        headers: {
          ...request.headers,
          ...(token !== null && { authorization: `Bearer ${token}` }),
        },
      })
      documentCheck.check(request, answer)
      return answer
    },
    apiJwt: () => signApiJwt(),
    async close() {
      await app.close()
      await database.close()
      await postgres.dropDatabase(name)
    },
  }
}

/** Straight from the store: what a cache in front of it forgets in time is that cache's test. */
function sessionParts(
  database: Database,
  box: SecretBox,
  stores: { readonly tokens: TokenStore; readonly identities: IdentityStore },
  clock: ManualClock,
): Pick<ApiDeps, SessionPart> {
  const { tokens, identities } = stores
  const changes = new HandDrivenChanges()
  changes.isBlind = true
  // Their upkeep is not what a test of the API counts among its timers.
  const still = new ManualClock(clock.wallMs())
  const store = new SigningKeyStore(database, box)
  const keys = new SessionKeys({ store, clock: still, log: nullLog })
  const sessionJwts = new SessionJwts(keys, clock)
  const bearers = new Bearers({
    accessTokens: new AccessTokens({ tokens, changes, clock: still, log: nullLog }),
    sessionJwts,
    provider: null,
    identities,
    endedSessions: new EndedSessionStore(database),
    changes,
    clock,
  })
  const webSessions = new WebSessions({ store: new WebSessionStore(database), bearers, clock })
  return { bearers, sessionJwts, sessionKeys: keys, webSessions }
}

const usualSettings: ApiDeps['settings'] = {
  apiJwt: { current: new Secret(apiJwtSecret), previous: null },
  metricsJwt: null,
  trustedProxies: [],
  tls: null,
  isRuleExpiryRequired: false,
  identityIssuer: null,
  canTakeTokens: true,
  publicUrl: null,
  poolerHost: 'pooler.example.com',
  poolerDomain: 'pooler.example.com',
  transactionPort: 6543,
  sessionPort: 5432,
}

function worldly(
  world: ApiWorld,
): Omit<
  ApiDeps,
  'settings' | 'log' | 'clock' | 'inviteWebhook' | 'providerSignIn' | SessionPart | StoreName
> {
  return {
    assignableRoles: {
      list: async () => [...world.roles.values()],
      judge: async (_tenant, role) =>
        world.roles.get(role) ??
        makeVerdict(role, { isAssignable: false, reason: 'the database has no such role' }),
    },
    auditTrail: { record: (event) => world.events.push(event) },
    liveSessions: {
      list: async (ref) => world.sessions.get(ref) ?? [],
      end: async (ref, sessionId, reason) => {
        world.ended.push({ ref, sessionId, reason })
      },
    },
    throttle: {
      list: async (ref) => world.blocked.get(ref) ?? [],
      lift: async (ref, sources) => {
        const kept = (world.blocked.get(ref) ?? []).filter((one) => !sources?.includes(one.source))
        world.blocked.set(ref, kept)
      },
    },
    poolControl: {
      terminate: async (ref) => {
        world.terminated.push(ref)
      },
    },
    databaseFacts: async () =>
      world.serverVersionNum === 'unreachable'
        ? 'unreachable'
        : { serverVersionNum: world.serverVersionNum },
    changes: world.changes,
    projectFigures: async () => world.figures,
    upstreamFault: async ({ host }) => world.upstreamFaults.get(host) ?? null,
    readiness: async () => world.readiness,
    isMetadataReachable: async () => world.isMetadataReachable,
    renderMetrics: async (ref) => ({
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      text: `pooler_clients{tenant="${ref ?? 'all'}"} 1\n`,
    }),
  }
}

type SessionPart = 'bearers' | 'sessionJwts' | 'sessionKeys' | 'webSessions'
type StoreName =
  | 'tenants'
  | 'branches'
  | 'invitations'
  | 'members'
  | 'tokens'
  | 'rules'
  | 'identities'
  | 'events'
  | 'holds'

let projectCount = 0

async function makeProject(
  tenants: TenantStore,
  input: Partial<TenantInput> = {},
): Promise<string> {
  projectCount += 1
  const ref = `project${String(projectCount).replace(/\d/g, (digit) => 'abcdefghij'[Number(digit)]!)}`
  await tenants.put(ref, {
    dbHost: 'db.example.com',
    dbPort: 5432,
    dbDatabase: 'postgres',
    enforceSsl: true,
    useJit: true,
    users: [{ dbUser: 'app', dbPassword: new Secret('app password') }],
    ...input,
  })
  return ref
}

async function makePerson(
  deps: Pick<ApiDeps, 'members' | 'tokens'>,
  memberships: Readonly<Record<string, MembershipRole>> = {},
): Promise<Person> {
  const userId = randomUUID()
  await deps.members.put(userId, { email: `${userId}@example.com`, name: `person ${userId}` })
  for (const [ref, role] of Object.entries(memberships)) {
    await deps.members.putMembership(ref, userId, role, 'operator')
  }
  const { token, record } = await deps.tokens.create({ userId, name: 'test' })
  return { userId, token: token.reveal(), tokenId: record.id }
}

function signApiJwt(): Promise<string> {
  return new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(apiJwtSecret))
}
