// Self-signed certificates for tests, written as DER by hand (RFC 5280, section 4.1) so that no
// test needs a program or a package for it.
import { generateKeyPairSync, sign } from 'node:crypto'

export interface TestCertificate {
  readonly certPem: string
  readonly keyPem: string
  readonly der: Buffer
}

export interface TestCertificateOptions {
  readonly names?: readonly string[]
  readonly keyType?: 'ec' | 'rsa'
}

function lengthBytes(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length)
  return length < 0x100 ? Buffer.of(0x81, length) : Buffer.of(0x82, length >> 8, length & 0xff)
}

const tlv = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.of(tag), lengthBytes(body.length), body])
}
const sequence = (...parts: readonly Buffer[]): Buffer => tlv(0x30, ...parts)
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, 'hex'))
const utcTime = (text: string): Buffer => tlv(0x17, Buffer.from(text))

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
const rsaWithSha256 = sequence(oid('2a864886f70d01010b'), tlv(0x05))
const subject = (commonName: string): Buffer =>
  sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(commonName)))))
const alternativeNames = (names: readonly string[]): Buffer =>
  sequence(oid('551d11'), tlv(0x04, sequence(...names.map((name) => tlv(0x82, Buffer.from(name))))))

let lastSerial = 0

export function makeCertificate(options: TestCertificateOptions = {}): TestCertificate {
  const { names = ['localhost'], keyType = 'ec' } = options
  const { publicKey, privateKey } =
    keyType === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
  const algorithm = keyType === 'ec' ? ecdsaWithSha256 : rsaWithSha256
  const name = subject(names[0] ?? 'test')
  const toBeSigned = sequence(
    tlv(0xa0, tlv(0x02, Buffer.of(2))),
    tlv(0x02, Buffer.of(++lastSerial)),
    algorithm,
    name,
    sequence(utcTime('200101000000Z'), utcTime('491231235959Z')),
    name,
    publicKey.export({ format: 'der', type: 'spki' }),
    tlv(0xa3, sequence(alternativeNames(names))),
  )
  const signature = sign('sha256', toBeSigned, privateKey)
  const der = sequence(toBeSigned, algorithm, tlv(0x03, Buffer.of(0), signature))
  const base64 = (der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')
  return {
    certPem: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    der,
  }
}
