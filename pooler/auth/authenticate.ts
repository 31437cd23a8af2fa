// Who is it? Chooses the method by project, option and TLS, runs it with the client, and makes all
// refusals alike: the same words, the same half second, the reason only in log and record.

import { type Clock, sleep } from '../../shared/clock.ts'
import { certificateHash } from '../../shared/crypto/channel-binding.ts'
import { PoolerError } from '../../shared/errors.ts'
import { newReportId } from '../../shared/ids.ts'
import type { Log } from '../../shared/log.ts'
import type { Secret } from '../../shared/secret.ts'
import { hasTokenShape } from '../access/access-tokens.ts'
import type { LoginMethod } from '../metrics/counters.ts'
import type { Tenant } from '../tenant/tenant.ts'
import type { AuthDialog } from './auth-dialog.ts'
import type { AuthThrottle } from './auth-throttle.ts'
import type { Credentials } from './credentials.ts'
import { cleartextAuth, judgePassword } from './password-exchange.ts'
import type { RoleVerifiers } from './role-verifiers.ts'
import { scramAuth } from './scram-auth.ts'
import type { PersonLogin, TokenAuth, TokenVerdict } from './token-auth.ts'

export interface LoginQuestion {
  readonly dialog: AuthDialog
  readonly tenant: Tenant
  readonly role: string
  /** The client's address, normalised, and the source that wrong secrets are counted for. */
  readonly address: string
  readonly source: string
  readonly applicationName: string
  /** The client said that its password is a token, and the project has temporary access. */
  readonly isTokenAsked: boolean
  /** A direct host of a project with temporary access: over TLS the password's shape tells. */
  readonly mayBeToken: boolean
  /** TLS, or what an operator lets count as TLS for tokens. */
  readonly isPrivate: boolean
  /** DER of the certificate that this connection was shown; null without TLS. */
  readonly certificate: Buffer | null
  readonly endAccess: (error: PoolerError) => void
  /** To be told to a person who is in. */
  readonly warn: (text: string) => void
  /** For metrics: why a login was refused. */
  readonly onRefused: (reason: string) => void
}

export interface Authenticated {
  readonly method: LoginMethod
  /** null for an application with a password. */
  readonly person: PersonLogin | null
}

export interface AuthenticatorOptions {
  readonly verifiers: RoleVerifiers
  readonly credentials: Credentials
  readonly throttle: AuthThrottle
  readonly tokenAuth: TokenAuth
  readonly clock: Clock
  readonly log: Log
}

/** A refusal leaves this long after the secret arrived, whatever it took to find out. */
const refusalDelayMs = 500

export class Authenticator {
  readonly #options: AuthenticatorOptions

  constructor(options: AuthenticatorOptions) {
    this.#options = options
  }

  /** Throws PoolerError; EWRONGPASSWORD for whatever the client may not know more of. */
  async authenticate(question: LoginQuestion): Promise<Authenticated> {
    if (!question.isTokenAsked) {
      if (question.mayBeToken && question.isPrivate) return await this.#byEither(question)
      return await this.#byPassword(question)
    }
    if (!question.isPrivate) {
      throw new PoolerError('ESSLREQUIRED', {
        values: { reason: 'a token is never taken over a plain connection' },
      })
    }
    return await this.#byToken(question, await cleartextAuth(question.dialog))
  }

  /** Asks in clear, over TLS: what looks like a token is judged as one, the rest as a password. */
  async #byEither(question: LoginQuestion): Promise<Authenticated> {
    const { verifiers, credentials, clock } = this.#options
    const { tenant, role, dialog } = question
    const secret = await cleartextAuth(dialog)
    if (hasTokenShape(secret.reveal())) return await this.#byToken(question, secret)
    const arrivedMs = clock.monotonicMs()
    this.#refuseBlocked(question)
    const known = await verifiers.verifierFor(tenant, role, question.source)
    const verdict = await judgePassword(secret, known.verifier, known.kind === 'scram')
    // Of many guesses at once, those that are judged after the throttle has closed learn nothing.
    this.#refuseBlocked(question)
    if (verdict === 'wrong') {
      const reason = known.kind === 'none' ? known.reason : 'wrong password'
      return await this.#refuse(question, arrivedMs, reason, newReportId())
    }
    credentials.rememberClientKey(tenant, role, verdict.clientKey, known.verifier)
    return { method: 'password', person: null }
  }

  #refuseBlocked({ tenant, source }: LoginQuestion): void {
    const seconds = this.#options.throttle.isBlocked(tenant.ref, source)
    if (seconds !== null) throw blocked(seconds)
  }

  async #byPassword(question: LoginQuestion): Promise<Authenticated> {
    const { tenant, role, dialog, certificate } = question
    const { verifiers, credentials, clock } = this.#options
    this.#refuseBlocked(question)
    const known = await verifiers.verifierFor(tenant, role, question.source)
    let arrivedMs = clock.monotonicMs()
    const channelBinding = certificate === null ? null : certificateHash(certificate)
    const verdict = await scramAuth(dialog, {
      verifier: known.verifier,
      isRealRole: known.kind === 'scram',
      channelBinding,
      beforeJudging: () => {
        arrivedMs = clock.monotonicMs()
        this.#refuseBlocked(question)
      },
    })
    if (verdict === 'wrong') {
      const reason = known.kind === 'none' ? known.reason : 'wrong password'
      return await this.#refuse(question, arrivedMs, reason, newReportId())
    }
    credentials.rememberClientKey(tenant, role, verdict.clientKey, known.verifier)
    return { method: methodOf[verdict.mechanism], person: null }
  }

  async #byToken(question: LoginQuestion, token: Secret<string>): Promise<Authenticated> {
    const { throttle, tokenAuth, clock } = this.#options
    const { tenant, source } = question
    const arrivedMs = clock.monotonicMs()
    const blockedSeconds = throttle.isBlocked(tenant.ref, source)
    if (blockedSeconds !== null && !throttle.mayAsk(tenant.ref, source))
      throw blocked(blockedSeconds)
    const verdict: TokenVerdict = await tokenAuth.judge({ ...question, token })
    if (verdict.isAllowed) return { method: 'token', person: verdict.person }
    if (blockedSeconds !== null) throw blocked(blockedSeconds)
    return await this.#refuse(question, arrivedMs, verdict.reason, verdict.refusalId)
  }

  /** Counts the wrong secret, waits out the half second, and throws what every refused client sees. */
  async #refuse(
    question: LoginQuestion,
    arrivedMs: number,
    reason: string,
    refusalId: string,
  ): Promise<never> {
    const { throttle, clock, log } = this.#options
    const { tenant, role, source, address } = question
    throttle.recordWrong(tenant.ref, source)
    question.onRefused(reason)
    log.info({ tenant: tenant.ref, role, address, reason, refusalId }, 'login refused')
    await sleep(clock, Math.max(0, refusalDelayMs - (clock.monotonicMs() - arrivedMs)))
    throw new PoolerError('EWRONGPASSWORD', {
      values: { user: role },
      detail: `refusal ${refusalId}`,
    })
  }
}

const methodOf = {
  'SCRAM-SHA-256': 'scram-sha-256',
  'SCRAM-SHA-256-PLUS': 'scram-sha-256-plus',
} as const

const blocked = (seconds: number): PoolerError =>
  new PoolerError('ECIRCUITBREAKER', { values: { seconds } })
