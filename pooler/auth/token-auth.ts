// A person's login: a token in the password message, judged while the session already stands among
// the live ones, so that no revocation falls between. Nothing of it enters a password cache.
import type { Clock } from '../../shared/clock.ts'
import { PoolerError } from '../../shared/errors.ts'
import { newReportId } from '../../shared/ids.ts'
import type { Secret } from '../../shared/secret.ts'
import type { AuditTrail } from '../access/audit-trail.ts'
import type { HoldRecord } from '../access/hold-record.ts'
import type { LiveSession, LiveSessions } from '../access/live-sessions.ts'
import { RecordedPerson } from '../access/recorded-person.ts'
import type {
  AccessDecision,
  AllowedAccess,
  RefusedAccess,
  TokenAccess,
} from '../access/token-access.ts'
import type { DecisionTimes } from '../metrics/counters.ts'
import type { PersonWitness } from '../relay/person-witness.ts'
import type { Tenant } from '../tenant/tenant.ts'

/** A person who is in. */
export interface PersonLogin {
  readonly userId: string
  readonly email: string | null
  readonly sessionId: string
  /** Records what they hold and do. */
  readonly witness: PersonWitness
  /** Told to the client before its first ReadyForQuery; null: access has no end. */
  readonly notice: string | null
  /** Where the database checks tokens itself: the token, and a name for it; else null. */
  readonly upstreamSecret: { readonly name: string; readonly token: Secret<string> } | null
  /** Why access was taken away, where it was; null: it was not. */
  readonly endReason: string | null
  /** Once, when the client's connection has ended. */
  leave(reason: string, use: { readonly transactions: number; readonly bytes: number }): void
}

export interface TokenQuestion {
  readonly tenant: Tenant
  readonly role: string
  readonly address: string
  readonly applicationName: string
  readonly token: Secret<string>
  readonly endAccess: (error: PoolerError) => void
  /** Minutes before access ends. */
  readonly warn: (text: string) => void
}

export type TokenVerdict =
  | { readonly isAllowed: true; readonly person: PersonLogin }
  /** `refusalId` is told to the client and stands in the record with the reason. */
  | { readonly isAllowed: false; readonly refusalId: string; readonly reason: string }

/** Why access was taken away, where it was: the record names that and not its error code. */
interface Ending {
  reason: string | null
}

export interface TokenAuthOptions {
  readonly tokenAccess: TokenAccess
  readonly liveSessions: LiveSessions
  readonly auditTrail: AuditTrail
  readonly holds: HoldRecord
  readonly decisions: DecisionTimes
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
}

export class TokenAuth {
  readonly #options: TokenAuthOptions

  constructor(options: TokenAuthOptions) {
    this.#options = options
  }

  /** Throws EAUTHPROVIDER when it cannot be decided right now. */
  async judge(question: TokenQuestion): Promise<TokenVerdict> {
    const { liveSessions, tokenAccess } = this.#options
    const { tenant, role, address, applicationName, token } = question
    const sessionId = newReportId()
    const ending: Ending = { reason: null }
    const session = liveSessions.enter({
      sessionId,
      tenant,
      role,
      address,
      applicationName,
      end: (reason) => {
        ending.reason = reason
        question.endAccess(new PoolerError('EACCESSENDED', { values: { reason } }))
      },
      warn: (endsAtMs) => question.warn(noticeOf(endsAtMs)),
    })
    try {
      const decision = await this.#timed(() =>
        tokenAccess.judge({ tenant, role, token, address, session }),
      )
      if (decision.isAllowed) {
        this.#record(question, sessionId, decision)
        liveSessions.bind(session, decision)
        return { isAllowed: true, person: this.#person(question, session, decision, ending) }
      }
      liveSessions.leave(session)
      this.#recordRefusal(question, sessionId, decision)
      return { isAllowed: false, refusalId: sessionId, reason: decision.reason }
    } catch (error) {
      liveSessions.leave(session)
      throw error
    }
  }

  async #timed(judge: () => Promise<AccessDecision>): Promise<AccessDecision> {
    const { clock, decisions } = this.#options
    const startMs = clock.monotonicMs()
    let as: keyof DecisionTimes = 'undecided'
    try {
      const decision = await judge()
      as = decision.isAllowed ? 'allowed' : 'refused'
      return decision
    } finally {
      decisions[as].observeMs(clock.monotonicMs() - startMs)
    }
  }

  #person(
    question: TokenQuestion,
    session: LiveSession,
    access: AllowedAccess,
    ending: Ending,
  ): PersonLogin {
    const { liveSessions, auditTrail, holds, clock } = this.#options
    const startedMs = clock.wallMs()
    const { sessionId, ref, role } = session
    const { userId, email } = access.member
    const witness = new RecordedPerson({
      owner: { sessionId, ref, userId, role },
      holds,
      clock,
      record: (tag, count) =>
        auditTrail.record({
          ...this.#event(question, access),
          action: 'role_statement',
          sessionId,
          count,
          details: { tag },
        }),
    })
    return {
      userId,
      email,
      sessionId,
      witness,
      upstreamSecret:
        question.tenant.jitUpstream === 'token'
          ? { name: access.bearer.hash, token: question.token }
          : null,
      get endReason() {
        return ending.reason
      },
      notice: access.endsAtMs === null ? null : noticeOf(access.endsAtMs),
      leave: (reason, use) => {
        liveSessions.leave(session)
        witness.close()
        auditTrail.record({
          ...this.#event(question, access),
          action: 'ended',
          sessionId,
          reason: ending.reason ?? reason,
          durationMs: clock.wallMs() - startedMs,
          ...use,
        })
      },
    }
  }

  #record(question: TokenQuestion, sessionId: string, access: AllowedAccess): void {
    this.#options.auditTrail.record({
      ...this.#event(question, access),
      action: 'login',
      sessionId,
    })
  }

  #recordRefusal(question: TokenQuestion, sessionId: string, refused: RefusedAccess): void {
    const { auditTrail } = this.#options
    const person = refused.person
    auditTrail.record({
      ...this.#event(question, person),
      action: 'refused',
      sessionId,
      reason: refused.reason,
    })
  }

  #event(question: TokenQuestion, person: Pick<AllowedAccess, 'member' | 'token'> | null) {
    return {
      atMs: this.#options.clock.wallMs(),
      ref: question.tenant.ref,
      actor: person?.member.userId ?? null,
      role: question.role,
      address: question.address,
      tokenId: person?.token.id ?? null,
      tokenName: person?.token.name ?? null,
      applicationName: question.applicationName,
    }
  }
}

const noticeOf = (endsAtMs: number): string =>
  `temporary access ends at ${new Date(endsAtMs).toISOString()}`
