// Sessions by JWT, ours and those of an identity provider: as bearer of the API and as password of a
// database login, until they end, are logged out, or what they rest on goes.
import { randomUUID } from 'node:crypto'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { expectEnded } from '../support/endings-setup.ts'
import { eventually } from '../support/eventually.ts'
import { makeTestKey, signedJwt } from '../support/jwt-forge.ts'
import { KeySetServer } from '../support/key-set-server.ts'
import { type Door, doors, PersonSession } from '../support/person-session.ts'
import type { RawClient } from '../support/raw-client.ts'
import { LoginRefused } from '../support/raw-login.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'
import { SteeredClock } from '../support/steered-clock.ts'

let provider: KeySetServer
let pooler: RunningPooler
/** Another process on the same metadata. */
let other: RunningPooler
let project: TestProject
let person: TestPerson
const clients: RawClient[] = []
const clock = new SteeredClock()

beforeAll(async () => {
  provider = await KeySetServer.start()
  const env = { ...provider.env, VAULT_ENC_KEY: 'a4f0c2d19b7e6835'.repeat(4) }
  pooler = await RunningPooler.start({ env, clock })
  other = await RunningPooler.start({ env, databaseUrl: pooler.metadataUrl })
})
afterAll(async () => {
  await other?.stop()
  await pooler?.stop()
  await provider?.stop()
})
beforeEach(async () => {
  project = await pooler.project({ input: { enforceSsl: true } })
  person = await pooler.person(project, { membership: 'owner' })
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
  await other.settled()
  clock.reset()
})

async function makeSession(bearer: string, body: object = {}): Promise<string> {
  const made = await pooler.api('POST', '/v1/auth/session', bearer, body)
  expect(made.status, made.text).toBe(201)
  return (made.body as { access_token: string }).access_token
}

async function enter(password: string, door: Door = 'transaction', at = pooler) {
  const session = await PersonSession.enter(at, project, password, door)
  clients.push(session.client)
  return session
}

async function refused(password: string): Promise<Record<string, string>> {
  const error = await enter(password).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(LoginRefused)
  return (error as LoginRefused).fields
}

const statusOf = async (bearer: string, at = pooler) =>
  (await at.api('GET', '/v1/profile', bearer)).status

