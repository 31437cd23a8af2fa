// Signing in to the dashboard at an identity provider: a real one, with a page of its own on another
// site, real Chromium between the two, and everything that somebody in between may try.
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  expectAccessible,
  keepShot,
  looks,
  needsChromium,
  openWindow,
  startBrowser,
} from '../support/browser.ts'
import { eventually } from '../support/eventually.ts'
import { hmacJwt, makeTestKey, publicForms, signedJwt, unsignedJwt } from '../support/jwt-forge.ts'
import { testAudience } from '../support/key-set-server.ts'
import { noteSecret } from '../support/known-secrets.ts'
import { OpenIdProvider, testClientId } from '../support/openid-provider.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

let provider: OpenIdProvider
let pooler: RunningPooler
let project: TestProject
let owner: TestPerson
/** Each test comes from a network of its own: failures are counted by network. */
let address = 0

beforeAll(async () => {
  provider = await OpenIdProvider.start()
  pooler = await RunningPooler.start({
    env: { ...provider.env, API_TRUSTED_PROXIES: '127.0.0.1' },
  })
  project = await pooler.project()
  owner = await pooler.person(project, { membership: 'owner' })
})
afterAll(async () => {
  await pooler.stop()
  await provider.stop()
})
beforeEach(() => {
  provider.subject = owner.userId
  provider.lie = {}
  address += 1
})

interface Begun {
  /** Where the provider is. */
  readonly location: string
  /** As the browser sends it back. */
  readonly ticket: string
}

const network = () => ({ 'x-forwarded-for': `198.51.${address}.7` })

const post = (body: unknown, headers: Record<string, string> = {}, to = pooler) =>
  fetch(`${to.apiUrl}/auth/provider`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: to.apiUrl, ...headers },
    body: JSON.stringify(body),
  })

async function begin(returnTo = '/', to = pooler): Promise<Begun> {
  const answer = await post({ return_to: returnTo }, {}, to)
  expect(answer.status).toBe(200)
  const { location } = (await answer.json()) as { location: string }
  const ticket = answer.headers.getSetCookie()[0]?.split(';', 1)[0] ?? ''
  noteSecret(ticket.split('=')[1] ?? '')
  return { location, ticket }
}

interface Landing {
  readonly location: string | null
  /** The session's, where there is one. */
  readonly session: string | null
  readonly cookies: readonly string[]
}

async function land(back: string, cookie: string): Promise<Landing> {
  const answer = await fetch(back, { redirect: 'manual', headers: { cookie, ...network() } })
  expect(answer.status).toBe(303)
  const cookies = answer.headers.getSetCookie()
  const session = cookies
    .map((one) => one.split(';', 1)[0] ?? '')
    .find((one) => /^latchkey=./.test(one))
  const { pathname, search, origin } = new URL(answer.headers.get('location') ?? '')
  expect(origin).toBe(pooler.apiUrl)
  return { location: `${pathname}${search}`, session: session ?? null, cookies }
}

/** All the way, with whatever the provider has been told to get wrong. */
async function signIn(): Promise<Landing> {
  const { location, ticket } = await begin()
  return await land(await provider.visit(location), ticket)
}

const refused = (fault: string) => ({ location: `/?sign_in=${fault}`, session: null })

describe('somebody whom the provider knows', () => {
  test('is signed in, where they wanted to go, by a cookie like every other', async () => {
    const path = `/projects/${project.ref}/access`
    const begun = await begin(path)
    const asked = new URL(begun.location).searchParams
    expect(asked.get('redirect_uri')).toBe(`${pooler.apiUrl}/auth/callback`)
    expect(begun.ticket).toMatch(/^latchkey-sign-in=[\w-]{100,}$/)
    const { location, session, cookies } = await land(
      await provider.visit(begun.location),
      begun.ticket,
    )
    expect(location).toBe(path)
    expect(cookies[0]).toMatch(/^latchkey=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/)
    expect(cookies[1]).toMatch(/^latchkey-sign-in=; .*SameSite=Lax; Max-Age=0$/)
    const profile = await fetch(`${pooler.apiUrl}/v1/profile`, {
      headers: { cookie: session ?? '' },
    })
    expect(await profile.json()).toMatchObject({ gotrue_id: owner.userId })
    await eventually(async () => {
      const events = await pooler.pooler.control.database.db
        .selectFrom('events')
        .select('action')
        .where('actor', '=', owner.userId)
        .execute()
      expect(events).toContainEqual({ action: 'session_created' })
    })
  })

  test('is in until the ID token is over, and not until the usual end', async () => {
    const exp = Math.floor(Date.now() / 1000) + 600
    provider.lie = { claims: { exp } }
    expect((await signIn()).session).not.toBeNull()
    const row = await pooler.pooler.control.database.db
      .selectFrom('web_sessions')
      .select('ends_at')
      .where('user_id', '=', owner.userId)
      .orderBy('created_at', 'desc')
      .executeTakeFirst()
    expect(row?.ends_at).toEqual(new Date(exp * 1000))
  })

  test('but nobody here does: is told so, and the log says whom to link', async () => {
    provider.subject = 'auth0|nobody-yet'
    expect(await signIn()).toMatchObject(refused('stranger'))
    expect(pooler.captured.text).toContain('auth0|nobody-yet')
  })

  test('may say no there', async () => {
    const { location, ticket } = await begin()
    expect(await land(await provider.visit(location, 'deny'), ticket)).toMatchObject(
      refused('denied'),
    )
  })
})

