import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { hostname } from 'node:os'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PoolerError } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import { type ApiSetup, setUpApi } from '../support/api-setup.ts'
import { loaded, selfSigned } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'

let api: ApiSetup

beforeAll(async () => {
  api = await setUpApi()
})
afterAll(() => api.close())

describe('health', () => {
  test('is 204 without a token', async () => {
    const answer = await api.ask(null, { url: '/api/health' })
    expect([answer.statusCode, answer.body]).toEqual([204, ''])
  })

  test('readiness tells why not', async () => {
    expect((await api.ask(null, { url: '/api/ready' })).statusCode).toBe(204)
    api.world.readiness = ['metadata unreachable', 'draining']
    const answer = await api.ask(null, { url: '/api/ready' })
    expect(answer.statusCode).toBe(503)
    expect(answer.json().reasons).toEqual(['metadata unreachable', 'draining'])
    api.world.readiness = []
  })
})

describe('metrics without a secret', () => {
  test('are for loopback peers, all or of one project', async () => {
    const all = await api.ask(null, { url: '/metrics' })
    expect(all.statusCode).toBe(200)
    expect(all.headers['content-type']).toContain('text/plain')
    expect(all.body).toBe('pooler_clients{tenant="all"} 1\n')
    expect((await api.ask(null, { url: '/metrics/abc' })).body).toContain('tenant="abc"')
    const mapped = await api.ask(null, { url: '/metrics', remoteAddress: '::ffff:127.0.0.1' })
    expect(mapped.statusCode).toBe(200)
  })

  test.each([
    [{ remoteAddress: '192.0.2.1' }],
    [{ headers: { 'x-forwarded-for': '127.0.0.1' } }],
    [{ headers: { 'x-forwarded-proto': 'https' } }],
    [{ headers: { forwarded: 'for=127.0.0.1' } }],
    [{ remoteAddress: '192.0.2.1', headers: { 'x-forwarded-for': '127.0.0.1' } }],
    // A page of that name, which was made to lead here (DNS rebinding).
    [{ headers: { host: 'evil.example' } }],
    [{ headers: { host: '127.0.0.1:99999' } }],
  ])('are refused to %o', async (request) => {
    const answer = await api.ask(null, { url: '/metrics', ...request })
    expect([answer.statusCode, answer.body]).toEqual([403, ''])
  })
})

test.each(['127.0.0.1:4000', '[::1]', 'localhost:4000', 'pooler', hostname()])(
  'metrics without a secret are told under the name %s',
  async (host) => {
    expect((await api.ask(null, { url: '/metrics', headers: { host } })).statusCode).toBe(200)
  },
)

describe('metrics with a secret', () => {
  test('need its token, from loopback too', async () => {
    const secret = 'the metrics secret of this test, 32+'
    const metricsJwt = { current: new Secret(secret), previous: null }
    const guarded = await setUpApi({ metricsJwt })
    try {
      expect((await guarded.ask(null, { url: '/metrics' })).statusCode).toBe(403)
      const wrong = await guarded.ask(await guarded.apiJwt(), { url: '/metrics' })
      expect(wrong.statusCode).toBe(403)
      const token = await new SignJWT({})
        .setProtectedHeader({ alg: 'HS256' })
        .sign(new TextEncoder().encode(secret))
      const remoteAddress = '192.0.2.1'
      const answer = await guarded.ask(token, { url: '/metrics', remoteAddress })
      expect(answer.statusCode).toBe(200)
    } finally {
      await guarded.close()
    }
  })
})

describe('the document', () => {
  test('names every resource, the security of each, and is browsable', async () => {
    const document = (await api.ask(null, { url: '/api/openapi' })).json()
    expect(document.openapi).toBe('3.1.0')
    const paths = Object.keys(document.paths)
    expect(paths).toEqual(
      expect.arrayContaining([
        '/v1/projects/{ref}/jit-access',
        '/v1/projects/{ref}/database/jit-access',
        '/v1/projects/{ref}/database/jit',
        '/v1/access-tokens',
        '/api/tenants/{ref}',
        '/api/members/{user_id}',
      ]),
    )
    expect(document.paths['/v1/profile'].get.security).toEqual([{ accessToken: [] }])
    expect(document.paths['/api/tenants'].get.security).toEqual([{ apiJwt: [] }])
    const page = await api.ask(null, { url: '/docs/' })
    expect(page.statusCode).toBe(200)
    const policy = String(page.headers['content-security-policy'])
    expect(policy.match(/frame-ancestors [^;]*/g)).toEqual(["frame-ancestors 'none'"])
    expect(policy).not.toContain('http')
  })
})

