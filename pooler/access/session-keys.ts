// The keys of our session JWTs: made from time to time, kept while a JWT of theirs may live, shared by
// all processes of one metadata. A new key is published some minutes before it signs, so that whoever
// verifies has it by then.
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose'
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import type { NewSigningKey, SigningKeyStore, StoredSigningKey } from '../store/signing-keys.ts'

export const sessionAlgorithm = 'ES256'

interface KnownKey {
  readonly kid: string
  readonly publicJwk: JWK
  readonly verifies: CryptoKey
  /** null: this process cannot open it. */
  readonly signs: CryptoKey | null
  readonly createdAtMs: number
}

export interface SessionKeysOptions {
  readonly store: Pick<SigningKeyStore, 'list' | 'renew'>
  readonly clock: Clock
  readonly log: Log
}

const renewAfterMs = 30 * 86_400_000
const publishedBeforeMs = 10 * 60_000
/** A JWT lives an hour at most; its key outlives the next one's beginning by more. */
const keptBehindNextMs = 3 * 3_600_000
const upkeepMs = 600_000
/** A kid that nobody knows may be a new key of another process: asked for this often at most. */
const lookAgainMs = 1000

export class SessionKeys {
  readonly #options: SessionKeysOptions
  readonly #upkeep: Timer
  /** Newest first. */
  #keys: readonly KnownKey[] = []
  #loading: Promise<void> | null = null
  #loadedMs = Number.NEGATIVE_INFINITY

  constructor(options: SessionKeysOptions) {
    this.#options = options
    this.#upkeep = options.clock.every(upkeepMs, () => {
      this.renew().catch((error) =>
        options.log.warn({ err: error }, 'the keys of session JWTs could not be looked at yet'),
      )
    })
  }

  /** Makes a key where one is due, and forgets those that are spent. */
  async renew(): Promise<void> {
    const { store, clock } = this.#options
    const nowMs = clock.wallMs()
    const isDue = (keys: readonly StoredSigningKey[]) =>
      !keys.some((key) => key.privateJwk !== null && key.createdAtMs > nowMs - renewAfterMs)
    const isSpent = (key: StoredSigningKey, keys: readonly StoredSigningKey[]) =>
      keys.some(
        ({ createdAtMs }) =>
          createdAtMs > key.createdAtMs && createdAtMs < nowMs - keptBehindNextMs,
      )
    this.#keys = await importAll(await store.renew(isDue, makeKey, isSpent))
    this.#loadedMs = clock.monotonicMs()
  }

  /** The newest that has been published for long enough, else the oldest that this process can open. */
  async signingKey(): Promise<{ readonly kid: string; readonly key: CryptoKey }> {
    if (this.#signing() === null) await this.renew()
    const signing = this.#signing()
    if (signing === null) throw new Error('there is no key to sign session JWTs with')
    return signing
  }

  /** null: none of ours, as far as the metadata know now. */
  async verifyingKey(kid: string): Promise<CryptoKey | null> {
    const known = this.#find(kid)
    if (known !== null) return known
    await this.#lookAgain()
    return this.#find(kid)
  }

  /** For /.well-known/jwks.json. */
  async published(): Promise<readonly JWK[]> {
    if (this.#keys.length === 0) await this.#lookAgain()
    return this.#keys.map(({ publicJwk }) => publicJwk)
  }

  close(): void {
    this.#upkeep.cancel()
  }

  #signing(): { kid: string; key: CryptoKey } | null {
    const sinceMs = this.#options.clock.wallMs() - publishedBeforeMs
    const able = this.#keys.flatMap(({ kid, signs, createdAtMs }) =>
      signs === null ? [] : [{ kid, key: signs, createdAtMs }],
    )
    return able.find(({ createdAtMs }) => createdAtMs <= sinceMs) ?? able.at(-1) ?? null
  }

  #find(kid: string): CryptoKey | null {
    return this.#keys.find((key) => key.kid === kid)?.verifies ?? null
  }

  async #lookAgain(): Promise<void> {
    const { store, clock } = this.#options
    if (clock.monotonicMs() - this.#loadedMs < lookAgainMs) return
    this.#loading ??= (async () => {
      this.#keys = await importAll(await store.list())
      this.#loadedMs = clock.monotonicMs()
    })().finally(() => {
      this.#loading = null
    })
    await this.#loading
  }
}

async function makeKey(): Promise<NewSigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(sessionAlgorithm, { extractable: true })
  const publicJwk = await exportJWK(publicKey)
  const kid = await calculateJwkThumbprint(publicJwk)
  return {
    kid,
    publicJwk: { ...publicJwk, kid, alg: sessionAlgorithm, use: 'sig' },
    privateJwk: new Secret(JSON.stringify(await exportJWK(privateKey))),
  }
}

const importAll = (keys: readonly StoredSigningKey[]): Promise<KnownKey[]> =>
  Promise.all(
    keys.map(async ({ kid, publicJwk, privateJwk, createdAtMs }) => ({
      kid,
      publicJwk,
      createdAtMs,
      verifies: await importKey(publicJwk),
      signs: privateJwk === null ? null : await importKey(JSON.parse(privateJwk.reveal()) as JWK),
    })),
  )

const importKey = (jwk: JWK): Promise<CryptoKey> =>
  importJWK(jwk, sessionAlgorithm) as Promise<CryptoKey>
