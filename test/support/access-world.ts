// One member with a token and a rule, and everything that decides and ends access, on stores in
// memory, a feed that the test drives, and a clock that it moves.
import { AccessEnder } from '../../pooler/access/access-ender.ts'
import { AccessTokens } from '../../pooler/access/access-tokens.ts'
import { Bearers } from '../../pooler/access/bearers.ts'
import type { OutsideAnswer, OutsideQuestion } from '../../pooler/access/http-authoriser.ts'
import { type LiveSession, LiveSessions } from '../../pooler/access/live-sessions.ts'
import { OutsideAccess } from '../../pooler/access/outside-access.ts'
import { OutsideWatch } from '../../pooler/access/outside-watch.ts'
import type { RoleVerdict } from '../../pooler/access/role-verdict.ts'
import { type AccessDecision, TokenAccess } from '../../pooler/access/token-access.ts'
import type { Rule, Standing } from '../../pooler/store/rules.ts'
import type { MembershipRole } from '../../pooler/store/schema.ts'
import type { TokenOwner, TokenRecord } from '../../pooler/store/tokens.ts'
import type { Tenant } from '../../pooler/tenant/tenant.ts'
import { nullLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import { HandDrivenChanges } from './hand-driven-changes.ts'
import { ManualClock } from './manual-clock.ts'
import { makeRule, makeVerdict } from './rules.ts'
import { tenantNamed } from './some-tenant.ts'

export const token = new Secret(`sbp_${'a'.repeat(40)}`)

interface Login {
  readonly ref?: string
  readonly tenant?: Tenant
  readonly role?: string
  readonly address?: string
  readonly session?: LiveSession
}

export class AccessWorld {
  readonly clock = new ManualClock()
  readonly changes = new HandDrivenChanges()
  readonly projects = new Map<string, Tenant>()
  readonly notAssignable = new Set<string>()
  /** By name. */
  readonly roleIdentities = new Map<string, string>()
  owner: TokenOwner | null = {
    token: {
      id: 'token of ada',
      userId: 'ada',
      name: 'laptop',
      prefix: 'sbp_aaaa',
      scope: null,
      createdAtMs: 0,
      expiresAtMs: null,
      revokedAtMs: null,
      lastUsedAtMs: null,
    },
    member: {
      userId: 'ada',
      email: 'ada@example.com',
      name: 'Ada',
      isOperator: false,
      createdAtMs: 0,
    },
  }
  membership: MembershipRole | null = 'developer'
  rules: Rule[] = []
  isDown = false
  isProjectDown = false
  canRecord = true
  standingsAsked = 0
  rolesJudged = 0
  /** What each session was told, by its id. */
  readonly told = new Map<string, string[]>()
  readonly sessions = new LiveSessions(this.clock)
  readonly access: TokenAccess
  readonly ender: AccessEnder
  readonly watch: OutsideWatch
  /** What the outside authoriser answers; null: nothing at all. */
  outside: OutsideAnswer | null = null
  outsideAsked: OutsideQuestion[] = []
  #held: Held | null = null

  constructor(options: { blindMaxMs?: number } = {}) {
    this.addProject('shop')
    this.giveRule()
    // The ender hears of a change before the caches do: the order must not matter.
    this.ender = new AccessEnder({
      sessions: this.sessions,
      tokenAccess: { rejudge: (session) => this.access.rejudge(session) },
      changes: this.changes,
      clock: this.clock,
      log: nullLog,
      blindMaxMs: options.blindMaxMs ?? 300_000,
    })
    const accessTokens = new AccessTokens({
      tokens: {
        findBySha256: async () => this.#read(this.owner),
        findOwner: async () => this.#read(this.owner),
        touchLastUsed: async () => {},
      },
      changes: this.changes,
      clock: this.clock,
      log: nullLog,
    })
    const bearers = new Bearers({
      accessTokens,
      sessionJwts: { read: async () => null },
      provider: null,
      identities: { findMember: async () => null },
      endedSessions: { end: async () => {}, isEnded: async () => false },
      changes: this.changes,
      clock: this.clock,
    })
    const outside = new OutsideAccess({ ask: (one) => this.#askOutside(one) }, this.clock)
    this.watch = new OutsideWatch({
      sessions: this.sessions,
      outside,
      tenants: { peek: (ref) => this.projects.get(ref) ?? null },
      clock: this.clock,
      recheckMs: 60_000,
    })
    this.access = new TokenAccess({
      bearers,
      outside,
      rules: { standingOf: (ref, userId) => this.#standingOf(ref, userId) },
      tenants: {
        findFresh: async (ref) => this.#read(this.projects.get(ref) ?? null),
      },
      changes: this.changes,
      clock: this.clock,
      assignableRoles: {
        judge: async (_tenant, role) => this.#judgeRole(role),
        remembered: () => null,
      },
      canRecord: () => this.canRecord,
    })
  }

  async #askOutside(question: OutsideQuestion): Promise<OutsideAnswer> {
    this.outsideAsked.push(question)
    if (this.outside === null) throw new Error('the authoriser is away')
    const { outside } = this
    return outside.isAllowed ? { ...outside, answeredAtMs: this.clock.monotonicMs() } : outside
  }

  get project(): Tenant {
    return this.projects.get('shop')!
  }

  addProject(ref: string, changes: Partial<Tenant> = {}): void {
    this.projects.set(ref, tenantNamed(ref, changes))
  }

  giveRule(changes: Partial<Rule> = {}): void {
    this.rules = [makeRule(changes)]
  }

  changeToken(changes: Partial<TokenRecord>): void {
    if (this.owner !== null) {
      this.owner = { ...this.owner, token: { ...this.owner.token, ...changes } }
    }
  }

  judge({ ref = 'shop', ...login }: Login = {}): Promise<AccessDecision> {
    return this.access.judge({
      tenant: login.tenant ?? this.projects.get(ref)!,
      role: login.role ?? 'postgres',
      address: login.address ?? '203.0.113.9',
      token,
      ...(login.session && { session: login.session }),
    })
  }

  enter(sessionId: string, { ref = 'shop', ...login }: Login = {}): LiveSession {
    const told: string[] = []
    this.told.set(sessionId, told)
    return this.sessions.enter({
      sessionId,
      tenant: this.projects.get(ref)!,
      role: login.role ?? 'postgres',
      address: login.address ?? '203.0.113.9',
      applicationName: null,
      end: (reason) => told.push(reason),
      warn: (endsAtMs) => told.push(`ends in ${(endsAtMs - this.clock.wallMs()) / 1000} s`),
    })
  }

  /** Enters, judges and binds; fails when the person is not let in. */
  async login(sessionId: string, login: Login = {}): Promise<LiveSession> {
    const session = this.enter(sessionId, login)
    const decision = await this.judge({ ...login, session })
    if (!decision.isAllowed) throw new Error(`not let in: ${decision.reason}`)
    this.sessions.bind(session, decision)
    return session
  }

  toldTo(sessionId: string): readonly string[] {
    return this.told.get(sessionId) ?? []
  }

  /** Look-ups of rules wait until they are released, with what was there when they were asked. */
  holdStandings(): { readonly waiting: number; release(): void } {
    const held = new Held()
    this.#held = held
    return held
  }

  async #standingOf(ref: string, userId: string): Promise<Standing> {
    this.standingsAsked += 1
    const rules = this.rules.filter((rule) => rule.ref === ref && rule.userId === userId)
    const standing = { membership: this.membership, rules }
    await this.#held?.pass()
    return this.#read(standing)
  }

  #read<Value>(value: Value): Value {
    if (this.isDown) throw new Error('metadata are away')
    return value
  }

  #judgeRole(role: string): RoleVerdict {
    if (this.isProjectDown) throw new Error('the project is away')
    this.rolesJudged += 1
    const identity = this.roleIdentities.get(role) ?? null
    const isAssignable = !this.notAssignable.has(role)
    return makeVerdict(role, {
      identity,
      isAssignable,
      reason: isAssignable ? null : 'it is a superuser',
    })
  }
}

class Held {
  waiting = 0
  #open = (): void => {}
  readonly #gate = new Promise<void>((resolve) => {
    this.#open = resolve
  })

  pass(): Promise<void> {
    this.waiting += 1
    return this.#gate
  }

  release(): void {
    this.#open()
  }
}
