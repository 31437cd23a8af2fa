// Asks a project's outside authoriser (jit_api_url) whether a token may be a role: the contract that
// such authorisers answer already. POST {role, rhost} with the token as bearer; 200 and the same role
// lets in, 401, 403 and 406 refuse, and nothing else says anything about the token.
import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import type { Clock } from '../../shared/clock.ts'
import { readEpoch } from '../../shared/epoch.ts'
import { guardedUrlFault } from '../../shared/guarded-url.ts'
import type { Log } from '../../shared/log.ts'
import type { Secret } from '../../shared/secret.ts'
import { outsideAnswersMax } from '../config/limits.ts'
import type { Change, Changes } from '../store/change-feed.ts'
import { LookUpCache } from '../store/look-up-cache.ts'
import type { TokenHash } from './bearer.ts'
import { type GuardedClient, GuardedRequestError } from './guarded-client.ts'

export interface OutsideQuestion {
  readonly ref: string
  /** jit_api_url of the project. */
  readonly url: string
  readonly token: Secret<string>
  readonly hash: TokenHash
  readonly role: string
  readonly address: string
}

/** What the authoriser said of the person and the role; it binds us too. */
export interface OutsideGrant {
  /** null: it named nobody. */
  readonly userId: string | null
  readonly role: string
  /** null: without end. */
  readonly expiresAtMs: number | null
  readonly networksV4: readonly string[]
  readonly networksV6: readonly string[]
}

export type OutsideAnswer =
  /** `answeredAtMs`: monotonic. */
  | { readonly isAllowed: true; readonly grant: OutsideGrant; readonly answeredAtMs: number }
  | {
      readonly isAllowed: false
      readonly reason: 'token_unknown' | 'refused_outside' | 'no_rule' | 'role_not_granted'
    }

export interface HttpAuthoriserOptions {
  readonly client: Pick<GuardedClient, 'ask'>
  readonly changes: Changes
  readonly clock: Clock
  readonly log: Log
}

const timeoutMs = 3000
/** An outage fails for everybody: so long between two lines of the log. */
const quietMs = 5000
const bodyBytesMax = 64 * 1024
const allowedMs = 5000
/** A guess is as wrong a second later, and must not cost a request each. */
const refusedMs = 1000
const userIdCharactersMax = 255
const networksMax = 1000

const network = z.object({ cidr: z.string().max(64) })
const answerBody = z.object({
  user_id: z.string().min(1).max(userIdCharactersMax).nullish(),
  user_role: z.object({
    role: z.string().min(1),
    expires_at: z.number().min(0).max(8.64e15).nullish(),
    allowed_networks: z
      .object({
        allowed_cidrs: z.array(network).max(networksMax).nullish(),
        allowed_cidrs_v6: z.array(network).max(networksMax).nullish(),
      })
      .nullish(),
  }),
})

const refusals = { 401: 'token_unknown', 403: 'refused_outside', 406: 'no_rule' } as const

export class HttpAuthoriser {
  readonly #options: HttpAuthoriserOptions
  readonly #answers: LookUpCache<OutsideAnswer>
  #warnedMs = Number.NEGATIVE_INFINITY

  constructor(options: HttpAuthoriserOptions) {
    const { clock, changes } = options
    this.#options = options
    this.#answers = new LookUpCache({
      entriesMax: outsideAnswersMax,
      clock,
      ttlMsOf: (answer) => this.#ttlMsOf(answer),
    })
    changes.onChange((change) => this.#onChange(change))
  }

  /**
   * Rejects when there is no answer that says anything. One that was given within `ageMaxMs`, and the
   * last seconds, is used again.
   */
  async ask(question: OutsideQuestion, ageMaxMs = allowedMs): Promise<OutsideAnswer> {
    if (this.#options.changes.isBlind) this.#answers.forgetAll()
    const { ref, url, hash, role, address } = question
    const key = JSON.stringify([ref, url, hash, role, address])
    try {
      const answer = await this.#answers.find(key, () => this.#askAnew(question))
      const { clock } = this.#options
      const isYoung = !answer.isAllowed || clock.monotonicMs() - answer.answeredAtMs <= ageMaxMs
      if (isYoung) return answer
      this.#answers.forget(key)
      return await this.#answers.find(key, () => this.#askAnew(question))
    } catch (error) {
      this.#warn(ref, error)
      throw error
    }
  }

  async #askAnew({ url, token, role, address }: OutsideQuestion): Promise<OutsideAnswer> {
    const fault = guardedUrlFault(url)
    if (fault !== null) throw new GuardedRequestError(`jit_api_url ${fault}`)
    const { status, body } = await this.#options.client.ask({
      method: 'POST',
      url: new URL(url),
      headers: {
        authorization: `Bearer ${token.reveal()}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: JSON.stringify({ role, rhost: address }),
      timeoutMs,
      bodyBytesMax,
    })
    const reason = refusals[status as keyof typeof refusals]
    if (reason !== undefined) return { isAllowed: false, reason }
    if (status !== 200) throw new GuardedRequestError(`the authoriser answered with ${status}`)
    const grant = readGrant(body)
    return grant.role === role
      ? { isAllowed: true, grant, answeredAtMs: this.#options.clock.monotonicMs() }
      : { isAllowed: false, reason: 'role_not_granted' }
  }

  #warn(tenant: string, error: unknown): void {
    const { clock, log } = this.#options
    if (clock.monotonicMs() - this.#warnedMs < quietMs) return
    this.#warnedMs = clock.monotonicMs()
    log.warn({ err: error, tenant }, 'an outside authoriser gave no answer that counts')
  }

  /** Never past the end that it named. */
  #ttlMsOf(answer: OutsideAnswer): number {
    if (!answer.isAllowed) return refusedMs
    const { expiresAtMs } = answer.grant
    if (expiresAtMs === null) return allowedMs
    return Math.min(allowedMs, expiresAtMs - this.#options.clock.wallMs())
  }

  #onChange(change: Change): void {
    if (change.kind === 'reread-all') this.#answers.forgetAll()
    else if (change.kind === 'tenant') {
      const start = `${JSON.stringify([change.ref]).slice(0, -1)},`
      this.#answers.forgetWhere((_answer, key) => key.startsWith(start))
    }
  }
}

/** Throws GuardedRequestError, which tells nothing of what it read. */
function readGrant(body: string): OutsideGrant {
  const read = answerBody.safeParse(parsed(body))
  if (!read.success) throw odd('has another form than {user_id, user_role}')
  const { user_id: userId = null, user_role: rule } = read.data
  const { allowed_cidrs: v4, allowed_cidrs_v6: v6 } = rule.allowed_networks ?? {}
  const cidrs = [...(v4 ?? []), ...(v6 ?? [])].map(({ cidr }) => cidr)
  if (!cidrs.every((cidr) => ipaddr.isValidCIDR(cidr))) throw odd('names a network that is none')
  const isV6 = (cidr: string) => cidr.includes(':')
  return {
    userId,
    role: rule.role,
    expiresAtMs: rule.expires_at == null ? null : readEpoch(rule.expires_at),
    networksV4: cidrs.filter((cidr) => !isV6(cidr)),
    networksV6: cidrs.filter(isV6),
  }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw odd('is no JSON')
  }
}

const odd = (what: string) => new GuardedRequestError(`the authoriser's answer ${what}`)
