// The table "First bytes" of the wire's contract, row by row, against the whole process: each case
// once in as few pieces as its sender makes, once with every byte alone, TLS records included.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { catalogue } from '../../shared/error-catalogue.ts'
import { eventually } from '../support/eventually.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import type { RawClient, RawClientOptions } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { RawScramClient } from '../support/raw-scram.ts'
import { type Mode, RunningPooler } from '../support/running-pooler.ts'
import type { TestProject } from '../support/running-projects.ts'
import { bothExtremes, type Segmentation } from '../support/segments.ts'

let pooler: RunningPooler
let withoutTls: RunningPooler
let project: TestProject
const proxies = new Map<Mode | 'withoutTls', FaultProxy>()
const clients: RawClient[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start()
  const none = { GLOBAL_DOWNSTREAM_CERT_PATH: '', GLOBAL_DOWNSTREAM_KEY_PATH: '' }
  withoutTls = await RunningPooler.start({ env: none })
  project = await pooler.project()
  for (const mode of ['transaction', 'session'] as const) {
    proxies.set(mode, await FaultProxy.start({ port: pooler.portOf(mode) }))
  }
  proxies.set('withoutTls', await FaultProxy.start({ port: withoutTls.portOf() }))
})
afterAll(async () => {
  for (const proxy of proxies.values()) await proxy.stop()
  await withoutTls?.stop()
  await pooler?.stop()
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
  await withoutTls.settled()
})

interface ConnectOptions extends Partial<RawClientOptions> {
  readonly to?: Mode | 'withoutTls'
}

async function connect({ to = 'transaction', ...options }: ConnectOptions = {}) {
  const { port } = proxies.get(to) as FaultProxy
  const client = await pooler.raw({ port, ...options })
  clients.push(client)
  return client
}

const loginOf = ({ app, ref, database }: TestProject) => ({
  user: `${app.role}.${ref}`,
  password: app.password,
  database,
})

/** The one message that is left, which must be a FATAL, and then the end. */
async function fatalOf(client: RawClient): Promise<Record<string, string>> {
  const messages = await client.readAll()
  expect(typesOf(messages)).toBe('E')
  expect(client.restBytes).toBe(0)
  const fields = errorFields(messages[0]?.body as Buffer)
  expect(fields.S).toBe('FATAL')
  return fields
}

async function answersQueries(client: RawClient): Promise<void> {
  await client.query('SELECT 1 + 1')
  expect(rowsOf(await client.untilReady())).toEqual([['2']])
}

/** `S`, then nothing or a TLS alert: no message of Postgres begins so. */
const afterS = ['S'.charCodeAt(0), 0x15]

const modes = ['transaction', 'session'] satisfies Mode[]

