// Writes X.509 v3 server certificates and small authorities (RFC 5280) for EC P-256 keys. It only
// writes, from values of ours; reading and checking certificates is left to node:crypto.
import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP, SocketAddress } from 'node:net'

export interface CertificateRequest {
  /** Common name; for people only, names are checked against `names`. */
  readonly subject: string
  readonly key: KeyObject
  /** DNS names and IP addresses. */
  readonly names: readonly string[]
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** May sign others. */
  readonly isAuthority?: boolean
  /** Missing: signed with its own key. */
  readonly issuer?: { readonly subject: string; readonly key: KeyObject }
}

/** The certificate in PEM. `key` and `issuer.key` are private keys. */
export function writeCertificate(request: CertificateRequest): string {
  const issuer = request.issuer ?? request
  const toSign = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serialNumber()),
    ecdsaWithSha256,
    commonName(issuer.subject),
    sequence(time(request.notBeforeMs), time(request.notAfterMs)),
    commonName(request.subject),
    publicKeyInfo(request.key),
    tagged(0xa3, sequence(...extensions(request, issuer.key))),
  )
  const signature = sign('sha256', toSign, { key: issuer.key, dsaEncoding: 'der' })
  const certificate = sequence(toSign, ecdsaWithSha256, bitString(signature))
  const lines = certificate.toString('base64').replace(/.{1,64}/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`
}

function extensions(request: CertificateRequest, issuerKey: KeyObject): Buffer[] {
  const isAuthority = request.isAuthority === true
  const list = [
    extension('2.5.29.19', sequence(...(isAuthority ? [booleanTrue] : [])), true),
    // keyUsage: bit 0 digitalSignature, bit 5 keyCertSign.
    extension(
      '2.5.29.15',
      Buffer.from([0x03, 2, isAuthority ? 2 : 7, isAuthority ? 0x84 : 0x80]),
      true,
    ),
    extension('2.5.29.14', octets(keyId(request.key))),
    extension('2.5.29.35', sequence(tagged(0x80, keyId(issuerKey)))),
  ]
  if (!isAuthority) list.push(extension('2.5.29.37', sequence(objectId('1.3.6.1.5.5.7.3.1'))))
  if (request.names.length > 0) {
    list.push(extension('2.5.29.17', sequence(...request.names.map(generalName))))
  }
  return list
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(objectId(id), ...(isCritical ? [booleanTrue] : []), octets(value))
}

function generalName(name: string): Buffer {
  return isIP(name) === 0
    ? tagged(0x82, Buffer.from(name, 'latin1'))
    : tagged(0x87, addressBytes(name))
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = new SocketAddress({ address, family: 'ipv6' }).address.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const before = groups(head)
  const after = groups(tail ?? '')
  const zeros = new Array<string>(8 - before.length - after.length).fill('0')
  const hex = [...before, ...zeros, ...after].map((group) => group.padStart(4, '0'))
  return Buffer.from(hex.join(''), 'hex')
}

/** RFC 5280 4.2.1.2, method 1: SHA-1 of the public key's bits, a name and no protection. */
function keyId(key: KeyObject): Buffer {
  // An uncompressed point of P-256 is the last 65 bytes of the key's DER.
  return createHash('sha1').update(publicKeyInfo(key).subarray(-65)).digest()
}

function publicKeyInfo(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

function commonName(text: string): Buffer {
  const value = tagged(0x0c, Buffer.from(text, 'utf8'))
  return sequence(tagged(0x31, sequence(objectId('2.5.4.3'), value)))
}

/** RFC 5280 4.1.2.5: two-digit years up to 2049, four-digit years from then on. */
function time(atMs: number): Buffer {
  const digits = new Date(atMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '')
  const isShort = Number(digits.slice(0, 4)) < 2050
  return isShort ? tagged(0x17, Buffer.from(digits.slice(2))) : tagged(0x18, Buffer.from(digits))
}

/** RFC 5280 4.1.2.2: positive, at most 20 bytes. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes
}

// DER, X.690. Lengths here stay far below the 65,535 that two length bytes can say.
function tagged(tag: number, body: Buffer): Buffer {
  const size = body.length
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}

const sequence = (...parts: Buffer[]): Buffer => tagged(0x30, Buffer.concat(parts))
const integer = (bytes: Buffer): Buffer => tagged(0x02, bytes)
const octets = (bytes: Buffer): Buffer => tagged(0x04, bytes)
const bitString = (bytes: Buffer): Buffer => tagged(0x03, Buffer.concat([Buffer.from([0]), bytes]))
const booleanTrue = tagged(0x01, Buffer.from([0xff]))

function objectId(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const digits = [arc & 0x7f]
    for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80)
    bytes.push(...digits)
  }
  return tagged(0x06, Buffer.from(bytes))
}

const ecdsaWithSha256 = sequence(objectId('1.2.840.10045.4.3.2'))
