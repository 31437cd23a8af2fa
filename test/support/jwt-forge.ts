// Makes JWTs, honest ones and those that an attacker would make: any header, any claims, any key or
// none.
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

export type JwtAlgorithm = 'RS256' | 'ES256' | 'EdDSA'

export interface TestKey {
  readonly alg: JwtAlgorithm
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** As a provider publishes it. */
  readonly jwk: Readonly<Record<string, unknown>>
}

export function makeTestKey(alg: JwtAlgorithm, kid: string): TestKey {
  const { privateKey, publicKey } = makePair(alg)
  return { alg, kid, privateKey, publicKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid } }
}

function makePair(alg: JwtAlgorithm) {
  if (alg === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

type Part = Readonly<Record<string, unknown>>

/** The two parts that are signed. */
export const unsignedJwt = (header: Part, claims: Part): string =>
  [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')

/** By the key, with its algorithm and name in the header unless `header` says otherwise. */
export function signedJwt(key: TestKey, claims: Part, header: Part = {}): string {
  const text = unsignedJwt({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header }, claims)
  const hash = key.alg === 'EdDSA' ? null : 'sha256'
  const how = key.alg === 'ES256' ? { dsaEncoding: 'ieee-p1363' as const } : {}
  const signature = sign(hash, Buffer.from(text), { key: key.privateKey, ...how })
  return `${text}.${signature.toString('base64url')}`
}

/** The oldest trick: HS256 with what everybody may know as the secret. */
export function hmacJwt(secret: string | Buffer, claims: Part, header: Part = {}): string {
  const text = unsignedJwt({ alg: 'HS256', typ: 'JWT', ...header }, claims)
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

/** All the forms that a public key is written in. */
export function publicForms({ publicKey, jwk }: TestKey): (string | Buffer)[] {
  return [
    publicKey.export({ format: 'pem', type: 'spki' }),
    publicKey.export({ format: 'pem', type: 'spki' }).toString().trim(),
    publicKey.export({ format: 'der', type: 'spki' }),
    JSON.stringify(jwk),
    String(jwk.x ?? jwk.n),
    Buffer.from(String(jwk.x ?? jwk.n), 'base64url'),
  ]
}
