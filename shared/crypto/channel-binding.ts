// Channel binding `tls-server-end-point` (RFC 5929 section 4.1): the certificate's hash under the
// hash function of its own signature. Reads only as much DER as that takes; the certificate comes
// from a TLS stack that has parsed it, and is treated as foreign all the same.
import { hash } from 'node:crypto'

const sequence = 0x30
const objectIdentifier = 0x06
const explicitZero = 0xa0

// DER content bytes of signature algorithms, in hex. MD5 and SHA-1 count as SHA-256 (RFC 5929).
// Ed25519 and Ed448 are missing on purpose: no separate hash function, so the binding is undefined.
const rsa = '2a864886f70d0101'
const ecdsa = '2a8648ce3d04'
const nist = '608648016503040'
const hashBySignature: Readonly<Record<string, string>> = {
  [`${rsa}04`]: 'sha256', // RSA with MD5
  [`${rsa}05`]: 'sha256', // RSA with SHA-1
  [`${rsa}0e`]: 'sha224',
  [`${rsa}0b`]: 'sha256',
  [`${rsa}0c`]: 'sha384',
  [`${rsa}0d`]: 'sha512',
  [`${ecdsa}01`]: 'sha256', // ECDSA with SHA-1
  [`${ecdsa}0301`]: 'sha224',
  [`${ecdsa}0302`]: 'sha256',
  [`${ecdsa}0303`]: 'sha384',
  [`${ecdsa}0304`]: 'sha512',
}
const rsaPss = `${rsa}0a`
const pssDefaultHash = 'sha256' // SHA-1, the default of RFC 4055 section 3.1, counts as SHA-256
const hashByIdentifier: Readonly<Record<string, string>> = {
  '2b0e03021a': 'sha256', // SHA-1
  [`${nist}204`]: 'sha224',
  [`${nist}201`]: 'sha256',
  [`${nist}202`]: 'sha384',
  [`${nist}203`]: 'sha512',
}

interface Element {
  readonly tag: number
  readonly content: Buffer
  /** What follows the element in the buffer it was read from. */
  readonly rest: Buffer
}

/** null: the signature has no hash of its own, or is of a kind that we do not know; offer no -PLUS. */
export function certificateHash(der: Buffer): Buffer | null {
  const known = hashes.get(der)
  if (known !== undefined) return known
  const name = signatureHash(der)
  const result = name === null ? null : hash(name, der, 'buffer')
  hashes.set(der, result)
  return result
}

/** Of certificates that are shown to one client after the other from the same memory. */
const hashes = new WeakMap<Buffer, Buffer | null>()

// Certificate  ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, ... }
function signatureHash(der: Buffer): string | null {
  const certificate = read(der, sequence)
  const signed = certificate && read(certificate.content, sequence)
  const algorithm = signed && read(signed.rest, sequence)
  const identifier = algorithm && read(algorithm.content, objectIdentifier)
  if (!identifier) return null
  const name = identifier.content.toString('hex')
  if (name === rsaPss) return pssHash(identifier.rest)
  return lookUp(hashBySignature, name)
}

// RSASSA-PSS-params ::= SEQUENCE { [0] SEQUENCE { OID, ... } DEFAULT sha1, ... }
function pssHash(parameters: Buffer): string | null {
  const outer = read(parameters, sequence)
  if (outer === null) return null
  const tagged = read(outer.content, explicitZero)
  if (tagged === null) return outer.content[0] === explicitZero ? null : pssDefaultHash
  const algorithm = read(tagged.content, sequence)
  const identifier = algorithm && read(algorithm.content, objectIdentifier)
  return identifier ? lookUp(hashByIdentifier, identifier.content.toString('hex')) : null
}

const lookUp = (table: Readonly<Record<string, string>>, name: string): string | null =>
  Object.hasOwn(table, name) ? (table[name] as string) : null

/** The element at the start of the buffer, if it has this tag and lies within; lengths up to 3 bytes. */
function read(buffer: Buffer, tag: number): Element | null {
  const first = buffer[1]
  if (buffer[0] !== tag || first === undefined) return null
  const lengthBytes = first < 0x80 ? 0 : first - 0x80
  const contentAt = 2 + lengthBytes
  if (first === 0x80 || lengthBytes > 3 || contentAt > buffer.length) return null
  const length = lengthBytes === 0 ? first : buffer.readUIntBE(2, lengthBytes)
  if (contentAt + length > buffer.length) return null
  return {
    tag,
    content: buffer.subarray(contentAt, contentAt + length),
    rest: buffer.subarray(contentAt + length),
  }
}
