import { generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { expect, test } from 'vitest'
import { bearerOf, isSignedByUs } from '../../../pooler/api/jwt-guard.ts'
import { Secret } from '../../../shared/secret.ts'

const nowMs = Date.UTC(2026, 5, 1)
const secret = 'a secret of thirty-two characters'
const secrets = { current: new Secret(secret), previous: null }

function sign(options: { alg?: string; secret?: string; exp?: number } = {}): Promise<string> {
  const jwt = new SignJWT({ role: 'anything' }).setProtectedHeader({ alg: options.alg ?? 'HS256' })
  if (options.exp !== undefined) jwt.setExpirationTime(options.exp)
  return jwt.sign(new TextEncoder().encode(options.secret ?? secret))
}

const isAccepted = (token: string): Promise<boolean> =>
  isSignedByUs(`Bearer ${token}`, secrets, nowMs)

test('an HS256 token of our secret is accepted, with or without an end', async () => {
  expect(await isAccepted(await sign())).toBe(true)
  expect(await isAccepted(await sign({ exp: nowMs / 1000 + 1 }))).toBe(true)
})

test('a token is refused from its exp on', async () => {
  expect(await isAccepted(await sign({ exp: nowMs / 1000 }))).toBe(false)
})

test.each(['HS384', 'HS512'])('the right secret with %s is refused', async (alg) => {
  expect(await isAccepted(await sign({ alg }))).toBe(false)
})

test('alg none and asymmetric algorithms are refused', async () => {
  expect(await isAccepted(new UnsecuredJWT({}).encode())).toBe(false)
  const { privateKey } = await generateKeyPair('ES256')
  const token = await new SignJWT({}).setProtectedHeader({ alg: 'ES256' }).sign(privateKey)
  expect(await isAccepted(token)).toBe(false)
})

test('another secret is refused, and the one before is accepted while it is kept', async () => {
  const old = await sign({ secret: 'the secret that was used before this' })
  expect(await isAccepted(old)).toBe(false)
  const rotating = { ...secrets, previous: new Secret('the secret that was used before this') }
  expect(await isSignedByUs(`Bearer ${old}`, rotating, nowMs)).toBe(true)
})

test.each([undefined, '', 'Bearer', 'Bearer ', 'Basic abc', 'Bearer a b', 'Bearer x.y.z'])(
  'no token and garbage are refused: %s',
  async (header) => {
    expect(await isSignedByUs(header, secrets, nowMs)).toBe(false)
  },
)

test('the scheme is read in any case', () => {
  expect(bearerOf('bearer abc')).toBe('abc')
  expect(bearerOf('BEARER  abc ')).toBe('abc')
})
