// JWTs of an outside identity provider, as it makes them and as an attacker does.
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { tokenHashOf } from '../../../pooler/access/access-tokens.ts'
import { GuardedRequestError } from '../../../pooler/access/guarded-client.ts'
import { IdentityProvider } from '../../../pooler/access/identity-provider.ts'
import { readJwt } from '../../../pooler/access/jwt-claims.ts'
import { ProviderKeys } from '../../../pooler/access/provider-keys.ts'
import { nullLog } from '../../../shared/log.ts'
import { Secret } from '../../../shared/secret.ts'
import {
  hmacJwt,
  type JwtAlgorithm,
  makeTestKey,
  publicForms,
  signedJwt,
  type TestKey,
  unsignedJwt,
} from '../../support/jwt-forge.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const issuer = 'https://id.example.com'
const audience = 'latchkey-of-example'
const rsa = makeTestKey('RS256', 'rsa 1')
const ec = makeTestKey('ES256', 'ec 1')
const ed = makeTestKey('EdDSA', 'ed 1')
const foreign = makeTestKey('ES256', 'ec 1')

class World {
  readonly clock = new ManualClock()
  published: unknown = { keys: [rsa.jwk, ec.jwk, ed.jwk] }
  status = 200
  isAway = false
  fetches = 0
  readonly #provider = new IdentityProvider({
    issuer,
    audience,
    clock: this.clock,
    keys: new ProviderKeys({
      url: `${issuer}/jwks`,
      clock: this.clock,
      log: nullLog,
      client: { ask: () => this.#answer() },
    }),
  })

  get now(): number {
    return this.clock.wallMs() / 1000
  }

  claims(changes: object = {}): Record<string, unknown> {
    const { now } = this
    const sub = 'user-1'
    return { iss: issuer, aud: audience, sub, iat: now, exp: now + 600, ...changes }
  }

  async read(text: string) {
    const jwt = readJwt(text)
    const hash = tokenHashOf(new Secret(text))
    return jwt === null || hash === null ? null : await this.#provider.read(text, hash, jwt)
  }

  /** True when the JWT says who somebody is. */
  async believes(text: string): Promise<boolean> {
    return (await this.read(text)) !== null
  }

  async #answer() {
    this.fetches++
    if (this.isAway) throw new GuardedRequestError('away')
    const { published, status } = this
    const body = typeof published === 'string' ? published : JSON.stringify(published)
    return { status, body }
  }
}

const algorithms: Readonly<Record<JwtAlgorithm, TestKey>> = { RS256: rsa, ES256: ec, EdDSA: ed }

test.each(Object.entries(algorithms))('an honest %s says who somebody is', async (_alg, key) => {
  const world = new World()
  const text = signedJwt(key, world.claims({ session_id: 's1', email: 'ada@example.com' }))
  expect(await world.read(text)).toEqual({
    kind: 'identity',
    hash: tokenHashOf(new Secret(text)),
    issuer,
    subject: 'user-1',
    email: 'ada@example.com',
    sessionKey: expect.stringMatching(/^[0-9a-f]{64}$/),
    issuedAtMs: world.now * 1000,
    endsAtMs: (world.now + 600) * 1000,
  })
})

describe('no other algorithm than that of the key', () => {
  test('none, in every spelling', async () => {
    const world = new World()
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      for (const kid of [undefined, rsa.kid, ec.kid]) {
        expect(await world.believes(`${unsignedJwt({ alg, kid }, world.claims())}.`)).toBe(false)
        expect(await world.believes(`${unsignedJwt({ alg, kid }, world.claims())}.eA`)).toBe(false)
      }
    }
    expect(world.fetches).toBe(0)
  })

  test('HS256 with a public key as its secret', async () => {
    const world = new World()
    for (const key of [rsa, ec, ed]) {
      for (const secret of publicForms(key)) {
        for (const alg of ['HS256', key.alg]) {
          const text = hmacJwt(secret, world.claims(), { kid: key.kid, alg })
          expect(await world.believes(text)).toBe(false)
        }
      }
    }
  })

  test('one key under the name or the algorithm of another', async () => {
    const world = new World()
    for (const key of [rsa, ec, ed]) {
      for (const other of [rsa, ec, ed].filter((one) => one !== key)) {
        for (const header of [
          { kid: other.kid },
          { alg: other.alg },
          { kid: other.kid, alg: other.alg },
        ]) {
          expect(await world.believes(signedJwt(key, world.claims(), header))).toBe(false)
        }
      }
    }
  })

  test('others of the same kind of key', async () => {
    const world = new World()
    for (const alg of ['RS384', 'RS512', 'PS256', 'ES384', 'ES256K', 'Ed25519', 'HS512', 'dir']) {
      for (const key of [rsa, ec, ed]) {
        expect(await world.believes(signedJwt(key, world.claims(), { alg }))).toBe(false)
      }
    }
  })

  test('secrets, weak keys and keys for encryption that are published verify nothing', async () => {
    const world = new World()
    const secret = { kty: 'oct', k: Buffer.from('secret').toString('base64url'), kid: 'oct' }
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const weak = { ...publicKey.export({ format: 'jwk' }), kid: 'weak' }
    world.published = {
      keys: [secret, weak, { ...rsa.jwk, use: 'enc' }, { ...ec.jwk, alg: 'ECDH-ES' }, ed.jwk],
    }
    const byWeak = signedJwt({ ...rsa, privateKey, kid: 'weak' }, world.claims())
    expect(await world.believes(byWeak)).toBe(false)
    expect(await world.believes(hmacJwt('secret', world.claims(), { kid: 'oct' }))).toBe(false)
    expect(await world.believes(signedJwt(rsa, world.claims()))).toBe(false)
    expect(await world.believes(signedJwt(ec, world.claims()))).toBe(false)
    expect(await world.believes(signedJwt(ed, world.claims()))).toBe(true)
  })
})