describe('a session of ours', () => {
  test('is an ES256 JWT that anybody can verify with the published keys', async () => {
    const text = await makeSession(person.token, { ttl_seconds: 60 })
    const { status, body, headers } = await pooler.api('GET', '/.well-known/jwks.json', 'nobody')
    expect([status, headers.get('cache-control')]).toEqual([200, 'public, max-age=300'])
    const keys = body as Parameters<typeof createLocalJWKSet>[0]
    expect(JSON.stringify(keys)).not.toContain('"d"')
    const options = { issuer: 'latchkey', audience: 'latchkey', algorithms: ['ES256'] }
    const { payload } = await jwtVerify(text, createLocalJWKSet(keys), options)
    expect(payload).toMatchObject({ sub: person.userId, token_id: person.tokenId })
    expect((payload.exp as number) - (payload.iat as number)).toBe(60)
    expect(decodeProtectedHeader(text).kid).toBe(keys.keys[0]?.kid)
  })

  test('lasts ten minutes unless said otherwise, and never longer than its token', async () => {
    const before = Math.floor(Date.now() / 1000)
    const usual = decodeJwt(await makeSession(person.token)).exp as number
    expect(usual - before).toBeGreaterThanOrEqual(600)
    expect(usual - before).toBeLessThan(700)
    const tokenExpiresAtMs = (before + 90) * 1000
    const short = await pooler.person(project, { tokenExpiresAtMs })
    expect(decodeJwt(await makeSession(short.token)).exp).toBe(before + 90)
  })

  test.each([[59], [3601], [600.5], ['600'], [null]])('is not made for %j seconds', async (ttl) => {
    const body = { ttl_seconds: ttl }
    const { status } = await pooler.api('POST', '/v1/auth/session', person.token, body)
    expect(status).toBe(400)
  })

  test('stands for its token at the API, and can get no further rights', async () => {
    const session = await makeSession(person.token)
    const profile = await pooler.api('GET', '/v1/profile', session)
    expect(profile.body).toMatchObject({ gotrue_id: person.userId })
    for (const [path, body] of [
      ['/v1/auth/session', {}],
      ['/v1/access-tokens', { name: 'for ever' }],
    ] as const) {
      expect((await pooler.api('POST', path, session, body)).status).toBe(403)
    }
    const listed = await pooler.api('GET', '/v1/access-tokens', person.token)
    expect(listed.body).toHaveLength(1)
  })

  test.each(doors)(
    'is a password at the door %s, and ends there when it is logged out',
    async (door) => {
      const [session, stays] = [await makeSession(person.token), await makeSession(person.token)]
      const here = await enter(session, door)
      const there = await enter(session, door, other)
      const kept = await enter(stays, door)
      const logOut = await other.api('DELETE', '/v1/auth/session', session)
      expect(logOut.status).toBe(204)
      expectEnded(await here.fatal(), /logged out/)
      expectEnded(await there.fatal(), /logged out/)
      await kept.answers()
      expect(await refused(session)).toMatchObject({ C: '28P01' })
      await eventually(async () => (await statusOf(session)) === 401)
      expect(await statusOf(session, other)).toBe(401)
      expect(await statusOf(stays)).toBe(200)
    },
  )

  test('ends with its token', async () => {
    const session = await makeSession(person.token)
    const inside = await enter(session)
    const path = `/v1/access-tokens/${person.tokenId}`
    expect((await pooler.api('DELETE', path, session)).status).toBe(200)
    expectEnded(await inside.fatal(), /token revoked/)
    expect(await refused(session)).toMatchObject({ C: '28P01' })
    await eventually(async () => (await statusOf(session)) === 401)
  })

  test('of a scoped token has its scope, at the API and at the database', async () => {
    const elsewhere = await pooler.project({ input: { enforceSsl: true } })
    const { members } = pooler.pooler.control
    await members.putMembership(elsewhere.ref, person.userId, 'owner', 'operator')
    const body = {
      name: 'narrow',
      expires_at: Math.floor(Date.now() / 1000) + 3600,
      permissions: ['project_admin_read'],
      projects: [project.ref],
    }
    const made = await pooler.api('POST', '/v1/access-tokens', person.token, body)
    expect(made.status, made.text).toBe(201)
    const session = await makeSession((made.body as { token: string }).token)
    const state = ({ ref }: TestProject) => `/v1/projects/${ref}/jit-access`
    const put = { state: 'disabled' }
    expect((await pooler.api('GET', state(project), session)).status).toBe(200)
    expect((await pooler.api('PUT', state(project), session, put)).status).toBe(403)
    expect((await pooler.api('GET', state(elsewhere), session)).status).toBe(404)
    expect((await pooler.api('GET', state(elsewhere), person.token)).status).toBe(200)
    expect((await pooler.api('POST', '/v1/access-tokens', session, { name: 'x' })).status).toBe(403)
    expect(await refused(session)).toMatchObject({ C: '28P01' })
  })

  test('tells its own end to a person who logs in', async () => {
    const inside = await enter(await makeSession(person.token, { ttl_seconds: 60 }))
    const [live] = pooler.pooler.control.liveSessions.list(project.ref)
    expect(live?.foundation).toMatchObject({ endsBy: 'token', token: { id: person.tokenId } })
    expect((live?.foundation?.endsAtMs ?? 0) - Date.now()).toBeLessThanOrEqual(60_000)
    await inside.answers()
  })

  test('is worth nothing when another key than ours signed it', async () => {
    const session = await makeSession(person.token)
    const { kid } = decodeProtectedHeader(session)
    const forger = { ...makeTestKey('ES256', kid as string), kid: kid as string }
    const forged = signedJwt(forger, decodeJwt(session), decodeProtectedHeader(session))
    expect(await statusOf(forged)).toBe(401)
    expect(await refused(forged)).toMatchObject({ C: '28P01' })
  })

  test('is written to no log', async () => {
    const session = await makeSession(person.token)
    await enter(session)
    await pooler.api('DELETE', '/v1/auth/session', session)
    await refused(session)
    const written = pooler.captured.text
    for (const part of [session, ...session.split('.').slice(1)])
      expect(written).not.toContain(part)
    expect(written).not.toContain(person.token)
  })
})

