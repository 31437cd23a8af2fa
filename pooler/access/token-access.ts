// Asks the one decision with the facts of this moment: at login, and again for a live session. Facts
// come through caches of a few seconds that every announced change empties; while changes cannot be
// heard, nothing is decided.
import type { Clock } from '../../shared/clock.ts'
import { PoolerError } from '../../shared/errors.ts'
import type { Secret } from '../../shared/secret.ts'
import { standingsKnownMax } from '../config/limits.ts'
import type { Change, Changes } from '../store/change-feed.ts'
import { LookUpCache } from '../store/look-up-cache.ts'
import type { Member } from '../store/members.ts'
import type { Rule, RuleStore, Standing } from '../store/rules.ts'
import { isBanned, type Tenant } from '../tenant/tenant.ts'
import type { TenantCache } from '../tenant/tenant-cache.ts'
import type { KeptBearer } from './bearer.ts'
import type { BearerOwner, Bearers } from './bearers.ts'
import {
  type AccessGranted,
  type AccessQuestion,
  type AccessRefused,
  decideAccess,
  type RefusalReason,
  rulesRefOf,
  tokenFault,
} from './decide-access.ts'
import type { OutsideAccess, OutsideReason } from './outside-access.ts'
import { type RoleReason, type RoleVerdict, roleFault } from './role-verdict.ts'

export interface TokenAccessOptions {
  readonly bearers: Pick<Bearers, 'find' | 'ownerOf'>
  /** For projects with an outside authoriser. */
  readonly outside: Pick<OutsideAccess, 'ask' | 'decide'>
  readonly rules: Pick<RuleStore, 'standingOf'>
  readonly tenants: Pick<TenantCache, 'findFresh'>
  readonly changes: Changes
  readonly clock: Clock
  /** Whether the role may be given away at all, as the project's database has it now. */
  readonly assignableRoles: {
    judge(tenant: Tenant, role: string): Promise<RoleVerdict>
    remembered(tenant: Tenant, role: string): RoleVerdict | null
  }
  /** False: a login could not be recorded, so none is let in. */
  readonly canRecord: () => boolean
}

export interface LoginQuestion {
  readonly tenant: Tenant
  readonly role: string
  readonly token: Secret<string>
  readonly address: string
  /** The session that stands among the live ones already, so that no change is missed meanwhile. */
  readonly session?: { readonly doubts: number }
}

/** What the record and the server's attribution say of the person. */
export interface Person {
  readonly member: Pick<Member, 'userId' | 'email' | 'name'>
  readonly token: { readonly id: string; readonly name: string }
}

export interface AllowedAccess extends Person {
  readonly isAllowed: true
  readonly bearer: KeptBearer
  /** null: without end. */
  readonly endsAtMs: number | null
  readonly rule: Rule
  readonly warnings: readonly string[]
  /** The session's doubts that this answer has taken in. */
  readonly doubts: number
}

export interface RefusedAccess {
  readonly isAllowed: false
  readonly reason: RefusalReason | OutsideReason | RoleReason
  /** null where the token is nobody's. */
  readonly person: Person | null
}

interface RoleRefused {
  readonly isAllowed: false
  readonly reason: RoleReason
}

export type AccessDecision = AllowedAccess | RefusedAccess

/** What a live session is judged again by; the token is not kept. */
export interface JudgedBefore {
  readonly ref: string
  readonly role: string
  readonly address: string
  readonly bearer: KeptBearer
  readonly doubts: number
}

export type Rejudgement = AllowedAccess | { readonly isAllowed: false; readonly endReason: string }

const standingMs = 5000
/** Changes that keep coming while one login is judged; the session is judged again when bound. */
const judgingRoundsMax = 3

export class TokenAccess {
  readonly #options: TokenAccessOptions
  /** By project and member. */
  readonly #standings: LookUpCache<Standing>

