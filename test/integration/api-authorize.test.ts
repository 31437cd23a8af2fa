import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'

let api: ApiSetup
let ref: string

interface Call {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly path: string
}

/** Every call under a project, from the document that the server makes of its own routes. */
/** All that ask who calls; accepting an invitation is open to everybody. */
async function projectCalls(): Promise<Call[]> {
  const { paths } = (await api.ask(null, { url: '/api/openapi' })).json()
  return Object.entries(paths as Record<string, object>)
    .filter(([path]) => path.startsWith('/v1/projects/{ref}/') && !path.endsWith('/accept'))
    .flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({
        method: method.toUpperCase() as Call['method'],
        path,
      })),
    )
}

function askCall(person: Person, { method, path }: Call, project = ref) {
  const url = path
    .replace('{ref}', project)
    .replace('{user_id}', '00000000-1111-4222-8333-444444444444')
    .replace('{id}', 'none')
  const hasBody = method === 'PUT' || method === 'POST'
  return api.ask(person.token, { method, url, ...(hasBody && { payload: {} }) })
}

beforeAll(async () => {
  api = await setUpApi()
  ref = await api.project()
})
afterAll(() => api.close())
// A new minute for each test.
beforeEach(() => api.clock.advance(61_000))

describe('a bearer', () => {
  test.each([
    ['missing', null],
    ['unknown', `sbp_${'0'.repeat(40)}`],
    ['misshapen', 'x'],
    ['a JWT of nobody', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.'],
  ])('that is %s is 401', async (_what, token) => {
    const answer = await api.ask(token, { url: '/v1/profile' })
    expect(answer.statusCode).toBe(401)
    expect(answer.json()).toEqual({ message: expect.any(String) })
  })

  test('that is revoked or expired is 401 from then on', async () => {
    const person = await api.person()
    expect((await api.ask(person.token, { url: '/v1/profile' })).statusCode).toBe(200)
    const url = `/v1/access-tokens/${person.tokenId}`
    expect((await api.ask(person.token, { method: 'DELETE', url })).statusCode).toBe(200)
    expect((await api.ask(person.token, { url: '/v1/profile' })).statusCode).toBe(401)

    const { token } = await api.deps.tokens.create({
      userId: person.userId,
      name: 'short',
      expiresAtMs: api.clock.wallMs() + 5_000,
    })
    expect((await api.ask(token.reveal(), { url: '/v1/profile' })).statusCode).toBe(200)
    api.clock.advance(5_000)
    expect((await api.ask(token.reveal(), { url: '/v1/profile' })).statusCode).toBe(401)
  })

  test('of the operator API is worth nothing under /v1, and a person’s nothing under /api', async () => {
    const person = await api.person()
    expect((await api.ask(await api.apiJwt(), { url: '/v1/profile' })).statusCode).toBe(401)
    expect((await api.ask(person.token, { url: '/api/tenants' })).statusCode).toBe(403)
  })

  test('is asked for before the body is looked at', async () => {
    const answer = await api.app.inject({
      method: 'PUT',
      url: `/v1/projects/${ref}/jit-access`,
      headers: { 'content-type': 'application/json' },
      payload: '{',
    })
    expect(answer.statusCode).toBe(401)
  })
})

describe('in a project', () => {
  test('a stranger sees the same at every path as for a project that does not exist', async () => {
    const stranger = await api.person({ [await api.project()]: 'owner' })
    const calls = await projectCalls()
    expect(calls.length).toBeGreaterThan(15)
    for (const call of calls) {
      const answer = await askCall(stranger, call)
      const nowhere = await askCall(stranger, call, 'nowhere')
      expect([call, answer.statusCode]).toEqual([call, 404])
      expect(answer.body.replaceAll(ref, '…')).toBe(nowhere.body.replaceAll('nowhere', '…'))
    }
  })

  const guestCalls = [
    'GET /v1/projects/{ref}/database/jit',
    'POST /v1/projects/{ref}/database/jit',
    'POST /v1/projects/{ref}/database/jit/check',
    'GET /v1/projects/{ref}/database/jit/sessions',
    'DELETE /v1/projects/{ref}/database/jit/sessions/{id}',
    'GET /v1/projects/{ref}/database/jit/events',
    'GET /v1/projects/{ref}/database/jit/holds',
    'GET /v1/projects/{ref}/config/database/pooler',
  ]
  const readerCalls = [
    ...guestCalls,
    'GET /v1/projects/{ref}/jit-access',
    'GET /v1/projects/{ref}/database/jit-access',
    'GET /v1/projects/{ref}/ssl-enforcement',
    'GET /v1/projects/{ref}/members',
    'GET /v1/projects/{ref}/members/{user_id}',
    'GET /v1/projects/{ref}/branches',
    'POST /v1/projects/{ref}/network-bans/retrieve',
  ]

  test.each([
    ['guest', guestCalls],
    ['read_only', readerCalls],
    ['developer', readerCalls],
  ] as const)('a %s may make exactly these calls', async (role, expected) => {
    const person = await api.person({ [ref]: role })
    const allowed: string[] = []
    for (const call of await projectCalls()) {
      const answer = await askCall(person, call)
      expect(answer.statusCode).toBeLessThan(500)
      if (answer.statusCode === 403 && 'missing_permissions' in answer.json()) continue
      allowed.push(`${call.method} ${call.path}`)
    }
    // HEAD goes with GET.
    expect(allowed.filter((call) => !call.startsWith('HEAD')).sort()).toEqual([...expected].sort())
  })

  test.each(['owner', 'administrator'] as const)('an %s may make every call', async (role) => {
    const person = await api.person({ [ref]: role })
    for (const call of await projectCalls()) {
      expect([call, (await askCall(person, call)).statusCode]).not.toEqual([call, 403])
    }
  })

  test('who leaves has nothing to do with it any more', async () => {
    const person = await api.person({ [ref]: 'developer' })
    const url = `/v1/projects/${ref}/members/${person.userId}`
    expect((await api.ask(person.token, { method: 'DELETE', url })).statusCode).toBe(200)
    expect((await api.ask(person.token, { url })).statusCode).toBe(404)
  })
})

describe('requests', () => {
  test('of one person to one project are 120 a minute, counted down in headers', async () => {
    const person = await api.person({ [ref]: 'guest' })
    const ask = () => api.ask(person.token, { url: `/v1/projects/${ref}/database/jit` })
    const first = await ask()
    expect(first.statusCode).toBe(406)
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit': '120',
      'x-ratelimit-remaining': '119',
      'x-ratelimit-reset': '60',
    })
    for (let count = 2; count <= 120; count += 1) await ask()
    const late = await ask()
    expect(late.statusCode).toBe(429)
    expect(late.headers).toMatchObject({ 'x-ratelimit-remaining': '0', 'retry-after': '60' })
    expect(late.json().message).toContain('120')
    // Another project, another person: not concerned.
    expect((await api.ask(person.token, { url: '/v1/profile' })).statusCode).toBe(200)
    const other = await api.person({ [ref]: 'guest' })
    const url = `/v1/projects/${ref}/database/jit`
    expect((await api.ask(other.token, { url })).statusCode).toBe(406)
    api.clock.advance(60_000)
    expect((await ask()).statusCode).toBe(406)
  })

  test('with 20 bad bearers a minute block more guesses, not those already known as good', async () => {
    const known = await api.person()
    const fresh = await api.person()
    const ask = (token: string, remoteAddress = '192.0.2.1') =>
      api.ask(token, { url: '/v1/profile', remoteAddress })
    expect((await ask(known.token)).statusCode).toBe(200)
    for (let count = 0; count < 20; count += 1) {
      expect((await ask(`sbp_${String(count).padStart(40, '0')}`)).statusCode).toBe(401)
    }
    const blocked = await ask(`sbp_${'f'.repeat(40)}`)
    expect(blocked.statusCode).toBe(429)
    expect(Number(blocked.headers['retry-after'])).toBeGreaterThan(0)
    expect((await ask(known.token)).statusCode).toBe(200)
    expect((await ask(fresh.token)).statusCode).toBe(429)
    expect((await ask(fresh.token, '192.0.2.2')).statusCode).toBe(200)
    api.clock.advance(60_000)
    expect((await ask(fresh.token)).statusCode).toBe(200)
  })

  test('cannot choose their own source with a header that nobody trusts', async () => {
    const ask = (count: number) =>
      api.ask(`sbp_${String(count).padStart(40, '0')}`, {
        url: '/v1/profile',
        remoteAddress: '192.0.2.9',
        headers: { 'x-forwarded-for': `198.51.100.${count}` },
      })
    for (let count = 0; count < 20; count += 1) await ask(count)
    expect((await ask(20)).statusCode).toBe(429)
  })

  test('through a trusted proxy count for the client that it names', async () => {
    const proxied = await setUpApi({ trustedProxies: ['192.0.2.0/24'] })
    try {
      const ask = (client: string) =>
        proxied.ask(`sbp_${'0'.repeat(40)}`, {
          url: '/v1/profile',
          remoteAddress: '192.0.2.9',
          headers: { 'x-forwarded-for': `203.0.113.1, ${client}` },
        })
      for (let count = 0; count < 20; count += 1) await ask('198.51.100.1')
      expect((await ask('198.51.100.1')).statusCode).toBe(429)
      expect((await ask('198.51.100.2')).statusCode).toBe(401)
    } finally {
      await proxied.close()
    }
  })
})
