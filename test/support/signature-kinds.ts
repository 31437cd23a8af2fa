// Self-signed certificates under many signature algorithms, for channel binding, written as DER by
// hand (RFC 5280 section 4.1). Ordinary certificates come from certificates.ts.
import {
  constants,
  generateKeyPairSync,
  type KeyObject,
  type SigningOptions,
  sign,
} from 'node:crypto'

export type SignatureKind =
  | 'rsa-sha1'
  | 'rsa-sha256'
  | 'rsa-sha512'
  | 'rsa-pss-sha384'
  | 'ecdsa-sha256'
  | 'ecdsa-sha384'
  | 'ed25519'

export interface SignedCertificate {
  readonly cert: string
  readonly key: string
  readonly der: Buffer
}

interface Algorithm {
  readonly identifier: Buffer
  readonly hash: string | null
  readonly options?: SigningOptions
  readonly makeKeys: () => { publicKey: KeyObject; privateKey: KeyObject }
}

/** One DER element; the parts together must stay below 64 KB. */
export function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const { length } = body
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), body])
  if (length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, length), body])
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), body])
}

export const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, 'hex'))
const sequence = (...parts: readonly Buffer[]): Buffer => tlv(0x30, ...parts)
const utcTime = (text: string): Buffer => tlv(0x17, Buffer.from(text))
const nothing = tlv(0x05)

const sha384 = sequence(oid('608648016503040202'), nothing)
const pssWithSha384 = sequence(
  tlv(0xa0, sha384),
  tlv(0xa1, sequence(oid('2a864886f70d010108'), sha384)),
  tlv(0xa2, tlv(0x02, Buffer.of(48))),
)

const rsaKeys = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
const rsa = (identifier: string, hash: string): Algorithm => ({
  identifier: sequence(oid(identifier), nothing),
  hash,
  makeKeys: rsaKeys,
})
const ecdsa = (identifier: string, hash: string, namedCurve: string): Algorithm => ({
  identifier: sequence(oid(identifier)),
  hash,
  makeKeys: () => generateKeyPairSync('ec', { namedCurve }),
})

const algorithms: Record<SignatureKind, Algorithm> = {
  'rsa-sha1': rsa('2a864886f70d010105', 'sha1'),
  'rsa-sha256': rsa('2a864886f70d01010b', 'sha256'),
  'rsa-sha512': rsa('2a864886f70d01010d', 'sha512'),
  'rsa-pss-sha384': {
    identifier: sequence(oid('2a864886f70d01010a'), pssWithSha384),
    hash: 'sha384',
    options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 },
    makeKeys: rsaKeys,
  },
  'ecdsa-sha256': ecdsa('2a8648ce3d040302', 'sha256', 'P-256'),
  'ecdsa-sha384': ecdsa('2a8648ce3d040303', 'sha384', 'P-384'),
  ed25519: {
    identifier: sequence(oid('2b6570')),
    hash: null,
    makeKeys: () => generateKeyPairSync('ed25519'),
  },
}

const name = sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from('localhost')))))

export function certificateSignedWith(kind: SignatureKind): SignedCertificate {
  const { identifier, hash, options, makeKeys } = algorithms[kind]
  const { publicKey, privateKey } = makeKeys()
  const toBeSigned = sequence(
    tlv(0x02, Buffer.of(1)),
    identifier,
    name,
    sequence(utcTime('200101000000Z'), utcTime('491231235959Z')),
    name,
    publicKey.export({ format: 'der', type: 'spki' }),
  )
  const signature = sign(hash, toBeSigned, { key: privateKey, ...options })
  const der = sequence(toBeSigned, identifier, tlv(0x03, Buffer.of(0), signature))
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    der,
  }
}
