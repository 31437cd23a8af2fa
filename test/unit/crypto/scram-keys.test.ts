import { createHash, createHmac, randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { hmacSha256, storedKeyOf } from '../../../shared/crypto/scram-keys.ts'
import { scramMessageBytesMax } from '../../../shared/crypto/scram-messages.ts'

it('signs as Node does, whatever the lengths of key and text', () => {
  for (const keyBytes of [0, 1, 31, 32, 33, 63, 64]) {
    for (const textBytes of [0, 1, 55, 56, 63, 64, 65, 250, 4096]) {
      const key = randomBytes(keyBytes)
      const text = randomBytes(textBytes)
      const expected = createHmac('sha256', key).update(text).digest()
      expect(hmacSha256(key, text)).toEqual(expected)
    }
  }
})

it('signs a text by its UTF-8', () => {
  const key = randomBytes(32)
  const text = 'Łódź, 東京, 🔑'
  expect(hmacSha256(key, text)).toEqual(createHmac('sha256', key).update(text).digest())
})

it('hands out signatures that a later one does not change', () => {
  const key = randomBytes(32)
  const first = hmacSha256(key, 'first')
  const copy = Buffer.from(first)
  hmacSha256(randomBytes(64), 'second')
  expect(first).toEqual(copy)
})

it('has room for the three longest messages of an exchange', () => {
  const key = randomBytes(32)
  const text = randomBytes(3 * scramMessageBytesMax + 500)
  expect(hmacSha256(key, text)).toEqual(createHmac('sha256', key).update(text).digest())
})

it('refuses a key that would have to be hashed first', () => {
  expect(() => hmacSha256(randomBytes(65), '')).toThrow(/short/)
})

it('hashes the ClientKey', () => {
  const clientKey = randomBytes(32)
  expect(storedKeyOf(clientKey)).toEqual(createHash('sha256').update(clientKey).digest())
})