  constructor(options: TokenAccessOptions) {
    this.#options = options
    this.#standings = new LookUpCache({
      entriesMax: standingsKnownMax,
      clock: options.clock,
      ttlMsOf: () => standingMs,
    })
    options.changes.onChange((change) => this.#onChange(change))
  }

  /**
   * Throws EAUTHPROVIDER when it cannot be decided right now: that is never the client's fault. An
   * answer is good until its end or the next change; bind the session to it to hear of either.
   */
  async judge(question: LoginQuestion): Promise<AccessDecision> {
    const { session } = question
    if (!this.#options.canRecord()) {
      throw new PoolerError('EAUTHPROVIDER', { cause: new Error('the record is full') })
    }
    return this.#whileSighted(async () => {
      for (let round = 1; ; round++) {
        const doubts = session?.doubts ?? 0
        const tenant = await this.#options.tenants.findFresh(question.tenant.ref)
        const decision =
          tenant === null || tenant.jitApiUrl === null
            ? await this.#judgeHere(question, tenant, doubts)
            : await this.#judgeOutside(question, tenant, tenant.jitApiUrl, doubts)
        if ((session?.doubts ?? 0) === doubts || round === judgingRoundsMax) return decision
      }
    })
  }

  /** The same question once more. Throws EAUTHPROVIDER like `judge`. */
  async rejudge(session: JudgedBefore): Promise<Rejudgement> {
    return this.#whileSighted(async () => {
      const { doubts, bearer, ref } = session
      const tenant = await this.#options.tenants.findFresh(ref)
      if (tenant === null) return ended('project deleted')
      if (isBanned(tenant, this.#options.clock.wallMs())) return ended('project banned')
      if (bearer.kind === 'outside' || tenant.jitApiUrl !== null) {
        return await this.#rejudgeOutside(session, tenant)
      }
      const owner = await this.#options.bearers.ownerOf(bearer)
      // A revoked token keeps its row; rows go with the member alone, an identity by an unlinking.
      if (owner === null) {
        return ended(bearer.kind === 'identity' ? 'identity linked to nobody' : 'member removed')
      }
      const question = await this.#questionOf(session, tenant, owner)
      const decision = decideAccess(question)
      if (decision.isAllowed) {
        // Nobody's session waits for a database here; what a login or a change of rules has learnt holds.
        const verdict = this.#options.assignableRoles.remembered(tenant, session.role)
        const fault = verdict === null ? null : roleFault(decision.rule.roleIdentity, verdict)
        return fault === null ? allowed(decision, owner, doubts) : ended(endReasons[fault])
      }
      const hasLeft = decision.reason === 'no_rule' && question.membership === null
      return ended(hasLeft ? 'member removed from the project' : endReasons[decision.reason])
    })
  }

  async #judgeHere(
    question: LoginQuestion,
    tenant: Tenant | null,
    doubts: number,
  ): Promise<AccessDecision> {
    const owner = await this.#options.bearers.find(question.token)
    const decision = await this.#decideLogin(question, tenant, owner)
    if (decision.isAllowed && owner !== null) return allowed(decision, owner, doubts)
    const reason = decision.isAllowed ? 'token_unknown' : decision.reason
    return { isAllowed: false, reason, person: owner === null ? null : personOf(owner) }
  }

  async #judgeOutside(
    { role, address, token }: LoginQuestion,
    tenant: Tenant,
    url: string,
    doubts: number,
  ): Promise<AccessDecision> {
    const answer = await this.#options.outside.ask({ tenant, url, role, address }, token)
    return answer.isAllowed ? { ...answer, doubts } : { ...answer, person: null }
  }

  /** By the last answer of the same authoriser, which outside-watch.ts keeps young. */
  async #rejudgeOutside(session: JudgedBefore, tenant: Tenant): Promise<Rejudgement> {
    const { bearer, role, address, doubts } = session
    const url = tenant.jitApiUrl
    if (bearer.kind !== 'outside' || url === null) return ended('access is decided elsewhere now')
    const asked = { tenant, url, role, address }
    const { outside } = this.#options
    const answer =
      url === bearer.url ? outside.decide(asked, bearer) : await outside.ask(asked, bearer.token)
    if (answer.isAllowed) return { ...answer, doubts }
    return ended(endReasons[answer.reason])
  }

  async #decideLogin(
    question: LoginQuestion,
    tenant: Tenant | null,
    owner: BearerOwner | null,
  ): Promise<AccessGranted | AccessRefused | RoleRefused> {
    if (tenant === null) return { isAllowed: false, reason: 'access_disabled' }
    const decision = decideAccess(await this.#questionOf(question, tenant, owner))
    if (!decision.isAllowed) return decision
    const verdict = await this.#options.assignableRoles.judge(tenant, question.role)
    const reason = roleFault(decision.rule.roleIdentity, verdict)
    return reason === null ? decision : { isAllowed: false, reason }
  }

  async #questionOf(
    { role, address }: { role: string; address: string },
    tenant: Tenant,
    owner: BearerOwner | null,
  ): Promise<AccessQuestion> {
    const isDead = tokenFault(owner?.token ?? null, this.#options.clock.wallMs()) !== null
    const standing =
      owner === null || isDead
        ? nobody
        : await this.#standingOf(rulesRefOf(tenant), owner.member.userId)
    return {
      token: owner?.token ?? null,
      member: owner?.member ?? null,
      ...standing,
      project: tenant,
      role,
      clientAddress: address,
      nowMs: this.#options.clock.wallMs(),
    }
  }

  #standingOf(ref: string, userId: string): Promise<Standing> {
    const { rules } = this.#options
    return this.#standings.find(keyOf(ref, userId), () => rules.standingOf(ref, userId))
  }

  async #whileSighted<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      if (this.#options.changes.isBlind) throw new Error('changes of the metadata are not heard')
      return await ask()
    } catch (error) {
      if (error instanceof PoolerError && error.code === 'EAUTHPROVIDER') throw error
      throw new PoolerError('EAUTHPROVIDER', { cause: error })
    }
  }

  #onChange(change: Change): void {
    if (change.kind === 'reread-all') this.#standings.forgetAll()
    else if (change.kind === 'rule' || change.kind === 'membership') {
      this.#standings.forget(keyOf(change.ref, change.userId))
    } else if (change.kind === 'member') {
      this.#standings.forgetWhere((_standing, key) => partsOf(key)[1] === change.userId)
    } else if (change.kind === 'tenant') {
      this.#standings.forgetWhere((_standing, key) => partsOf(key)[0] === change.ref)
    }
  }
}

