// The server's side of one SCRAM-SHA-256 exchange: messages in, messages out, no I/O. It does not
// know whether its verifier is real or made up, and runs the same for both.
import { timingSafeEqual } from 'node:crypto'
import { assert } from '../assert.ts'
import { Secret } from '../secret.ts'
import { decodeBase64 } from './base64.ts'
import { hmacSha256, scramKeyBytes, storedKeyOf } from './scram-keys.ts'
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
import type { ScramVerifier } from './scram-verifier.ts'

const channelBindingType = 'tls-server-end-point'
const unbound: readonly ScramMechanism[] = [scramSha256]
const bindable: readonly ScramMechanism[] = [scramSha256Plus, scramSha256]

export interface ScramServerOptions {
  readonly verifier: ScramVerifier
  /** The hash of the certificate that this connection was shown; null: -PLUS is not offered. */
  readonly channelBinding: Buffer | null
  /** The server's half of the nonce; only tests choose it. */
  readonly nonce?: string
}

/** The client knows the password; `clientKey` logs in wherever the same verifier is stored. */
export interface ScramProof {
  readonly serverFinal: Buffer
  readonly clientKey: Secret<Buffer>
}

interface Begun {
  /** What the client's final message must repeat, in base64: its header and the channel binding. */
  readonly channelText: string
  readonly nonce: string
  readonly signedSoFar: string
}

export class ScramServer {
  readonly #options: ScramServerOptions
  #phase: 'first' | 'final' | 'done' = 'first'
  #begun: Begun | null = null
  #mechanism: ScramMechanism = scramSha256

  constructor(options: ScramServerOptions) {
    this.#options = options
  }

  /** What to offer, best first. */
  get mechanisms(): readonly ScramMechanism[] {
    return this.#options.channelBinding === null ? unbound : bindable
  }

  /** What the client chose; only after its first message. */
  get mechanism(): ScramMechanism {
    return this.#mechanism
  }

  /** Takes client-first, answers server-first. Throws ScramError. */
  first(mechanism: string, message: Buffer): Buffer {
    assert(this.#phase === 'first', 'client-first comes first, and once')
    this.#phase = 'final'
    const chosen = this.mechanisms.find((offered) => offered === mechanism)
    if (chosen === undefined) {
      throw new ScramError('client chose a SASL mechanism that was not offered')
    }
    this.#mechanism = chosen
    const text = decodeMessage(message)
    const { header, bare } = this.#splitClientFirst(text, mechanism === scramSha256Plus)
    const attributes = readAttributes(bare)
    // The user name is the startup packet's; what stands here is ignored, as in Postgres.
    valueAt(attributes, 0, 'n')
    const clientNonce = valueAt(attributes, 1, 'r')
    if (!isNonce(clientNonce)) throw new ScramError('nonce is not printable')
    const { verifier, channelBinding } = this.#options
    const nonce = clientNonce + (this.#options.nonce ?? newNonce())
    const salt = verifier.salt.toString('base64')
    const serverFirst = `r=${nonce},s=${salt},i=${verifier.iterations}`
    const said = encodeMessage(header)
    const isBound = header.startsWith('p=') && channelBinding !== null
    this.#begun = {
      channelText: (isBound ? Buffer.concat([said, channelBinding]) : said).toString('base64'),
      nonce,
      signedSoFar: `${bare},${serverFirst}`,
    }
    return encodeMessage(serverFirst)
  }

  /** Takes client-final. 'wrong': a well-formed proof of another password. Throws ScramError. */
  final(message: Buffer): ScramProof | 'wrong' {
    const begun = this.#begun
    assert(this.#phase === 'final' && begun !== null, 'client-final follows client-first, once')
    this.#phase = 'done'
    const text = decodeMessage(message)
    const proofAt = text.lastIndexOf(',p=')
    const attributes = readAttributes(text)
    const proof = decodeBase64(valueAt(attributes, attributes.length - 1, 'p'))
    if (proof?.length !== scramKeyBytes) throw new ScramError('malformed SCRAM proof')
    if (valueAt(attributes, 0, 'c') !== begun.channelText) {
      throw new ScramError('SCRAM channel binding check failed')
    }
    if (valueAt(attributes, 1, 'r') !== begun.nonce) throw new ScramError('nonce does not match')
    const signed = encodeMessage(`${begun.signedSoFar},${text.slice(0, proofAt)}`)
    const storedKey = this.#options.verifier.storedKey.reveal()
    const clientKey = xor(proof, hmacSha256(storedKey, signed))
    if (!timingSafeEqual(storedKeyOf(clientKey), storedKey)) return 'wrong'
    const signature = hmacSha256(this.#options.verifier.serverKey.reveal(), signed)
    return {
      serverFinal: encodeMessage(`v=${signature.toString('base64')}`),
      clientKey: new Secret(clientKey),
    }
  }

  /** RFC 5802 section 6: the flag must fit both the mechanism and what was offered. */
  #splitClientFirst(text: string, isPlus: boolean): { header: string; bare: string } {
    const match = /^(n|y|p=[^,]*),([^,]*),/.exec(text)
    if (match === null) throw new ScramError('malformed SCRAM message')
    const [header = '', flag = '', authorization = ''] = match
    if (authorization !== '') throw new ScramError('authorization identity is not supported')
    if (flag.startsWith('p=') !== isPlus) {
      throw new ScramError('channel binding flag and SASL mechanism contradict each other')
    }
    if (isPlus && flag !== `p=${channelBindingType}`) {
      throw new ScramError('unsupported channel binding type')
    }
    // Somebody in between hid the offer of -PLUS from a client that could have taken it.
    if (flag === 'y' && this.#options.channelBinding !== null) {
      throw new ScramError('client believes that channel binding was not offered, but it was')
    }
    return { header, bare: text.slice(header.length) }
  }
}