describe('keys are the provider’s alone', () => {
  test('one that the JWT brings along, or says where to fetch, means nothing', async () => {
    const world = new World()
    const { jwk } = foreign
    const headers = [
      { jwk },
      { jku: 'https://attacker.example.com/jwks' },
      { x5u: 'https://attacker.example.com/cert' },
      { x5c: ['MIIB'] },
      { jwk, jku: 'https://attacker.example.com/jwks', kid: undefined },
      { kid: '../../../../dev/null' },
      { kid: 'https://attacker.example.com/key' },
      { kid: "' union select 'secret' --" },
      { kid: 'x'.repeat(300) },
      { kid: 7 },
      { kid: ['ec 1'] },
      { kid: { toString: 'ec 1' } },
      { kid: '__proto__' },
      { crit: ['exp'] },
      { b64: false, crit: ['b64'] },
    ]
    for (const header of headers) {
      expect(await world.believes(signedJwt(foreign, world.claims(), header))).toBe(false)
    }
    // The keys themselves, once; nothing that a header named.
    expect(world.fetches).toBe(1)
  })

  test('a second key of the same name does not count', async () => {
    const world = new World()
    world.published = { keys: [ec.jwk, foreign.jwk] }
    expect(await world.believes(signedJwt(ec, world.claims()))).toBe(true)
    expect(await world.believes(signedJwt(foreign, world.claims()))).toBe(false)
  })

  test('without a kid there has to be one key', async () => {
    const world = new World()
    const text = signedJwt(ec, world.claims(), { kid: undefined })
    expect(await world.believes(text)).toBe(false)
    const other = new World()
    const { kid: _kid, ...nameless } = ec.jwk
    other.published = { keys: [nameless] }
    expect(await other.believes(text)).toBe(true)
    expect(await other.believes(signedJwt(ec, other.claims(), { kid: '' }))).toBe(true)
    expect(await other.believes(signedJwt(foreign, other.claims(), { kid: undefined }))).toBe(false)
  })
})

test.each([
  ['another issuer', { iss: 'https://id.example.org' }],
  ['the issuer with a slash', { iss: `${issuer}/` }],
  ['a list of issuers', { iss: [issuer] }],
  ['another audience', { aud: 'somebody-else' }],
  ['other audiences', { aud: ['a', 'b'] }],
  ['no audience', { aud: undefined }],
  ['an odd audience', { aud: { 0: audience } }],
  ['no subject', { sub: undefined }],
  ['an empty subject', { sub: '' }],
  ['a subject that is no text', { sub: 7 }],
  ['an endless subject', { sub: 'x'.repeat(256) }],
  ['no end', { exp: undefined }],
  ['an end that is text', { exp: '9999999999' }],
  ['an end that is none', { exp: null }],
  ['an end before time', { exp: -1 }],
  ['an end after time', { exp: 1e300 }],
  ['an anonymous visitor', { is_anonymous: true }],
  ['a visitor in other words', { is_anonymous: 'true' }],
  ['a service', { role: 'service_role' }],
  ['no role of a person', { role: 'anon' }],
  ['a role that is no text', { role: ['authenticated'] }],
])('%s is refused', async (_what, changes) => {
  const world = new World()
  expect(await world.believes(signedJwt(ec, world.claims(changes)))).toBe(false)
})

test('among several audiences ours is enough, and the role of people may be named', async () => {
  const world = new World()
  const claims = world.claims({ aud: ['other', audience], role: 'authenticated' })
  expect(await world.believes(signedJwt(ec, { ...claims, is_anonymous: false }))).toBe(true)
})

