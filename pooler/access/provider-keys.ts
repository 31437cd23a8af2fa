// The public keys of the identity provider, by kid: fetched when they are needed first, again when they
// are old or a kid is unknown, never more often than a cooldown allows, whoever asks.
import { type CryptoKey, importJWK, type JWK } from 'jose'
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import { providerKeysBytesMax, providerKeysMax } from '../config/limits.ts'
import { type GuardedClient, GuardedRequestError } from './guarded-client.ts'

export interface ProviderKey {
  /** The one algorithm that this key verifies. */
  readonly alg: 'RS256' | 'ES256' | 'EdDSA'
  readonly key: CryptoKey
}

export interface ProviderKeysOptions {
  readonly url: string
  readonly client: Pick<GuardedClient, 'ask'>
  readonly clock: Clock
  readonly log: Log
}

const fetchTimeoutMs = 3000
/** A key that the provider withdrew is believed for so long. */
const freshMs = 600_000
/** While the provider is away; after that nobody can be judged by its keys. */
const staleMs = 3_600_000
/** Between two fetches for a kid that is unknown. */
const cooldownMs = 30_000
/** Between two tries of a fetch that fails. */
const retryMs = 5000
const rsaBitsMin = 2048

export class ProviderKeys {
  readonly #options: ProviderKeysOptions
  #keys: ReadonlyMap<string, ProviderKey> = new Map()
  #fetchedMs = Number.NEGATIVE_INFINITY
  #failedMs = Number.NEGATIVE_INFINITY
  #failure: Error | null = null
  #fetching: Promise<void> | null = null

  constructor(options: ProviderKeysOptions) {
    this.#options = options
  }

  /**
   * null: the provider has no such key. A JWT without a kid is for a provider with one key. Rejects
   * when the provider's keys cannot be had.
   */
  async find(kid: string | null): Promise<ProviderKey | null> {
    const ageMs = this.#ageMs
    if (ageMs > freshMs) await this.#refresh(ageMs > staleMs)
    const known = this.#look(kid)
    if (known !== null || this.#ageMs < cooldownMs) return known
    await this.#refresh(false)
    return this.#look(kid)
  }

  get #ageMs(): number {
    return this.#options.clock.monotonicMs() - this.#fetchedMs
  }

  #look(kid: string | null): ProviderKey | null {
    if (kid !== null) return this.#keys.get(kid) ?? null
    const [only] = this.#keys.values()
    return this.#keys.size === 1 && only !== undefined ? only : null
  }

  /** `isNeeded`: what is known is too old to go on with, so a failure is everybody's. */
  async #refresh(isNeeded: boolean): Promise<void> {
    const { clock, log } = this.#options
    if (clock.monotonicMs() - this.#failedMs >= retryMs) {
      this.#fetching ??= this.#fetch()
        .catch((error: Error) => {
          this.#failedMs = clock.monotonicMs()
          this.#failure = error
          log.warn({ err: error }, 'the keys of the identity provider cannot be had')
        })
        .finally(() => {
          this.#fetching = null
        })
      await this.#fetching
    }
    if (isNeeded && this.#ageMs > staleMs) throw this.#failure ?? new Error('no keys yet')
  }

  async #fetch(): Promise<void> {
    const { client, url, clock } = this.#options
    const { status, body } = await client.ask({
      method: 'GET',
      url: new URL(url),
      headers: { accept: 'application/json' },
      timeoutMs: fetchTimeoutMs,
      bodyBytesMax: providerKeysBytesMax,
    })
    if (status !== 200) throw new GuardedRequestError(`its keys were answered with ${status}`)
    this.#keys = await readKeys(body)
    this.#fetchedMs = clock.monotonicMs()
  }
}

/** Throws when it is no key set, or one with nothing in it that could be used. */
async function readKeys(text: string): Promise<ReadonlyMap<string, ProviderKey>> {
  const jwks = parse(text)
  if (jwks.length > providerKeysMax) {
    throw new GuardedRequestError(`it publishes more than ${providerKeysMax} keys`)
  }
  const keys = new Map<string, ProviderKey>()
  for (const jwk of jwks) {
    const { kid = '' } = jwk
    const key = await importKey(jwk)
    // Of two with one name the first counts: a JWT must not choose.
    if (key !== null && typeof kid === 'string' && !keys.has(kid)) keys.set(kid, key)
  }
  if (keys.size === 0) throw new GuardedRequestError('it publishes no key that can be used')
  return keys
}

function parse(text: string): JWK[] {
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown }
    if (Array.isArray(keys) && keys.every((one) => typeof one === 'object' && one !== null)) {
      return keys as JWK[]
    }
  } catch {
    // Told below.
  }
  throw new GuardedRequestError('its answer is no JSON Web Key Set')
}

/** null for what verifies nothing here: other kinds, secrets, keys for encryption, weak ones. */
async function importKey(jwk: JWK): Promise<ProviderKey | null> {
  const alg = algorithmOf(jwk)
  const isOther = jwk.alg !== undefined && jwk.alg !== alg
  if (alg === null || isOther || (jwk.use ?? 'sig') !== 'sig') return null
  const { kty, crv, n, e, x, y } = jwk
  // Only the public parts: a provider that publishes a private key has not given it to us.
  const parts = Object.entries({ kty, crv, n, e, x, y }).filter(([, part]) => part !== undefined)
  try {
    const key = (await importJWK(Object.fromEntries(parts) as JWK, alg)) as CryptoKey
    const { modulusLength = rsaBitsMin } = key.algorithm as { modulusLength?: number }
    return modulusLength < rsaBitsMin ? null : { alg, key }
  } catch {
    return null
  }
}

function algorithmOf({ kty, crv }: JWK): ProviderKey['alg'] | null {
  if (kty === 'RSA') return 'RS256'
  if (kty === 'EC' && crv === 'P-256') return 'ES256'
  return kty === 'OKP' && crv === 'Ed25519' ? 'EdDSA' : null
}
