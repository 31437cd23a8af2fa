import { createHash, createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { hmacSha256, storedKeyOf } from '../../../shared/crypto/scram-keys.ts'

const texts = ['', 'Client Key', 'naïve 🔑', 'x'.repeat(1000)]

test.each([0, 1, 32, 63, 64, 65, 200])(
  'an HMAC under a key of %i bytes is what OpenSSL makes',
  (bytes) => {
    const key = Buffer.from(Array.from({ length: bytes }, (_, index) => (index * 37) & 0xff))
    for (const text of [...texts, ...texts.map((each) => Buffer.from(each))]) {
      expect(hmacSha256(key, text)).toEqual(createHmac('sha256', key).update(text).digest())
    }
  },
)

test('a StoredKey is the hash of its ClientKey', () => {
  const clientKey = Buffer.alloc(32, 9)
  expect(storedKeyOf(clientKey)).toEqual(createHash('sha256').update(clientKey).digest())
})
