import { createPrivateKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { tokenHashOf } from '../../../pooler/access/access-tokens.ts'
import { Bearers } from '../../../pooler/access/bearers.ts'
import { SessionJwts, sessionIssuer } from '../../../pooler/access/session-jwt.ts'
import { SessionKeys } from '../../../pooler/access/session-keys.ts'
import type { Member } from '../../../pooler/store/members.ts'
import type { NewSigningKey, StoredSigningKey } from '../../../pooler/store/signing-keys.ts'
import type { TokenOwner } from '../../../pooler/store/tokens.ts'
import { nullLog } from '../../../shared/log.ts'
import { Secret } from '../../../shared/secret.ts'
import { HandDrivenChanges } from '../../support/hand-driven-changes.ts'
import { makeTestKey, signedJwt } from '../../support/jwt-forge.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const dayMs = 86_400_000
const ada: Member = { userId: 'ada', email: null, name: 'Ada', isOperator: false, createdAtMs: 0 }
const issuer = 'https://id.example.com'

/** Keys as they lie in the metadata, for as many processes as a test has. */
class KeyTable {
  keys: StoredSigningKey[] = []
  asked = 0
  readonly #clock: ManualClock

  constructor(clock: ManualClock) {
    this.#clock = clock
  }

  list = async () => {
    this.asked++
    return this.keys
  }

  renew = async (
    isDue: (keys: readonly StoredSigningKey[]) => boolean,
    make: () => Promise<NewSigningKey>,
    isSpent: (key: StoredSigningKey, keys: readonly StoredSigningKey[]) => boolean,
  ) => {
    this.keys = this.keys.filter((key) => !isSpent(key, this.keys))
    const createdAtMs = this.#clock.wallMs()
    if (isDue(this.keys)) this.keys = [{ ...(await make()), createdAtMs }, ...this.keys]
    return this.keys
  }
}

function setup() {
  const clock = new ManualClock()
  const changes = new HandDrivenChanges()
  const table = new KeyTable(clock)
  const openKeys = () => new SessionKeys({ store: table, clock, log: nullLog })
  const jwts = new SessionJwts(openKeys(), clock)
  const ended = new Set<string>()
  const members = new Map<string, Member>()
  const seen = { verified: 0, members: 0, ended: 0 }
  const owner: TokenOwner = {
    token: {
      id: 'token of ada',
      userId: 'ada',
      name: 'laptop',
      prefix: 'sbp_aaaa',
      scope: null,
      createdAtMs: 0,
      expiresAtMs: null,
      revokedAtMs: null,
      lastUsedAtMs: null,
    },
    member: ada,
  }
  const world = { owner: owner as TokenOwner | null }
  const uses: string[] = []
  const keptUntil: number[] = []
  const bearers = new Bearers({
    accessTokens: {
      findByHash: async () => world.owner,
      findById: async () => world.owner,
      noteUse: ({ id }) => uses.push(id),
    },
    sessionJwts: {
      read: (...jwt) => {
        seen.verified++
        return jwts.read(...jwt)
      },
    },
    provider: {
      read: async (_text, hash, { claims }) => {
        if (claims.issuer !== issuer) return null
        const { endsAtMs, subject } = claims
        const sessionKey = 'ab'.repeat(32)
        const person = { issuer, subject, email: null }
        return { kind: 'identity', hash, ...person, sessionKey, issuedAtMs: 0, endsAtMs }
      },
    },
    identities: {
      findMember: async ({ subject }) => {
        seen.members++
        return members.get(subject) ?? null
      },
    },
    endedSessions: {
      end: async (key, _tokenId, endsAtMs) => {
        ended.add(key)
        keptUntil.push(endsAtMs)
      },
      isEnded: async (key) => {
        seen.ended++
        return ended.has(key)
      },
    },
    changes,
    clock,
  })
  const key = makeTestKey('ES256', 'k')
  const outside = (changed: object = {}) =>
    new Secret(
      signedJwt(key, {
        iss: issuer,
        aud: 'a',
        sub: 'x',
        exp: clock.wallMs() / 1000 + 60,
        ...changed,
      }),
    )
  return {
    clock,
    changes,
    table,
    openKeys,
    jwts,
    bearers,
    world,
    owner,
    uses,
    ended,
    keptUntil,
    members,
    seen,
    outside,
  }
}

test('what has not the shape of a token is asked of nobody', async () => {
  const { bearers, seen } = setup()
  for (const text of ['', 'secret', 'sbp_', 'eyJ.eyJ', 'a.b.c', 'eyJh.eyJp.c2ln', 'eyJh.eyJ\0.x']) {
    expect(await bearers.find(new Secret(text))).toBeNull()
  }
  expect(seen).toEqual({ verified: 0, members: 0, ended: 0 })
})

test('a session is its token, for as long as both last', async () => {
  const { bearers, jwts, owner, world, uses, clock } = setup()
  const { token, endsAtMs } = await jwts.issue(owner, 600)
  expect(await bearers.find(token)).toMatchObject({
    member: ada,
    token: { id: 'token of ada', expiresAtMs: endsAtMs, isLoggedOut: false },
    bearer: { kind: 'session', hash: tokenHashOf(token) },
  })
  expect(uses).toEqual(['token of ada'])
  const soon = clock.wallMs() + 1000
  world.owner = { ...owner, token: { ...owner.token, expiresAtMs: soon, revokedAtMs: 7 } }
  expect((await bearers.find(token))?.token).toMatchObject({ expiresAtMs: soon, revokedAtMs: 7 })
  world.owner = null
  expect(await bearers.find(token)).toBeNull()
})

test('a JWT is verified once in five seconds, however often it is shown', async () => {
  const { bearers, jwts, owner, clock, seen } = setup()
  const { token } = await jwts.issue(owner, 600)
  await Promise.all([bearers.find(token), bearers.find(token), bearers.find(token)])
  clock.advance(4999)
  await bearers.find(token)
  expect(seen).toMatchObject({ verified: 1, ended: 1 })
  clock.advance(1)
  await bearers.find(token)
  expect(seen).toMatchObject({ verified: 2, ended: 2 })
})

test('a log-out holds at once where it was asked, and elsewhere when it is announced', async () => {
  const here = setup()
  const { token } = await here.jwts.issue(here.owner, 600)
  const found = await here.bearers.find(token)
  if (found === null || found.bearer.kind === 'personal') throw new Error('no session')
  await here.bearers.logOut({ ...found, bearer: found.bearer })
  expect((await here.bearers.find(token))?.token.isLoggedOut).toBe(true)
  const there = setup()
  const issued = await there.jwts.issue(there.owner, 600)
  const bearer = await there.bearers.read(issued.token)
  if (bearer?.kind !== 'session') throw new Error('no session')
  expect((await there.bearers.ownerOf(bearer))?.token.isLoggedOut).toBe(false)
  there.ended.add(bearer.sessionKey)
  there.changes.announce({ kind: 'token', id: 'another token' })
  expect((await there.bearers.ownerOf(bearer))?.token.isLoggedOut).toBe(false)
  there.changes.announce({ kind: 'token', id: 'token of ada' })
  expect((await there.bearers.ownerOf(bearer))?.token.isLoggedOut).toBe(true)
})

test('a log-out is kept to the end of our session, and far beyond that of a JWT that its provider renews', async () => {
  const { bearers, jwts, owner, members, outside, keptUntil, clock } = setup()
  members.set('x', ada)
  const issued = await jwts.issue(owner, 600)
  for (const token of [issued.token, outside(), outside({ exp: clock.wallMs() / 1000 + 1e7 })]) {
    const found = await bearers.find(token)
    if (found === null || found.bearer.kind === 'personal') throw new Error('no session')
    await bearers.logOut({ ...found, bearer: found.bearer })
  }
  const daysMs = 30 * 86_400_000
  expect(keptUntil).toEqual([issued.endsAtMs, clock.wallMs() + daysMs, clock.wallMs() + 1e10])
})

test('while changes are not heard nothing that the metadata say is remembered', async () => {
  const { bearers, jwts, owner, changes, ended } = setup()
  const { token } = await jwts.issue(owner, 600)
  const bearer = await bearers.read(token)
  if (bearer?.kind !== 'session') throw new Error('no session')
  expect((await bearers.ownerOf(bearer))?.token.isLoggedOut).toBe(false)
  changes.isBlind = true
  ended.add(bearer.sessionKey)
  expect((await bearers.find(token))?.token.isLoggedOut).toBe(true)
})

test('an identity that is linked or unlinked is looked up again', async () => {
  const { bearers, members, changes, outside, seen } = setup()
  const token = outside()
  expect(await bearers.find(token)).toBeNull()
  expect(await bearers.find(token)).toBeNull()
  expect(seen.members).toBe(1)
  members.set('x', ada)
  changes.announce({ kind: 'member', userId: 'ada' })
  expect(await bearers.find(token)).toMatchObject({ member: ada, bearer: { kind: 'identity' } })
  members.clear()
  changes.announce({ kind: 'member', userId: 'ada' })
  expect(await bearers.find(token)).toBeNull()
})

test('who somebody is to the provider is told for an invitation, member or not, while it lasts', async () => {
  const { bearers, jwts, owner, outside, ended, clock } = setup()
  const token = outside()
  expect(await bearers.identityOf(token)).toEqual({ issuer, subject: 'x', email: null })
  expect(await bearers.identityOf((await jwts.issue(owner, 60)).token)).toBeNull()
  expect(await bearers.identityOf(new Secret(`sbp_${'a'.repeat(40)}`))).toBeNull()
  clock.advance(60_000)
  expect(await bearers.identityOf(token)).toBeNull()
  ended.add('ab'.repeat(32))
  expect(await bearers.identityOf(outside())).toBeNull()
})

test('the key is renewed each month, published before it signs, and kept for what it signed', async () => {
  const { clock, table, openKeys, owner } = setup()
  const keys = openKeys()
  const jwts = new SessionJwts(keys, clock)
  await keys.renew()
  const first = await keys.signingKey()
  clock.jumpWall(30 * dayMs)
  await keys.renew()
  expect(await keys.published()).toHaveLength(2)
  expect((await keys.signingKey()).kid).toBe(first.kid)
  const { token } = await jwts.issue(owner, 3600)
  clock.jumpWall(10 * 60_000)
  expect((await keys.signingKey()).kid).not.toBe(first.kid)
  clock.jumpWall(3_000_000)
  await keys.renew()
  expect(await keys.verifyingKey(first.kid)).not.toBeNull()
  expect(table.keys).toHaveLength(2)
  clock.jumpWall(3 * 3_600_000)
  await keys.renew()
  expect(await keys.verifyingKey(first.kid)).toBeNull()
  expect(token.reveal()).toMatch(/^eyJ/)
})

test('a key of another process is found, and names that are made up cost one look in a second', async () => {
  const { clock, table, openKeys } = setup()
  const [one, other] = [openKeys(), openKeys()]
  await one.renew()
  const { kid } = await one.signingKey()
  expect(await other.verifyingKey(kid)).not.toBeNull()
  const { asked } = table
  for (let each = 0; each < 100; each++) await other.verifyingKey(`made up ${each}`)
  expect(table.asked).toBe(asked)
  clock.advance(1000)
  await Promise.all([other.verifyingKey('x'), other.verifyingKey('y')])
  expect(table.asked).toBe(asked + 1)
})

test('a key that cannot be opened signs no more, still verifies, and a new one is made', async () => {
  const { table, openKeys } = setup()
  const before = openKeys()
  await before.renew()
  const { kid } = await before.signingKey()
  table.keys = table.keys.map((key) => ({ ...key, privateJwk: null }))
  const after = openKeys()
  await after.renew()
  expect((await after.signingKey()).kid).not.toBe(kid)
  expect(await after.verifyingKey(kid)).not.toBeNull()
})

test('what our key signed as something else than a session is none', async () => {
  const { table, openKeys, bearers, clock } = setup()
  await openKeys().renew()
  const [stored] = table.keys
  const jwk = JSON.parse(stored?.privateJwk?.reveal() ?? '')
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' })
  const key = { ...makeTestKey('ES256', stored?.kid ?? ''), privateKey }
  const now = clock.wallMs() / 1000
  const claims = {
    iss: sessionIssuer,
    aud: sessionIssuer,
    sub: 'ada',
    session_id: 's',
    token_id: 't',
    exp: now + 60,
  }
  const typ = 'latchkey-session+jwt'
  const read = (changes: object, header: Readonly<Record<string, unknown>>) =>
    bearers.read(new Secret(signedJwt(key, { ...claims, ...changes }, header)))
  expect(await read({}, { typ })).toMatchObject({ kind: 'session' })
  for (const header of [{}, { typ: undefined }, { typ: 'at+jwt' }, { typ, kid: undefined }]) {
    expect(await read({}, header)).toBeNull()
  }
  for (const changes of [
    { iss: 'Latchkey' },
    { aud: 'other' },
    { token_id: undefined },
    { token_id: 7 },
    { session_id: undefined },
    { exp: undefined },
    { nbf: now + 31 },
    { iat: now + 31 },
  ]) {
    expect(await read(changes, { typ })).toBeNull()
  }
})