describe('an answer that this browser did not ask for', () => {
  test('without the ticket, or with a changed one, is nobody', async () => {
    const { location, ticket } = await begin()
    const back = await provider.visit(location)
    expect(await land(back, '')).toMatchObject(refused('forgotten'))
    const changed = `${ticket.slice(0, -4)}AAAA`
    expect(await land(back, changed)).toMatchObject(refused('forgotten'))
    expect(await land(back, 'latchkey-sign-in=x')).toMatchObject(refused('forgotten'))
  })

  test("with another browser's state is foreign: nobody is signed in as somebody else", async () => {
    const attacker = await begin()
    const victim = await begin()
    const back = await provider.visit(attacker.location)
    expect(await land(back, victim.ticket)).toMatchObject(refused('foreign'))
    const without = new URL(back)
    without.searchParams.delete('state')
    expect(await land(without.href, attacker.ticket)).toMatchObject(refused('foreign'))
    const twice = new URL(back)
    twice.searchParams.append('state', 'x')
    expect(await land(twice.href, attacker.ticket)).toMatchObject(refused('foreign'))
  })

  test('with a code that was got elsewhere is refused by the provider, for lack of its verifier', async () => {
    const attacker = await begin()
    const victim = await begin()
    const stolen = new URL(await provider.visit(victim.location)).searchParams.get('code') ?? ''
    const back = new URL(await provider.visit(attacker.location))
    back.searchParams.set('code', stolen)
    expect(await land(back.href, attacker.ticket)).toMatchObject(refused('provider'))
  })

  test('is good once', async () => {
    const { location, ticket } = await begin()
    const back = await provider.visit(location)
    expect((await land(back, ticket)).session).not.toBeNull()
    expect(await land(back, ticket)).toMatchObject(refused('provider'))
  })

  test('names another issuer, or none where the provider always does', async () => {
    for (const iss of ['https://evil.example', null]) {
      const { location, ticket } = await begin()
      const back = new URL(await provider.visit(location))
      if (iss === null) back.searchParams.delete('iss')
      else back.searchParams.set('iss', iss)
      expect(await land(back.href, ticket)).toMatchObject(refused('foreign'))
    }
  })

  test('has neither code nor error', async () => {
    const { location, ticket } = await begin()
    const back = new URL(await provider.visit(location))
    back.searchParams.delete('code')
    expect(await land(back.href, ticket)).toMatchObject(refused('provider'))
  })

  test('comes again and again, and is not listened to any more', async () => {
    const { location, ticket } = await begin()
    const back = await provider.visit(location)
    for (let at = 0; at < 20; at += 1) await land(back, '')
    expect(await land(back, ticket)).toMatchObject(refused('often'))
  })
})

describe('an ID token is not believed', () => {
  const stranger = makeTestKey('RS256', 'key 1')
  const hour = 3600
  const now = () => Math.floor(Date.now() / 1000)
  test.each<[string, string, () => OpenIdProvider['lie']]>([
    ['of another sign-in', 'foreign', () => ({ claims: { nonce: 'x'.repeat(43) } })],
    ['without a nonce', 'foreign', () => ({ claims: { nonce: undefined } })],
    ['of another issuer', 'untrusted', () => ({ claims: { iss: 'https://evil.example' } })],
    ['for another client', 'untrusted', () => ({ claims: { aud: 'somebody else' } })],
    ['that is an access token for the API', 'untrusted', () => ({ claims: { aud: testAudience } })],
    [
      'for several clients, without saying which asked',
      'untrusted',
      () => ({ claims: { aud: [testClientId, 'other'] } }),
    ],
    [
      'that another client asked for',
      'untrusted',
      () => ({ claims: { aud: [testClientId, 'other'], azp: 'other' } }),
    ],
    ['that is over', 'untrusted', () => ({ claims: { iat: now() - hour, exp: now() - 1 } })],
    ['that has no end', 'untrusted', () => ({ claims: { exp: undefined } })],
    ['from the future', 'untrusted', () => ({ claims: { iat: now() + hour } })],
    ['of a visitor', 'untrusted', () => ({ claims: { is_anonymous: true } })],
    ['signed by another key', 'untrusted', () => ({ idToken: (all) => signedJwt(stranger, all) })],
    [
      'that is not signed',
      'untrusted',
      () => ({ idToken: (all) => `${unsignedJwt({ alg: 'none' }, all)}.` }),
    ],
    [
      'signed with the public key as a secret',
      'untrusted',
      () => ({
        idToken: (all) => hmacJwt(publicForms(provider.key)[0] ?? '', all, { kid: 'key 1' }),
      }),
    ],
    ['that is no JWT', 'untrusted', () => ({ idToken: () => 'x.y.z' })],
    ['of enormous size', 'untrusted', () => ({ claims: { all: 'x'.repeat(40_000) } })],
    ['that is not there', 'provider', () => ({ body: '{"access_token":"opaque"}' })],
    ['in an answer of no form', 'provider', () => ({ body: '[]' })],
    ['in an answer without an end', 'provider', () => ({ body: 'x'.repeat(300_000) })],
    ['with a status that refuses', 'provider', () => ({ status: 500 })],
  ])('%s', async (_name, fault, lie) => {
    provider.lie = lie()
    expect(await signIn()).toMatchObject(refused(fault))
  })
})

