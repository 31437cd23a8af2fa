import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'
import { loaded, TestAuthority } from '../support/certificates.ts'

let api: ApiSetup
let ref: string
let person: Person

const host = '127.0.0.1:4000'
const origin = `http://${host}`
const minuteMs = 60_000

beforeAll(async () => {
  api = await setUpApi()
  ref = await api.project()
})
afterAll(() => api.close())
beforeEach(async () => {
  // A new minute for each test.
  api.clock.advance(61_000)
  person = await api.person({ [ref]: 'owner' })
})

const signIn = (token: string, headers: Record<string, string> = {}) =>
  api.ask(null, {
    method: 'POST',
    url: '/auth/sign-in',
    headers: { host, origin, ...headers },
    payload: { token },
  })

/** The cookie as a browser sends it back. */
async function cookieOf(token: string): Promise<string> {
  const answer = await signIn(token)
  expect(answer.statusCode).toBe(200)
  return String(answer.headers['set-cookie']).split(';', 1)[0] ?? ''
}

const ask = (cookie: string, request: InjectOptions) =>
  api.ask(null, { ...request, headers: { host, origin, cookie, ...request.headers } })

const profileStatus = async (cookie: string, headers: Record<string, string> = {}) =>
  (await ask(cookie, { url: '/v1/profile', headers })).statusCode

describe('signing in', () => {
  test('gives a cookie that no script sees and no other site sends', async () => {
    const answer = await signIn(person.token)
    expect(answer.headers['set-cookie']).toMatch(
      /^latchkey=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
    )
    expect(answer.body).not.toContain(person.token)
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
    const cookie = String(answer.headers['set-cookie']).split(';', 1)[0] ?? ''
    expect(await profileStatus(cookie)).toBe(200)
    expect(api.world.lastEvent('session_created')).toMatchObject({
      actor: person.userId,
      details: { kind: 'dashboard' },
    })
  })

  test('over TLS the cookie is bound to host and TLS, and the plain one counts for nothing', async () => {
    const authority = new TestAuthority()
    const tls = await loaded(authority.issue(['latchkey.example.com']))
    const secure = await setUpApi({ tls, publicUrl: 'https://latchkey.example.com' })
    const someone = await secure.person()
    const place = { host: 'latchkey.example.com', origin: 'https://latchkey.example.com' }
    const answer = await secure.ask(null, {
      method: 'POST',
      url: '/auth/sign-in',
      headers: place,
      payload: { token: someone.token },
    })
    const [pair = '', ...flags] = String(answer.headers['set-cookie']).split('; ')
    expect(pair).toMatch(/^__Host-latchkey=/)
    expect(flags).toEqual(['Path=/', 'HttpOnly', 'SameSite=Strict', 'Secure'])
    const statusWith = async (cookie: string) =>
      (await secure.ask(null, { url: '/v1/profile', headers: { ...place, cookie } })).statusCode
    expect(await statusWith(pair)).toBe(200)
    expect(await statusWith(pair.replace('__Host-', ''))).toBe(401)
    await secure.close()
  })

  test('is refused for another page, without TLS beyond this machine, and for what is no token', async () => {
    expect((await signIn(person.token, { origin: 'http://evil.example' })).statusCode).toBe(403)
    const beyond = { host: '192.0.2.7:4000', origin: 'http://192.0.2.7:4000' }
    const plain = await signIn(person.token, beyond)
    expect([plain.statusCode, plain.json().message]).toEqual([403, expect.stringMatching(/TLS/)])
    expect((await signIn(`sbp_${'0'.repeat(40)}`)).statusCode).toBe(401)
  })

  test('counts wrong tokens with the other wrong bearers of a network', async () => {
    for (let at = 0; at < 10; at += 1)
      await api.ask(`sbp_${'1'.repeat(40)}`, { url: '/v1/profile' })
    for (let at = 0; at < 10; at += 1) await signIn(`sbp_${'2'.repeat(40)}`)
    const answer = await signIn(`sbp_${'3'.repeat(40)}`)
    expect(answer.statusCode).toBe(429)
    expect(answer.headers['retry-after']).toBeDefined()
  })
})