test('a clock may differ by 30 s at the beginning, and not by a second more', async () => {
  const world = new World()
  for (const name of ['nbf', 'iat']) {
    const at = (seconds: number) => signedJwt(ec, world.claims({ [name]: world.now + seconds }))
    expect(await world.believes(at(30))).toBe(true)
    expect(await world.believes(at(31))).toBe(false)
  }
})

test('one changed bit anywhere, and it says nothing', async () => {
  const world = new World()
  const text = signedJwt(ec, world.claims())
  // The last character has bits that stand for nothing.
  for (let at = 0; at < text.length - 1; at += 7) {
    const other = text[at] === 'A' ? 'B' : 'A'
    if (text[at] === '.') continue
    expect(await world.believes(text.slice(0, at) + other + text.slice(at + 1))).toBe(false)
  }
})

test('a signature that is written in another way is no other session', async () => {
  const world = new World()
  const text = signedJwt(ec, world.claims())
  const [signed = '', signature = ''] = [text.slice(0, text.lastIndexOf('.')), text.split('.')[2]]
  const bytes = Buffer.from(signature, 'base64url')
  // In ECDSA s and n - s are both good (SEC 1, section 4.1.4).
  const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  const other = (order - s).toString(16).padStart(64, '0')
  const mirrored = Buffer.concat([bytes.subarray(0, 32), Buffer.from(other, 'hex')])
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet[alphabet.indexOf(text.at(-1) ?? '') ^ 1]
  const forms = [text, `${signed}.${mirrored.toString('base64url')}`, text.slice(0, -1) + last]
  const read = await Promise.all(forms.map((form) => world.read(form)))
  expect(new Set(read.map((bearer) => bearer?.hash)).size).toBe(3)
  expect(new Set(read.map((bearer) => bearer?.sessionKey)).size).toBe(1)
})

describe('keys are fetched', () => {
  const jwtOf = (world: World, key = ec) => signedJwt(key, world.claims())

  test('when somebody needs one, and once for all who do', async () => {
    const world = new World()
    expect(world.fetches).toBe(0)
    await Promise.all(Array.from({ length: 20 }, () => world.believes(jwtOf(world))))
    expect(world.fetches).toBe(1)
  })

  test('again for a new name, but not more often than the cooldown allows', async () => {
    const world = new World()
    await world.believes(jwtOf(world))
    const next = makeTestKey('ES256', 'ec 2')
    world.published = { keys: [ec.jwk, next.jwk] }
    for (let each = 0; each < 50; each++) {
      expect(await world.believes(jwtOf(world, { ...next, kid: `made up ${each}` }))).toBe(false)
    }
    expect(world.fetches).toBe(1)
    world.clock.advance(30_000)
    expect(await world.believes(jwtOf(world, next))).toBe(true)
    expect(world.fetches).toBe(2)
  })

  test('every ten minutes, so that a withdrawn key is not believed for longer', async () => {
    const world = new World()
    expect(await world.believes(jwtOf(world))).toBe(true)
    world.published = { keys: [rsa.jwk] }
    world.clock.advance(599_000)
    expect(await world.believes(jwtOf(world))).toBe(true)
    world.clock.advance(2000)
    expect(await world.believes(jwtOf(world))).toBe(false)
  })

  test('in vain: known keys hold for an hour, then nothing can be decided', async () => {
    const world = new World()
    await world.believes(jwtOf(world))
    world.isAway = true
    world.clock.advance(3_599_000)
    expect(await world.believes(jwtOf(world))).toBe(true)
    world.clock.advance(6000)
    await expect(world.believes(jwtOf(world))).rejects.toThrow('away')
    const { fetches } = world
    await expect(world.believes(jwtOf(world))).rejects.toThrow('away')
    expect(world.fetches).toBe(fetches)
    world.isAway = false
    world.clock.advance(5000)
    expect(await world.believes(jwtOf(world))).toBe(true)
  })

  test.each([
    ['no JSON', 'nothing', 200],
    ['no key set', [], 200],
    ['no list', { keys: { 0: ec.jwk } }, 200],
    ['keys that are none', { keys: [null] }, 200],
    ['no key', { keys: [] }, 200],
    ['too many keys', { keys: Array.from({ length: 101 }, () => ec.jwk) }, 200],
    ['a redirect', { keys: [ec.jwk] }, 302],
    ['an error', { keys: [ec.jwk] }, 500],
  ] as const)('%s is no answer', async (_what, published, status) => {
    const world = new World()
    Object.assign(world, { published, status })
    await expect(world.believes(jwtOf(world))).rejects.toThrow()
    expect(await world.believes(signedJwt(ec, world.claims({ iss: 'other' })))).toBe(false)
  })
})