describe('beginning', () => {
  test('is for our own page, under our own name, and leads back to a page of ours', async () => {
    const good = { return_to: '/' }
    expect((await post(good, { origin: 'http://evil.example' })).status).toBe(403)
    expect((await post(good, { origin: '' })).status).toBe(403)
    for (const path of [
      '//evil.example',
      '/\\evil.example',
      'https://evil.example',
      '/a?b',
      '',
      '/a\n',
    ]) {
      expect([path, (await post({ return_to: path })).status]).toEqual([path, 400])
    }
    const { location, ticket } = await begin('/.//evil.example')
    expect((await land(await provider.visit(location), ticket)).location).toBe('//evil.example')
  })

  test.each([
    ['of another issuer', { issuer: 'https://evil.example' }],
    ['whose tokens come in clear', { token_endpoint: 'http://provider.example/token' }],
    ['without an endpoint', { authorization_endpoint: undefined }],
  ])('at a provider with a description %s is not possible', async (_name, description) => {
    const lying = await OpenIdProvider.start()
    lying.description = description
    const here = await RunningPooler.start({ env: lying.env })
    const answer = await post({ return_to: '/' }, {}, here)
    expect([answer.status, await answer.json()]).toEqual([
      503,
      expect.objectContaining({ hint: expect.stringContaining('sign in with a token') }),
    ])
    await here.stop()
    await lying.stop()
  })

  test('is not there, nor its button, where no provider is set', async () => {
    const here = await RunningPooler.start()
    expect((await post({ return_to: '/' }, {}, here)).status).toBe(404)
    const page = await fetch(here.apiUrl)
    expect(await page.text()).toContain('<meta name="identity-provider" content="">')
    await here.stop()
  })
})

test.each(['client_secret_basic', 'client_secret_post'] as const)(
  'a client with a secret shows it by %s',
  async (way) => {
    const strict = await OpenIdProvider.start()
    strict.clientSecret = 'pass: word+&=%/é'.replace('é', '~')
    strict.secretGoes = way
    strict.subject = owner.userId
    noteSecret(strict.clientSecret)
    const here = await RunningPooler.start({ env: strict.env })
    await here.pooler.control.members.put(owner.userId, { email: owner.email, name: 'Somebody' })
    const { location, ticket } = await begin('/', here)
    const back = await strict.visit(location)
    const answer = await fetch(back, { redirect: 'manual', headers: { cookie: ticket } })
    expect(answer.headers.get('location')).toBe(`${here.apiUrl}/`)
    await here.stop()
    await strict.stop()
  },
)

describe.each(looks)('in a browser, $name', (look) => {
  let browser: Browser | null
  beforeAll(async () => {
    browser = await startBrowser()
  })
  afterAll(() => browser?.close())

  test('one signs in at another site, lands on the page that was asked for, and can say no', async (context) => {
    needsChromium(context)
    const {
      page,
      faults,
      context: cookies,
    } = await openWindow(browser as Browser, pooler.apiUrl, look)
    await page.goto(`/projects/${project.ref}/access`)
    const button = page.getByRole('button', { name: `Sign in with ${provider.host}` })
    await button.waitFor()
    await expectAccessible(page)
    await button.click()
    await page.getByRole('link', { name: 'Deny' }).click()
    await page.getByText('refused or called off').waitFor()
    await expect.poll(() => page.url()).toBe(`${pooler.apiUrl}/`)
    await expectAccessible(page)
    await keepShot(page, `sign in ${look.name}`)

    await page.goto(`/projects/${project.ref}/access`)
    await button.click()
    await page.getByRole('link', { name: 'Allow' }).click()
    await page.getByRole('heading', { name: 'Rules' }).waitFor()
    expect(page.url()).toBe(`${pooler.apiUrl}/projects/${project.ref}/access`)
    expect(
      await page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]'),
    ).toEqual([0, 0, ''])
    expect((await cookies.cookies()).map(({ name, sameSite }) => [name, sameSite])).toEqual([
      ['latchkey', 'Strict'],
    ])
    await page.reload()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await button.waitFor()
    expect(faults).toEqual([])
    await cookies.close()
  })
})