describe('a cookie', () => {
  test('changes nothing without our own Origin, and reads without one', async () => {
    const cookie = await cookieOf(person.token)
    const put = (headers: Record<string, string>) =>
      api.ask(null, {
        method: 'PUT',
        url: `/v1/projects/${ref}/jit-access`,
        headers: { host, cookie, ...headers },
        payload: { state: 'enabled' },
      })
    expect((await put({})).statusCode).toBe(403)
    expect((await put({ origin: 'null' })).statusCode).toBe(403)
    expect((await put({ origin: 'http://127.0.0.1:4001' })).statusCode).toBe(403)
    expect((await put({ origin })).statusCode).toBe(200)
    const read = { url: '/v1/profile', headers: { host, cookie } }
    expect((await api.ask(null, read)).statusCode).toBe(200)
  })

  test('is not taken under a name that somebody made lead here', async () => {
    const cookie = await cookieOf(person.token)
    const rebound = { host: 'rebound.example:4000', origin: 'http://rebound.example:4000' }
    expect(await profileStatus(cookie, rebound)).toBe(421)
    expect((await api.ask(null, { url: '/', headers: rebound })).statusCode).toBe(421)
    const none = { host: '127.0.0.1:99999' }
    expect((await api.ask(null, { url: '/', headers: none })).statusCode).toBe(400)
    expect((await signIn(person.token, rebound)).statusCode).toBe(421)
  })

  test('is over after half an hour without a use; what the page does by itself is none', async () => {
    const used = await cookieOf(person.token)
    const left = await cookieOf(person.token)
    api.clock.advance(20 * minuteMs)
    expect(await profileStatus(used)).toBe(200)
    expect(await profileStatus(left, { 'latchkey-background': '1' })).toBe(200)
    api.clock.advance(11 * minuteMs)
    expect(await profileStatus(used)).toBe(200)
    expect(await profileStatus(left)).toBe(401)
  })

  test('is over after twelve hours, whatever is done with it', async () => {
    const cookie = await cookieOf(person.token)
    for (let half = 0; half < 24; half += 1) {
      api.clock.advance(30 * minuteMs - 1000)
      expect(await profileStatus(cookie)).toBe(200)
    }
    api.clock.advance(minuteMs)
    expect(await profileStatus(cookie)).toBe(401)
  })

  test('ends with its token: revoked, or over', async () => {
    const cookie = await cookieOf(person.token)
    const revoke = { method: 'DELETE' as const, url: `/v1/access-tokens/${person.tokenId}` }
    expect((await ask(cookie, revoke)).statusCode).toBe(200)
    const after = await ask(cookie, { url: '/v1/profile' })
    expect(after.statusCode).toBe(401)
    expect(after.headers['set-cookie']).toMatch(/^latchkey=; .*Max-Age=0/)

    const { token } = await api.deps.tokens.create({
      userId: person.userId,
      name: 'short',
      expiresAtMs: api.clock.wallMs() + 5 * minuteMs,
    })
    const short = await cookieOf(token.reveal())
    expect(await profileStatus(short)).toBe(200)
    api.clock.advance(5 * minuteMs)
    expect(await profileStatus(short)).toBe(401)
  })

  test('may what its token may, and no more', async () => {
    const { token } = await api.deps.tokens.create({
      userId: person.userId,
      name: 'narrow',
      scope: { permissions: ['database_jit_read'], projects: [ref], roles: null, networks: null },
    })
    const cookie = await cookieOf(token.reveal())
    const list = await ask(cookie, { url: `/v1/projects/${ref}/database/jit/list` })
    expect(list.json()).toMatchObject({ missing_permissions: ['database_jit_write'] })
  })

  test('is worth nothing after signing out, and the browser is told to forget it', async () => {
    const cookie = await cookieOf(person.token)
    const foreign = { origin: 'http://evil.example' }
    const signOut = { method: 'POST' as const, url: '/auth/sign-out' }
    expect((await ask(cookie, { ...signOut, headers: foreign })).statusCode).toBe(403)
    expect(await profileStatus(cookie)).toBe(200)
    const answer = await ask(cookie, signOut)
    expect(answer.headers['set-cookie']).toMatch(/^latchkey=; .*Max-Age=0/)
    expect(await profileStatus(cookie)).toBe(401)
    expect(api.world.lastEvent('logged_out')).toMatchObject({ actor: person.userId })
  })

  test('is worth nothing under /api, and a bearer beside it is what counts', async () => {
    const cookie = await cookieOf(person.token)
    expect((await ask(cookie, { url: '/api/tenants' })).statusCode).toBe(403)
    const authorization = `Bearer sbp_${'4'.repeat(40)}`
    expect(await profileStatus(cookie, { authorization })).toBe(401)
  })

  test('of the oldest sign-in goes when one person has too many', async () => {
    const first = await cookieOf(person.token)
    for (let at = 0; at < 20; at += 1) {
      api.clock.advance(1)
      await cookieOf(person.token)
    }
    expect(await profileStatus(first)).toBe(401)
  })
})

describe('the page', () => {
  test('lets in nothing foreign, is in no frame, and its files may be kept for ever', async () => {
    const page = await api.ask(null, { url: '/', headers: { host } })
    expect(page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
    })
    expect(page.body).not.toMatch(/<script(?![^>]* src=)|style=|https?:\/\/(?!www\.w3\.org)/)
    const paths = [...page.body.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(
      ([, path]) => path,
    )
    expect(paths.length).toBeGreaterThan(20)
    for (const url of new Set(paths)) {
      const file = await api.ask(null, { url: url ?? '', headers: { host } })
      expect([url, file.statusCode]).toEqual([url, 200])
      expect(file.headers['cache-control']).toContain('immutable')
      if (!url?.endsWith('.js')) continue
      expect(file.headers['content-type']).toMatch(/^text\/javascript/)
      // Browsers know neither packages nor TypeScript.
      expect(file.body).not.toMatch(/\bfrom\s*["'](?![./])|from\s*["'][^"']+\.ts["']/)
    }
  })

  test('has no other files', async () => {
    const { body } = await api.ask(null, { url: '/', headers: { host } })
    const base = /\/assets\/[0-9a-f]+\//.exec(body)?.[0] ?? ''
    for (const name of [
      'page.html',
      'tsconfig.json',
      '../dashboard-files.ts',
      '%2e%2e/page-routes.ts',
    ]) {
      const { statusCode } = await api.ask(null, { url: `${base}${name}`, headers: { host } })
      expect([name, statusCode]).toEqual([name, 404])
    }
  })
})