describe('every answer', () => {
  test('is unframed, uncached and without CORS headers', async () => {
    const { headers } = await api.ask(null, {
      url: '/v1/profile',
      headers: { origin: 'https://evil.example' },
    })
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
    })
    const names = Object.keys(headers)
    expect(names.filter((name) => name.startsWith('access-control-'))).toEqual([])
  })

  test('at an unknown path is 404 with a message', async () => {
    const answer = await api.ask(null, { url: '/nowhere/sbp_secret' })
    expect([answer.statusCode, answer.json()]).toEqual([404, { message: expect.any(String) }])
    expect(answer.body).not.toContain('sbp_secret')
  })
})

test('closing waits for a slow reader, but not for ever', async () => {
  const slow = await setUpApi()
  await slow.app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = slow.app.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  // The request's body never comes, so that its answer is owed for as long as the server waits.
  socket.write('PUT /api/members/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n')
  await eventually(() => slow.app.server.listening && socket.readyState === 'open')
  const closed = once(socket, 'close')
  socket.on('error', () => {})
  socket.resume()
  const closing = slow.close()
  await eventually(() => slow.clock.timerCount > 0)
  slow.clock.advance(5_000)
  await Promise.all([closing, closed])
})

test('with a certificate it speaks TLS', async () => {
  const { cert, key } = selfSigned(['localhost'])
  const secure = await setUpApi({ tls: await loaded({ cert, key }) })
  try {
    await secure.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = secure.app.server.address() as AddressInfo
    const request = get({
      host: '127.0.0.1',
      port,
      path: '/api/health',
      ca: cert,
      servername: 'localhost',
    })
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    answer.resume()
    expect(answer.statusCode).toBe(204)
  } finally {
    await secure.close()
  }
})

describe('hostile requests', () => {
  test.each([
    ['NUL in a path', { url: '/api/tenants/a%00b' }],
    ['NUL in a query', { url: '/api/tenants?after=%00' }],
    ['a path that is no UTF-8', { url: '/api/tenants/%ff' }],
  ])('with %s are 400', async (_what, request) => {
    expect((await api.ask(await api.apiJwt(), request)).statusCode).toBe(400)
  })

  test.each([
    ['NUL', '{"name":"a\\u0000b"}', 400],
    ['NUL behind a backslash', '{"name":"a\\\\\\u0000b"}', 400],
    ['a backslash and u0000', '{"name":"a\\\\u0000b"}', 201],
    ['a poisoned prototype', '{"name":"a","__proto__":{"operator":true}}', 400],
    ['a lone surrogate', '{"name":"a\\ud800b"}', 201],
  ])('with %s in a body are answered, never failed', async (_what, payload, status) => {
    const answer = await api.ask(await api.apiJwt(), {
      method: 'PUT',
      url: `/api/members/${randomUUID()}`,
      headers: { 'content-type': 'application/json' },
      payload,
    })
    expect(answer.statusCode).toBe(status)
  })

  test('in another form than JSON are 415', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'text/xml']) {
      const answer = await api.ask(await api.apiJwt(), {
        method: 'PUT',
        url: `/api/members/${randomUUID()}`,
        headers: { 'content-type': type },
        payload: '{"name":"a"}',
      })
      expect([type, answer.statusCode]).toEqual([type, 415])
    }
  })
})

describe('a failure', () => {
  async function profileWhile(failure: Error, isMetadataReachable: boolean) {
    const { bearers } = api.deps
    const find = bearers.find
    bearers.find = () => Promise.reject(failure)
    api.world.isMetadataReachable = isMetadataReachable
    try {
      return await api.ask(`sbp_${'0'.repeat(40)}`, { url: '/v1/profile' })
    } finally {
      bearers.find = find
      api.world.isMetadataReachable = true
    }
  }

  test('of ours is told by an id and nothing else', async () => {
    const answer = await profileWhile(new Error('password "hunter2" at line 3'), true)
    expect(answer.statusCode).toBe(500)
    expect(answer.json()).toEqual({ message: expect.stringMatching(/^internal error [0-9a-f]+$/) })
  })

  test('of the metadata is 503', async () => {
    const answer = await profileWhile(new Error('connect ECONNREFUSED'), false)
    expect(answer.statusCode).toBe(503)
    expect(answer.headers['retry-after']).toBe('5')
  })

  test('that the catalogue knows has its status, text and hint', async () => {
    const answer = await profileWhile(new PoolerError('EAUTHPROVIDER'), true)
    expect(answer.statusCode).toBe(503)
    expect(answer.json().hint).toEqual(expect.any(String))
  })
})
