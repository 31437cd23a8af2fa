import { createHash, createHmac, randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import {
  deriveScramKeys,
  hmacSha256,
  rememberedScramKeys,
  storedKeyOf,
} from '../../../shared/crypto/scram-keys.ts'
import { scramMessageBytesMax } from '../../../shared/crypto/scram-messages.ts'
import { Secret } from '../../../shared/secret.ts'

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

it('derives the keys of a password once for all servers that name the same salt', async () => {
  const password = new Secret('a password')
  const salt = randomBytes(16)
  const keys = await rememberedScramKeys(password, salt, 4096)
  const { clientKey } = await deriveScramKeys(password, salt, 4096)
  expect(keys.clientKey.reveal()).toEqual(clientKey.reveal())
  expect(await rememberedScramKeys(password, Buffer.from(salt), 4096)).toBe(keys)
  const [others, more] = await Promise.all([
    rememberedScramKeys(password, randomBytes(16), 4096),
    rememberedScramKeys(password, salt, 4097),
  ])
  for (const one of [others, more]) {
    expect(one.clientKey.reveal()).not.toEqual(clientKey.reveal())
  }
  const another = new Secret('another password')
  expect(await rememberedScramKeys(another, salt, 4096)).not.toBe(keys)
})

it('tries again where deriving failed', async () => {
  const password = new Secret('a password')
  const salt = randomBytes(16)
  const failed = rememberedScramKeys(password, salt, 0)
  await expect(failed).rejects.toThrow()
  expect(rememberedScramKeys(password, salt, 0)).not.toBe(failed)
  await expect(rememberedScramKeys(password, salt, 1)).resolves.toBeDefined()
})