describe('somebody who is signed in at the provider', () => {
  const link = (subject: string, userId = person.userId, body: object = {}) =>
    pooler.api('POST', `/api/members/${userId}/identities`, 'api', { subject, ...body })

  test('is the member whose user_id the provider calls them by', async () => {
    expect(await statusOf(provider.jwt(person.userId))).toBe(200)
    await (await enter(provider.jwt(person.userId))).answers()
  })

  test('is nobody until an operator links them; an e-mail address links nobody', async () => {
    const subject = randomUUID()
    const claims = { email: person.email, email_verified: true }
    const jwt = provider.jwt(subject, claims)
    expect(await statusOf(jwt)).toBe(401)
    expect(await refused(jwt)).toMatchObject({ C: '28P01' })
    expect((await link(subject)).status).toBe(201)
    expect((await link(subject)).status).toBe(200)
    await eventually(async () => (await statusOf(jwt)) === 200)
    await eventually(async () => (await statusOf(jwt, other)) === 200)
    const inside = await enter(jwt)
    const list = `/api/members/${person.userId}/identities`
    const { items } = (await pooler.api('GET', list, 'api')).body as { items: { id: string }[] }
    expect(items).toMatchObject([{ issuer: provider.issuer, subject }])
    expect((await pooler.api('DELETE', `${list}/${items[0]?.id}`, 'api')).status).toBe(204)
    expectEnded(await inside.fatal(), /identity linked to nobody/)
    expect(await refused(jwt)).toMatchObject({ C: '28P01' })
  })

  test('is one member at a time, and of one issuer', async () => {
    const subject = randomUUID()
    const second = await pooler.person(project)
    expect((await link(subject)).status).toBe(201)
    expect((await link(subject, second.userId)).status).toBe(409)
    const elsewhere = { issuer: 'https://id.example.org' }
    expect((await link(subject, second.userId, elsewhere)).status).toBe(201)
    const { body } = await pooler.api('GET', '/v1/profile', provider.jwt(subject))
    expect(body).toMatchObject({ gotrue_id: person.userId })
    expect((await link('', person.userId)).status).toBe(400)
    expect((await link('x', randomUUID())).status).toBe(404)
  })

  test('is refused after a log-out under any of its names, and a replay too', async () => {
    const names = [{ session_id: randomUUID() }, { jti: randomUUID() }, { nonce: randomUUID() }]
    for (const name of names) {
      const jwt = provider.jwt(person.userId, name)
      const later = provider.jwt(person.userId, {
        ...name,
        exp: Math.floor(Date.now() / 1000) + 900,
      })
      const inside = await enter(jwt)
      expect((await other.api('DELETE', '/v1/auth/session', jwt)).status).toBe(204)
      expectEnded(await inside.fatal(), /logged out/)
      expect(await refused(jwt)).toMatchObject({ C: '28P01' })
      await eventually(async () => (await statusOf(jwt)) === 401)
      // Another JWT of the same session, where the provider names one.
      expect(await statusOf(later)).toBe('nonce' in name ? 200 : 401)
    }
  })

  test('is out at the second at which the JWT ends, and not let in after it', async () => {
    const endsAt = Math.floor(clock.wallMs() / 1000) + 3600
    const jwt = provider.jwt(person.userId, { exp: endsAt })
    const inside = await enter(jwt)
    clock.moveTo((endsAt - 1800) * 1000)
    await inside.answers()
    clock.moveTo(endsAt * 1000)
    expectEnded(await inside.fatal(), /token expired/)
    expect(await refused(jwt)).toMatchObject({ C: '28P01' })
    expect(await statusOf(jwt)).toBe(401)
  })

  test('is nobody by a key that the provider does not publish', async () => {
    expect(await statusOf(provider.jwt(person.userId))).toBe(200)
    const foreign = makeTestKey('ES256', 'of nobody')
    const claims = decodeJwt(provider.jwt(person.userId))
    expect(await statusOf(signedJwt(foreign, claims))).toBe(401)
    expect(await refused(signedJwt(foreign, claims))).toMatchObject({ C: '28P01' })
  })

  test('makes a personal token of their own, but no session of ours', async () => {
    const jwt = provider.jwt(person.userId)
    const made = await pooler.api('POST', '/v1/access-tokens', jwt, { name: 'first' })
    expect(made.status).toBe(201)
    expect((await pooler.api('POST', '/v1/auth/session', jwt, {})).status).toBe(403)
  })
})
