import { createHash, X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { certificateHash } from '../../../shared/crypto/channel-binding.ts'
import {
  certificateSignedWith,
  oid,
  type SignatureKind,
  tlv,
} from '../../support/signature-kinds.ts'

const hashOf: Record<SignatureKind, string | null> = {
  'rsa-sha1': 'sha256',
  'rsa-sha256': 'sha256',
  'rsa-sha512': 'sha512',
  'rsa-pss-sha384': 'sha384',
  'ecdsa-sha256': 'sha256',
  'ecdsa-sha384': 'sha384',
  ed25519: null,
}

/** The outermost bytes of a certificate, enough to tell the signature algorithm. */
function certificateWith(algorithm: string, ...parameters: Buffer[]): Buffer {
  const signatureAlgorithm = tlv(0x30, oid(algorithm), ...parameters)
  return tlv(0x30, tlv(0x30, Buffer.alloc(5)), signatureAlgorithm, tlv(0x03))
}

const pss = '2a864886f70d01010a'

describe('certificateHash', () => {
  for (const [kind, hash] of Object.entries(hashOf) as [SignatureKind, string | null][]) {
    it(`is ${hash ?? 'none'} for a certificate signed with ${kind}`, () => {
      const { der, cert } = certificateSignedWith(kind)
      expect(new X509Certificate(cert).raw).toEqual(der)
      const expected = hash === null ? null : createHash(hash).update(der).digest()
      expect(certificateHash(der)).toEqual(expected)
    })
  }

  it('takes SHA-256 in place of MD5 and SHA-1, as RFC 5929 says', () => {
    for (const algorithm of ['2a864886f70d010104', '2a864886f70d010105', '2a8648ce3d0401']) {
      const der = certificateWith(algorithm)
      expect(certificateHash(der)).toEqual(createHash('sha256').update(der).digest())
    }
  })

  it('reads the hash of RSASSA-PSS from its parameters, with the default where there is none', () => {
    const sha512 = tlv(0x30, oid('608648016503040203'))
    const explicit = certificateWith(pss, tlv(0x30, tlv(0xa0, sha512)))
    expect(certificateHash(explicit)).toEqual(createHash('sha512').update(explicit).digest())
    const byDefault = certificateWith(pss, tlv(0x30))
    expect(certificateHash(byDefault)).toEqual(createHash('sha256').update(byDefault).digest())
    expect(certificateHash(certificateWith(pss))).toBeNull()
    expect(certificateHash(certificateWith(pss, tlv(0x30, tlv(0xa0))))).toBeNull()
    const unknown = tlv(0x30, oid('010203'))
    expect(certificateHash(certificateWith(pss, tlv(0x30, tlv(0xa0, unknown))))).toBeNull()
  })

  it('has none for algorithms that it does not know, and for names of object properties', () => {
    expect(certificateHash(certificateWith('2b6571'))).toBeNull()
    expect(certificateHash(certificateWith(''))).toBeNull()
  })

  it('has none for anything cut short or spoilt, and does not throw', () => {
    const { der } = certificateSignedWith('rsa-pss-sha384')
    for (let length = 0; length < der.length; length++) {
      expect(certificateHash(der.subarray(0, length))).toBeNull()
    }
    for (let at = 0; at < der.length; at++) {
      const spoilt = Buffer.from(der)
      spoilt[at] = 0xff
      expect(() => certificateHash(spoilt)).not.toThrow()
    }
    expect(certificateHash(Buffer.of(0x30, 0x84, 0, 0, 0, 0))).toBeNull()
  })
})
