// From (tenant, role) to the verifier that a login is judged by: made from the stored password, or
// asked of the tenant's database, and a made-up one where there is none.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../shared/clock.ts'
import { scramIterationsUsual } from '../../shared/crypto/scram-keys.ts'
import { makeVerifier, type ScramVerifier } from '../../shared/crypto/scram-verifier.ts'
import { PoolerError } from '../../shared/errors.ts'
import type { Secret } from '../../shared/secret.ts'
import type { Tenant } from '../tenant/tenant.ts'
import type { AuthQueryAnswer } from './auth-query-answer.ts'
import type { MockVerifiers } from './mock-verifier.ts'

export type RoleVerifier =
  | {
      readonly kind: 'scram'
      readonly verifier: ScramVerifier
      /** In the future, or null: for ever. */
      readonly validUntilMs: number | null
    }
  | {
      readonly kind: 'none'
      /** For the log; the client sees a wrong password. */
      readonly reason: string
      /** Made up; to be used with `isRealRole` false. */
      readonly verifier: ScramVerifier
    }

export interface RoleVerifiersOptions {
  readonly authQuery: {
    ask(tenant: Tenant, role: string, source: string): Promise<AuthQueryAnswer>
  }
  readonly mocks: MockVerifiers
  readonly clock: Clock
  /** Told what the database has now, null: no usable verifier; Credentials.noteVerifier. */
  readonly onVerifier?: (tenant: Tenant, role: string, verifier: ScramVerifier | null) => void
}

/** Roles in use with a stored password; making one anew costs two milliseconds of a thread. */
const storedMax = 10_000
/** Roles asked about within a second or so; unknown names count too, so floods only evict. */
const askedMax = 10_000
/** A password that was changed in the database works at the first try, one second later at most. */
const askedMsMax = 1000

interface Stored {
  readonly version: number
  readonly verifier: Promise<ScramVerifier>
}

interface Asked {
  readonly sinceMs: number
  readonly answer: Promise<AuthQueryAnswer>
}

export class RoleVerifiers {
  readonly #options: RoleVerifiersOptions
  readonly #stored = new LRUCache<string, Stored>({ max: storedMax })
  readonly #asked = new LRUCache<string, Asked>({ max: askedMax })

  constructor(options: RoleVerifiersOptions) {
    this.#options = options
  }

  /** Throws PoolerError when the database cannot be asked: nobody's secret was wrong then. */
  async verifierFor(tenant: Tenant, role: string, source: string): Promise<RoleVerifier> {
    const { password = null, isPasswordUnopened = false } = tenant.roles.get(role) ?? {}
    if (isPasswordUnopened) {
      const cause = new Error('no VAULT_ENC_KEY here opens the stored password')
      throw new PoolerError('EAUTHPROVIDER', { cause })
    }
    if (password !== null) {
      const verifier = await this.#storedVerifier(tenant, role, password)
      return { kind: 'scram', verifier, validUntilMs: null }
    }
    if (tenant.requireUser || tenant.authQuery === null) {
      return this.#none(tenant, role, 'no password is stored for the role', scramIterationsUsual)
    }
    const answer = await this.#ask(tenant, role, source)
    if (answer.kind === 'none') {
      return this.#none(tenant, role, answer.reason, answer.usualIterations)
    }
    const { verifier, validUntilMs, usualIterations } = answer
    // At the exact instant it is still valid, as in Postgres (libpq/crypt.c).
    if (validUntilMs !== null && validUntilMs < this.#options.clock.wallMs()) {
      return this.#none(tenant, role, 'the password has expired (VALID UNTIL)', usualIterations)
    }
    return { kind: 'scram', verifier, validUntilMs }
  }

  #none(tenant: Tenant, role: string, reason: string, iterations: number): RoleVerifier {
    const verifier = this.#options.mocks.verifierFor(tenant.ref, role, iterations)
    return { kind: 'none', reason, verifier }
  }

  #storedVerifier(tenant: Tenant, role: string, password: Secret<string>): Promise<ScramVerifier> {
    const key = `${tenant.id}\0${role}`
    const known = this.#stored.get(key)
    if (known?.version === tenant.version) return known.verifier
    const salt = this.#options.mocks.saltFor(tenant.ref, role)
    const verifier = makeVerifier(password, { salt, iterations: scramIterationsUsual })
    const stored = { version: tenant.version, verifier }
    this.#stored.set(key, stored)
    verifier.catch(() => {
      if (this.#stored.peek(key) === stored) this.#stored.delete(key)
    })
    return verifier
  }

  #ask(tenant: Tenant, role: string, source: string): Promise<AuthQueryAnswer> {
    const key = `${tenant.id}\0${tenant.version}\0${role}`
    const nowMs = this.#options.clock.monotonicMs()
    const known = this.#asked.get(key)
    // Counted from the moment of asking: what the database says may be as old as that.
    if (known !== undefined && nowMs - known.sinceMs < askedMsMax) return known.answer
    const asked = { sinceMs: nowMs, answer: this.#askAnew(tenant, role, source) }
    this.#asked.set(key, asked)
    asked.answer.catch(() => {
      if (this.#asked.peek(key) === asked) this.#asked.delete(key)
    })
    return asked.answer
  }

  async #askAnew(tenant: Tenant, role: string, source: string): Promise<AuthQueryAnswer> {
    const answer = await this.#options.authQuery.ask(tenant, role, source)
    this.#options.onVerifier?.(tenant, role, answer.kind === 'scram' ? answer.verifier : null)
    return answer
  }
}
