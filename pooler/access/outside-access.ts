// Decides by the word of a project's outside authoriser. What it answered (role, end, networks) is
// held to by the same decision that rules of ours are, at login and as long as the session lives.
import type { Clock } from '../../shared/clock.ts'
import type { Secret } from '../../shared/secret.ts'
import { uuidFrom, uuidPattern } from '../store/identities.ts'
import type { Tenant } from '../tenant/tenant.ts'
import { tokenHashOf } from './access-tokens.ts'
import type { OutsideBearer } from './bearer.ts'
import { type AccessGranted, decideAccess, type RefusalReason } from './decide-access.ts'
import type { HttpAuthoriser, OutsideAnswer, OutsideGrant } from './http-authoriser.ts'
import type { Person } from './token-access.ts'

export type OutsideReason = Exclude<OutsideAnswer, { isAllowed: true }>['reason']

export type OutsideDecision =
  | (AccessGranted & Person & { readonly bearer: OutsideBearer })
  | { readonly isAllowed: false; readonly reason: RefusalReason | OutsideReason }

interface Asked {
  readonly tenant: Tenant
  readonly url: string
  readonly role: string
  readonly address: string
}

export class OutsideAccess {
  readonly #authoriser: Pick<HttpAuthoriser, 'ask'>
  readonly #clock: Clock

  constructor(authoriser: Pick<HttpAuthoriser, 'ask'>, clock: Clock) {
    this.#authoriser = authoriser
    this.#clock = clock
  }

  /** Rejects when the authoriser does not answer, or not to the question. */
  async ask(asked: Asked, token: Secret<string>, ageMaxMs?: number): Promise<OutsideDecision> {
    const { tenant, url, role, address } = asked
    const hash = tokenHashOf(token)
    if (!tenant.useJit) return refused('access_disabled')
    if (hash === null) return refused('token_unknown')
    const question = { ref: tenant.ref, url, token, hash, role, address }
    const answer = await this.#authoriser.ask(question, ageMaxMs)
    if (!answer.isAllowed) return refused(answer.reason)
    const { grant, answeredAtMs: confirmedAtMs } = answer
    return this.decide(asked, {
      kind: 'outside',
      hash,
      token,
      url,
      grant,
      confirmedAtMs,
    })
  }

  /** By the last answer, without asking again. */
  decide({ tenant, role, address }: Omit<Asked, 'url'>, bearer: OutsideBearer): OutsideDecision {
    const { grant, hash } = bearer
    const tokenId = uuidFrom(JSON.stringify(['token', hash]))
    const userId = grant.userId === null ? tokenId : userIdOf(tenant.ref, grant.userId)
    const nowMs = this.#clock.wallMs()
    const decision = decideAccess({
      token: { expiresAtMs: null, revokedAtMs: null, scope: null },
      member: { userId },
      membership: 'guest',
      // Whether a rule for branches opens this project is the authoriser's to know.
      project: { ref: tenant.ref, parentRef: null, useJit: tenant.useJit },
      rules: [ruleOf(tenant.ref, userId, grant)],
      role,
      clientAddress: address,
      nowMs,
    })
    if (!decision.isAllowed) return decision
    const member = { userId, email: null, name: grant.userId ?? '' }
    return { ...decision, member, token: { id: tokenId, name: 'outside authoriser' }, bearer }
  }
}

/** Records name people by UUID; another name of the authoriser's own stands for one, always the same. */
const userIdOf = (ref: string, name: string): string =>
  uuidPattern.test(name) ? name.toLowerCase() : uuidFrom(JSON.stringify(['outside', ref, name]))

const refused = (reason: RefusalReason | OutsideReason) => ({ isAllowed: false, reason }) as const

const ruleOf = (ref: string, userId: string, grant: OutsideGrant) => ({
  id: 'outside',
  ref,
  userId,
  role: grant.role,
  expiresAtMs: grant.expiresAtMs,
  networksV4: grant.networksV4,
  networksV6: grant.networksV6,
  branchesOnly: false,
  reason: null,
  roleIdentity: null,
  createdAtMs: 0,
  createdBy: null,
  updatedAtMs: 0,
})