describe.each(bothExtremes)('$name', ({ name, segmentation }) => {
  const isWhole = name === bothExtremes[0].name

  beforeEach(() => {
    for (const { faults } of proxies.values()) faults.segmentation = segmentation as Segmentation
  })

  test.each(modes)('SSLRequest is answered S, then TLS, then a login (%s)', async (to) => {
    const client = await connect({ to, tls: 'request' })
    const { method } = await client.login(loginOf(project))
    expect(method).toBe('SCRAM-SHA-256-PLUS')
    await answersQueries(client)
  })

  test('without a certificate SSLRequest is answered N, and the client goes on in plain', async () => {
    const other = await withoutTls.project()
    const client = await connect({ to: 'withoutTls' })
    await client.send(raw.sslRequest())
    expect(await client.answerByte()).toBe('N')
    const { method } = await client.login(loginOf(other))
    expect(method).toBe('SCRAM-SHA-256')
    await answersQueries(client)
  })

  test('without a certificate a second SSLRequest is refused, and so is direct TLS', async () => {
    const twice = await connect({ to: 'withoutTls' })
    await twice.send(raw.sslRequest())
    expect(await twice.answerByte()).toBe('N')
    await twice.send(raw.sslRequest())
    expect(await fatalOf(twice)).toMatchObject({ C: '08P01' })
    const direct = await connect({ to: 'withoutTls' })
    await direct.send(Buffer.from('16030100', 'hex'))
    expect(await fatalOf(direct)).toMatchObject({ C: '08P01' })
  })

  test('plain bytes behind SSLRequest never become part of the conversation', async () => {
    const client = await connect()
    const { app, ref } = project
    const stuffed = raw.startupMessage({ user: `${app.role}.${ref}` })
    await client.send(Buffer.concat([raw.sslRequest(), stuffed]))
    // One byte at a time the S is out before the next byte comes: it is then a broken handshake.
    const answer = await client.readRest()
    if (isWhole) expect(answer).toHaveLength(0)
    else expect([...answer.subarray(0, 2)]).toEqual(afterS.slice(0, answer.length))
  })

  test.each(modes)('direct TLS with ALPN postgresql is served (%s)', async (to) => {
    const client = await connect({ to, tls: 'direct' })
    await client.login(loginOf(project))
    await answersQueries(client)
  })

  test.each([
    ['without ALPN', []],
    ['with another ALPN', ['h2']],
  ])('direct TLS %s is refused', async (_name, alpn) => {
    const client = await connect()
    // In TLS 1.3 the client is done before the server has looked at what was agreed.
    await client.startTls(alpn).catch(() => {})
    await eventually(() => client.end !== 'open')
    expect(client.received).toHaveLength(0)
  })

  test.each([
    ['SSLRequest', raw.sslRequest()],
    ['GSSENCRequest', raw.gssencRequest()],
  ])('%s inside TLS is refused', async (_name, request) => {
    for (const tls of ['request', 'direct'] as const) {
      const client = await connect({ tls })
      await client.send(request)
      expect(await fatalOf(client)).toMatchObject({ C: '08P01' })
    }
  })

  test('GSSENCRequest is answered N, and what follows is served: plain, or TLS', async () => {
    const plain = await connect()
    await plain.send(raw.gssencRequest())
    expect(await plain.answerByte()).toBe('N')
    await plain.login(loginOf(project))
    await answersQueries(plain)
    const secured = await connect()
    await secured.send(raw.gssencRequest())
    expect(await secured.answerByte()).toBe('N')
    await secured.requestTls()
    await secured.login(loginOf(project))
    await answersQueries(secured)
  })

  test('a second GSSENCRequest is refused, and bytes behind one close the connection', async () => {
    const twice = await connect()
    await twice.send(raw.gssencRequest())
    expect(await twice.answerByte()).toBe('N')
    await twice.send(raw.gssencRequest())
    expect(await fatalOf(twice)).toMatchObject({ C: '08P01' })
    if (!isWhole) return
    const stuffed = await connect()
    await stuffed.send(Buffer.concat([raw.gssencRequest(), raw.sslRequest()]))
    expect(await stuffed.readRest()).toHaveLength(0)
  })

  test.each([
    ['3.0', 0, 4],
    ['3.2', 2, 32],
  ])(
    'protocol %s is served without negotiation, its cancel key works',
    async (_name, minor, bytes) => {
      for (const tls of ['none', 'request'] as const) {
        const client = await connect({ tls })
        const result = await client.login({ ...loginOf(project), minor })
        expect(result.negotiated).toBeNull()
        expect(result.secret).toHaveLength(bytes)
        expect(result.processId).toBeGreaterThan(0)
        await client.query('SELECT pg_sleep(60)')
        const running = async (): Promise<void> => {
          await client.cancel(result.processId, result.secret)
          if (!client.pending().some(({ type }) => type === 'Z')) throw new Error('it still runs')
        }
        await eventually(running, { pollMs: 50 })
        const messages = await client.untilReady()
        expect(errorFields(messages.find(({ type }) => type === 'E')?.body as Buffer).C).toBe(
          '57014',
        )
        client.close()
      }
    },
  )

  test('a CancelRequest with a key of nobody is never answered, in TLS neither', async () => {
    for (const tls of ['none', 'request', 'direct'] as const) {
      for (const secretBytes of [4, 32]) {
        const client = await connect({ tls })
        await client.send(raw.cancelRequest(4711, Buffer.alloc(secretBytes, 7)))
        expect(await client.readRest()).toHaveLength(0)
      }
    }
  })

  test('a CancelRequest with an impossible secret is garbage', async () => {
    for (const secretBytes of [0, 3, 257]) {
      const client = await connect()
      await client.send(raw.cancelRequest(4711, Buffer.alloc(secretBytes)))
      expect(await fatalOf(client)).toMatchObject({ C: '08P01' })
    }
  })

  test.each([
    ['a newer minor version', 9999, {}, []],
    ['an unknown option', 0, { '_pq_.grease': 'x' }, ['_pq_.grease']],
    ['both', 9999, { '_pq_.a': '1', '_pq_.b': '' }, ['_pq_.a', '_pq_.b']],
  ])(
    '%s is negotiated down, once and before authentication',
    async (_name, minor, settings, options) => {
      for (const tls of ['none', 'request'] as const) {
        const client = await connect({ tls })
        const result = await client.login({ ...loginOf(project), minor, settings })
        expect(result.negotiated).toEqual({ minor: Math.min(minor, 2), options })
        const types = typesOf(result.messages)
        expect(types.slice(0, 2)).toBe('vR')
        expect(types.lastIndexOf('v')).toBe(0)
        expect(result.secret).toHaveLength(minor >= 2 ? 32 : 4)
        await answersQueries(client)
        client.close()
      }
    },
  )

  test.each([
    ['letters', Buffer.from('HELO mail.example.com\r\n')],
    ['zeros', Buffer.alloc(16)],
    ['a length of 7', Buffer.concat([raw.int32(7), Buffer.alloc(3)])],
    [
      'a PROXY header from nobody in particular',
      Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n'),
    ],
    ['a PROXY header, version 2', Buffer.from('0d0a0d0a000d0a515549540a', 'hex')],
  ])('%s is garbage: FATAL 08P01 and the end', async (_name, bytes) => {
    const client = await connect()
    await client.send(bytes)
    const fields = await fatalOf(client)
    expect(fields).toMatchObject({ C: '08P01', H: catalogue.ESTARTUPMESSAGE.hint })
    expect(fields.M).toContain('(ESTARTUPMESSAGE)')
  })

  test('a startup packet of over 10,000 bytes is refused by its length, one below is read', async () => {
    const tooLong = await connect()
    await tooLong.send(Buffer.concat([raw.int32(10_001), raw.int32(3 << 16)]))
    const fields = await fatalOf(tooLong)
    expect(fields).toMatchObject({ C: '08P01' })
    expect(fields.M).toContain('(ESTARTUPPACKETTOOLARGE)')
    const long = await connect()
    const login = loginOf(project)
    const bare = raw.startupMessage({ ...loginOf(project), application_name: '' }).length
    const application_name = 'x'.repeat(
      10_000 - bare + login.password.length + 'password'.length + 2,
    )
    const packet = raw.startupMessage({
      user: login.user,
      database: login.database,
      application_name,
    })
    expect(packet).toHaveLength(10_000)
    await long.login({ ...login, settings: { application_name } })
    await answersQueries(long)
  })

  test.each([
    [2, 0],
    [4, 0],
    [1234, 1],
  ])('protocol %i.%i is not served', async (major, minor) => {
    const client = await connect()
    await client.send(raw.startupMessage({ user: 'x' }, { major, minor }))
    const fields = await fatalOf(client)
    expect(fields).toMatchObject({ C: '0A000' })
    expect(fields.M).toContain('(EUNSUPPORTEDPROTOCOL)')
  })

  test.each(modes)('a load balancer that sends GET is told that this lives (%s)', async (to) => {
    const client = await connect({ to })
    await client.send(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
    const answer = (await client.readRest()).toString('latin1')
    expect(answer).toMatch(
      /^HTTP\/1\.1 204 No Content\r\n(.*\r\n)*x-app-version: \d+\.\d+\.\d+\r\n/,
    )
    expect(answer.endsWith('\r\n\r\n')).toBe(true)
  })

  test.each(modes)('a query that comes with the last of the login is answered (%s)', async (to) => {
    const client = await connect({ to })
    const { user, password, database } = loginOf(project)
    await client.send(raw.startupMessage({ user, database }))
    const scram = new RawScramClient({ password })
    await client.expect('R')
    await client.send(raw.saslInitialResponse('SCRAM-SHA-256', scram.first))
    const [proceed] = await client.expect('R')
    const final = raw.saslResponse(scram.final(proceed?.body.subarray(4).toString() as string))
    await client.send(Buffer.concat([final, raw.query('SELECT 40 + 2'), raw.query('SELECT 43')]))
    expect(rowsOf(await client.untilReadies(3))).toEqual([['42'], ['43']])
  })
})

test('a health check that connects and closes leaves no line in the log', async () => {
  const linesBefore = pooler.captured.lines.length
  for (const mode of modes) {
    const client = await pooler.raw({ mode })
    client.halfClose()
    await client.readAll()
    client.close()
    const reset = await pooler.raw({ mode })
    reset.reset()
  }
  await pooler.settled()
  expect(pooler.captured.lines.length).toBe(linesBefore)
})
