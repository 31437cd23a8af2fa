// SCRAM-SHA-256 (RFC 5802, 7677) both ways, as plain functions over texts, so that tests can hold
// either end and bend any line. Apart from shared/crypto on purpose. No SASLprep: tests that need
// it give the prepared password.

import { createHash, createHmac, pbkdf2Sync, randomBytes, X509Certificate } from 'node:crypto'

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()
const xor = (one: Buffer, other: Buffer): Buffer =>
  Buffer.from(one.map((byte, index) => byte ^ (other[index] as number)))

/** `a=b,c=d` to its parts; values may contain `=`. */
export function scramAttributes(text: string): Record<string, string> {
  return Object.fromEntries(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]))
}

export interface ScramClientOptions {
  readonly password: string
  /** Bytes of tls-server-end-point; given: PLUS. */
  readonly channelBinding?: Buffer | null
  /** `n`: no channel binding, `y`: the server seems to have none. Set from channelBinding if missing. */
  readonly bindingFlag?: 'n' | 'y' | 'p=tls-server-end-point'
  readonly nonce?: string
}

/** The client's three texts: `first`, then `final(serverFirst)`, then `verify(serverFinal)`. */
export class RawScramClient {
  readonly first: string
  readonly #password: string
  readonly #bare: string
  readonly #binding: string
  #serverSignature: Buffer | null = null

  constructor(options: ScramClientOptions) {
    const data = options.channelBinding ?? null
    const flag = options.bindingFlag ?? (data === null ? 'n' : 'p=tls-server-end-point')
    this.#password = options.password
    this.#bare = `n=,r=${options.nonce ?? randomBytes(18).toString('base64')}`
    this.first = `${flag},,${this.#bare}`
    const header = Buffer.from(`${flag},,`)
    this.#binding = Buffer.concat([header, data ?? Buffer.alloc(0)]).toString('base64')
  }

  final(serverFirst: string): string {
    const { r: nonce = '', s: salt = '', i: iterations = '' } = scramAttributes(serverFirst)
    const salted = pbkdf2Sync(
      this.#password,
      Buffer.from(salt, 'base64'),
      Number(iterations),
      32,
      'sha256',
    )
    const withoutProof = `c=${this.#binding},r=${nonce}`
    const authMessage = `${this.#bare},${serverFirst},${withoutProof}`
    const clientKey = hmac(salted, 'Client Key')
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage)
    const proof = xor(clientKey, hmac(sha256(clientKey), authMessage))
    return `${withoutProof},p=${proof.toString('base64')}`
  }

  /** Throws when the server does not prove that it knows the password. */
  verify(serverFinal: string): void {
    if (serverFinal !== `v=${this.#serverSignature?.toString('base64')}`) {
      throw new Error(`server signature is wrong: ${serverFinal}`)
    }
  }
}

export interface ScramServerOptions {
  readonly password: string
  readonly iterations?: number
  readonly salt?: Buffer
}

/** The server's two texts: `first(clientFirst)`, then `final(clientFinal)`. */
export class RawScramServer {
  readonly #options: ScramServerOptions
  readonly #salt: Buffer
  readonly #iterations: number
  #clientBare = ''
  #first = ''

  constructor(options: ScramServerOptions) {
    this.#options = options
    this.#salt = options.salt ?? randomBytes(16)
    this.#iterations = options.iterations ?? 4096
  }

  first(clientFirst: string): string {
    this.#clientBare = clientFirst.split(',').slice(2).join(',')
    const { r: clientNonce = '' } = scramAttributes(this.#clientBare)
    const nonce = clientNonce + randomBytes(18).toString('base64')
    this.#first = `r=${nonce},s=${this.#salt.toString('base64')},i=${this.#iterations}`
    return this.#first
  }

  /** The final text with the signature, or `e=invalid-proof`. */
  final(clientFinal: string): string {
    const { password } = this.#options
    const salted = pbkdf2Sync(password, this.#salt, this.#iterations, 32, 'sha256')
    const proofAt = clientFinal.lastIndexOf(',p=')
    const authMessage = `${this.#clientBare},${this.#first},${clientFinal.slice(0, proofAt)}`
    const storedKey = sha256(hmac(salted, 'Client Key'))
    const proof = Buffer.from(clientFinal.slice(proofAt + 3), 'base64')
    if (proof.length !== 32) return 'e=invalid-proof'
    const clientKey = xor(proof, hmac(storedKey, authMessage))
    if (!sha256(clientKey).equals(storedKey)) return 'e=invalid-proof'
    return `v=${hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')}`
  }
}

/** The verifier that Postgres stores in pg_authid for this password. */
export function scramVerifier(password: string, iterations = 4096, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const storedKey = sha256(hmac(salted, 'Client Key')).toString('base64')
  const serverKey = hmac(salted, 'Server Key').toString('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}

/** tls-server-end-point of a certificate: its signature's hash, MD5 and SHA-1 raised to SHA-256. */
export function endPointHash(certificate: Buffer): Buffer {
  const algorithm = new X509Certificate(certificate).signatureAlgorithm ?? ''
  const name = /sha(384|512|224|256)/i.exec(algorithm)?.[1] ?? '256'
  return createHash(`sha${name}`).update(certificate).digest()
}