const nobody: Standing = { membership: null, rules: [] }

/** What a person who was in is told, and the record with them. */
const endReasons: Readonly<Record<RefusalReason | OutsideReason | RoleReason, string>> = {
  role_not_assignable: 'the role cannot be given away any more',
  role_made_anew: 'the role was made anew in the database',
  refused_outside: 'access withdrawn by the authoriser',
  token_unknown: 'token revoked',
  token_revoked: 'token revoked',
  logged_out: 'logged out',
  token_expired: 'token expired',
  scope_permission: 'token is not for logins',
  scope_project: 'token is not for this project',
  scope_role: 'token is not for this role',
  scope_network: 'token is not for your network',
  access_disabled: 'temporary access disabled',
  no_rule: 'rule removed',
  role_not_granted: 'rule removed',
  rule_expired: 'rule expired',
  branches_only: 'rule is for branches only now',
  network_not_allowed: 'rule no longer allows your network',
}

const ended = (endReason: string) => ({ isAllowed: false, endReason }) as const

const keyOf = (ref: string, userId: string) => `${userId}\n${ref}`

/** [ref, userId]: a user id has no line break, whatever a ref may have. */
function partsOf(key: string): [ref: string, userId: string] {
  const breakAt = key.indexOf('\n')
  return [key.slice(breakAt + 1), key.slice(0, breakAt)]
}

function personOf({ member, token }: BearerOwner): Person {
  return {
    member: { userId: member.userId, email: member.email, name: member.name },
    token: { id: token.id, name: token.name },
  }
}

function allowed(
  { endsAtMs, rule, warnings }: AccessGranted,
  owner: BearerOwner,
  doubts: number,
): AllowedAccess {
  const { bearer } = owner
  return { isAllowed: true, ...personOf(owner), bearer, endsAtMs, rule, warnings, doubts }
}
