// The client's side of one SCRAM-SHA-256 exchange, no I/O. It treats the server as hostile until the
// server's signature has been checked, and bounds the work that it may ask for.
import { timingSafeEqual } from 'node:crypto'
import { assert } from '../assert.ts'
import type { Secret } from '../secret.ts'
import { decodeBase64 } from './base64.ts'
import {
  hmacSha256,
  rememberedScramKeys,
  type ScramKeys,
  scramIterationsMax,
  scramKeyBytes,
  scramSaltBytesMax,
  storedKeyOf,
} from './scram-keys.ts'
import {
  decodeMessage,
  encodeMessage,
  isNonce,
  newNonce,
  readAttributes,
  ScramError,
  type ScramMechanism,
  scramSha256,
  scramSha256Plus,
  valueAt,
  xor,
} from './scram-messages.ts'

/** A password, or the keys of one that a client has proved; the keys work for one verifier only. */
export type ScramSecret = { readonly password: Secret<string> } | ScramKeys

/**
 * `bound`: SCRAM-SHA-256-PLUS with this hash of the server's certificate.
 * `not-offered`: we could, the server did not offer it; a server that did offer will object, which
 * uncovers somebody who took the offer away.
 * `none`: we cannot (no TLS, or a certificate without a hash of its own).
 */
export type ClientChannelBinding =
  | { readonly kind: 'bound'; readonly certificateHash: Buffer }
  | { readonly kind: 'not-offered' }
  | { readonly kind: 'none' }

const headers = { bound: 'p=tls-server-end-point,,', 'not-offered': 'y,,', none: 'n,,' } as const

export interface ScramClientOptions {
  readonly secret: ScramSecret
  readonly channelBinding: ClientChannelBinding
  /** Only tests choose it. */
  readonly nonce?: string
}

interface ServerFirst {
  readonly nonce: string
  readonly salt: Buffer
  readonly iterations: number
}

export class ScramClient {
  readonly #secret: ScramSecret
  readonly #binding: ClientChannelBinding
  readonly #nonce: string
  #phase: 'first' | 'answer' | 'verify' | 'done' = 'first'
  #signature: Buffer | null = null

  constructor(options: ScramClientOptions) {
    this.#secret = options.secret
    this.#binding = options.channelBinding
    this.#nonce = options.nonce ?? newNonce()
  }

  get mechanism(): ScramMechanism {
    return this.#binding.kind === 'bound' ? scramSha256Plus : scramSha256
  }

  /** client-first. The user name stays empty: Postgres takes the startup packet's. */
  first(): Buffer {
    assert(this.#phase === 'first', 'client-first is sent once')
    this.#phase = 'answer'
    return encodeMessage(`${headers[this.#binding.kind]}n=,r=${this.#nonce}`)
  }

  /** Takes server-first, answers client-final. Throws ScramError, DerivationOverloadError. */
  async answer(message: Buffer): Promise<Buffer> {
    assert(this.#phase === 'answer', 'server-first follows client-first, once')
    this.#phase = 'verify'
    const serverFirst = decodeMessage(message)
    const { nonce, salt, iterations } = this.#readServerFirst(serverFirst)
    const secret = this.#secret
    const keys =
      'password' in secret ? await rememberedScramKeys(secret.password, salt, iterations) : secret
    const header = encodeMessage(headers[this.#binding.kind])
    const bound = this.#binding.kind === 'bound' ? [this.#binding.certificateHash] : []
    const withoutProof = `c=${Buffer.concat([header, ...bound]).toString('base64')},r=${nonce}`
    const signed = encodeMessage(`n=,r=${this.#nonce},${serverFirst},${withoutProof}`)
    this.#signature = hmacSha256(keys.serverKey.reveal(), signed)
    const clientKey = keys.clientKey.reveal()
    const proof = xor(clientKey, hmacSha256(storedKeyOf(clientKey), signed))
    return encodeMessage(`${withoutProof},p=${proof.toString('base64')}`)
  }

  /** Takes server-final. Returns only when the server has shown that it knows the verifier. */
  verify(message: Buffer): void {
    const expected = this.#signature
    assert(this.#phase === 'verify' && expected !== null, 'server-final follows our proof, once')
    this.#phase = 'done'
    const [attribute, ...more] = readAttributes(decodeMessage(message))
    if (attribute?.name === 'e') throw new ScramError('server ended the SCRAM exchange')
    if (attribute?.name !== 'v' || more.length > 0) throw new ScramError('malformed server-final')
    const signature = decodeBase64(attribute.value)
    if (signature?.length !== scramKeyBytes) throw new ScramError('malformed server signature')
    if (!timingSafeEqual(signature, expected)) throw new ScramError('server signature is wrong')
  }

  #readServerFirst(text: string): ServerFirst {
    const attributes = readAttributes(text)
    if (attributes[0]?.name === 'e') throw new ScramError('server ended the SCRAM exchange')
    const nonce = valueAt(attributes, 0, 'r')
    if (!isNonce(nonce) || !nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new ScramError('server did not extend the nonce')
    }
    const salt = decodeBase64(valueAt(attributes, 1, 's'))
    if (salt === null || salt.length === 0 || salt.length > scramSaltBytesMax) {
      throw new ScramError('malformed salt')
    }
    const iterationsText = valueAt(attributes, 2, 'i')
    const iterations = Number(iterationsText)
    if (!/^[1-9][0-9]{0,9}$/.test(iterationsText) || iterations > scramIterationsMax) {
      throw new ScramError('iteration count is not acceptable')
    }
    return { nonce, salt, iterations }
  }
}
