// Where the identity provider has people sign in, and where codes become tokens: its own description
// (OpenID Connect Discovery 1.0), asked for when it is needed and believed for a while. The keys are
// not taken from it: AUTH_JWKS_URL says where they are, and one answer fewer has to be trusted.
import { z } from 'zod'
import type { Clock } from '../../shared/clock.ts'
import { guardedUrlFault } from '../../shared/guarded-url.ts'
import { parseJson } from '../../shared/json.ts'
import type { Log } from '../../shared/log.ts'
import { providerDocumentBytesMax } from '../config/limits.ts'
import { type GuardedClient, GuardedRequestError } from './guarded-client.ts'

export interface ProviderEndpoints {
  readonly authorization: URL
  readonly token: URL
  /** How a client with a secret shows it (RFC 6749 section 2.3.1). */
  readonly secretGoes: 'in header' | 'in body'
  /** Whether each answer says whose it is (RFC 9207), so that one without is none of its answers. */
  readonly namesItself: boolean
}

export interface ProviderDocumentOptions {
  readonly issuer: string
  readonly client: Pick<GuardedClient, 'ask'>
  readonly clock: Clock
  readonly log: Log
}

const fetchTimeoutMs = 3000
const freshMs = 3_600_000
/** Between two tries of a fetch that fails; what is known is used meanwhile. */
const retryMs = 5000

const documentShape = z.object({
  issuer: z.string(),
  authorization_endpoint: z.string(),
  token_endpoint: z.string(),
  token_endpoint_auth_methods_supported: z.array(z.string()).optional(),
  authorization_response_iss_parameter_supported: z.boolean().optional(),
})

export class ProviderDocument {
  readonly #options: ProviderDocumentOptions
  #endpoints: ProviderEndpoints | null = null
  #fetchedMs = Number.NEGATIVE_INFINITY
  #failedMs = Number.NEGATIVE_INFINITY
  #failure: Error | null = null
  #fetching: Promise<void> | null = null

  constructor(options: ProviderDocumentOptions) {
    this.#options = options
  }

  /** Rejects when the provider has not described itself so far. */
  async endpoints(): Promise<ProviderEndpoints> {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#fetchedMs > freshMs && nowMs - this.#failedMs >= retryMs) {
      this.#fetching ??= this.#fetch().finally(() => {
        this.#fetching = null
      })
      await this.#fetching
    }
    if (this.#endpoints === null) throw this.#failure ?? new Error('not described yet')
    return this.#endpoints
  }

  async #fetch(): Promise<void> {
    const { issuer, client, clock, log } = this.#options
    try {
      const { status, body } = await client.ask({
        method: 'GET',
        // Section 4.1: behind the issuer, whatever path that has.
        url: new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`),
        headers: { accept: 'application/json' },
        timeoutMs: fetchTimeoutMs,
        bodyBytesMax: providerDocumentBytesMax,
      })
      if (status !== 200) throw new GuardedRequestError(`it was answered with ${status}`)
      this.#endpoints = readDocument(body, issuer)
      this.#fetchedMs = clock.monotonicMs()
    } catch (error) {
      this.#failedMs = clock.monotonicMs()
      this.#failure = error as Error
      log.warn({ err: error }, "the identity provider's description of itself cannot be had")
    }
  }
}

function readDocument(text: string, issuer: string): ProviderEndpoints {
  const { data } = documentShape.safeParse(parseJson(text))
  if (data === undefined) throw new GuardedRequestError('it lacks an endpoint that is needed')
  // Section 4.3: the one that was asked for, letter by letter.
  if (data.issuer !== issuer) throw new GuardedRequestError('it is of another issuer')
  const methods = data.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
  return {
    authorization: endpointOf('authorization_endpoint', data.authorization_endpoint),
    token: endpointOf('token_endpoint', data.token_endpoint),
    secretGoes: methods.includes('client_secret_basic') ? 'in header' : 'in body',
    namesItself: data.authorization_response_iss_parameter_supported ?? false,
  }
}

function endpointOf(name: string, text: string): URL {
  const fault = guardedUrlFault(text)
  if (fault !== null) throw new GuardedRequestError(`its ${name} ${fault}`)
  return new URL(text)
}
