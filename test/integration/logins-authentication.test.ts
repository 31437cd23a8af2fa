// The table "Authentication" of the wire's contract, row by row: what the process asks a client for,
// and the SCRAM exchange itself, each also one byte at a time.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { FaultProxy } from '../support/fault-proxy.ts'
import type { RawClient } from '../support/raw-client.ts'
import { LoginRefused } from '../support/raw-login.ts'
import * as raw from '../support/raw-messages.ts'
import { cstringsOf, errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { endPointHash, RawScramClient, scramAttributes } from '../support/raw-scram.ts'
import { type Mode, poolerDomain, RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'
import { bothExtremes, type Segmentation } from '../support/segments.ts'

let pooler: RunningPooler
let trusting: RunningPooler
let withAccess: TestProject
let withoutAccess: TestProject
let person: TestPerson
const proxies = new Map<Mode, FaultProxy>()
const clients: RawClient[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start()
  trusting = await RunningPooler.start({ env: { ALLOW_INSECURE_LOOPBACK_TOKENS: 'true' } })
  withAccess = await pooler.project()
  withoutAccess = await pooler.project({ input: { useJit: false } })
  person = await pooler.person(withAccess)
  for (const mode of ['transaction', 'session'] as const) {
    proxies.set(mode, await FaultProxy.start({ port: pooler.portOf(mode) }))
  }
})
afterAll(async () => {
  for (const proxy of proxies.values()) await proxy.stop()
  await trusting?.stop()
  await pooler?.stop()
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
  await trusting.settled()
})

type Tls = 'none' | 'request' | 'direct'
const encryptions = ['none', 'request', 'direct'] satisfies Tls[]
const spellings = ['on', 'true', 'yes', '1', 'ON', 'True', 'yEs'] as const

interface Knock {
  readonly project: TestProject
  readonly tls: Tls
  readonly mode?: Mode
  readonly serverName?: string
  readonly options?: string
  /** The application's unless given. */
  readonly role?: string
}

/** Connects and sends the startup packet. */
async function knock({ project, tls, mode = 'transaction', ...more }: Knock): Promise<RawClient> {
  const { port } = proxies.get(mode) as FaultProxy
  const { serverName } = more
  const client = await pooler.raw({ port, tls, ...(serverName !== undefined && { serverName }) })
  clients.push(client)
  const role = more.role ?? project.app.role
  const user = serverName === undefined ? `${role}.${project.ref}` : role
  const pairs = { user, database: project.database }
  await client.send(
    raw.startupMessage({ ...pairs, ...(more.options && { options: more.options }) }),
  )
  return client
}

/** What the first answer asks for: its code, and the mechanisms where it is SASL. */
async function askedBy(client: RawClient): Promise<{ code: number; mechanisms: string[] }> {
  const [request] = await client.expect('R')
  const body = request?.body as Buffer
  const code = body.readInt32BE(0)
  const mechanisms = code === 10 ? cstringsOf(body.subarray(4)).filter((one) => one !== '') : []
  return { code, mechanisms }
}

async function fatalOf(client: RawClient): Promise<Record<string, string>> {
  const messages = await client.readAll()
  expect(typesOf(messages)).toBe('E')
  const fields = errorFields(messages[0]?.body as Buffer)
  expect(fields.S).toBe('FATAL')
  return fields
}

const scram = ['SCRAM-SHA-256']
const scramPlus = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']
const mechanismsFor = (tls: Tls): string[] => (tls === 'none' ? scram : scramPlus)

describe.each(bothExtremes)('$name', ({ segmentation }) => {
  beforeAll(() => {
    for (const { faults } of proxies.values()) faults.segmentation = segmentation as Segmentation
  })

  describe.each(encryptions)('encryption: %s', (tls) => {
    test.each([undefined, '-c jit=on', '-c jit=off'])(
      'without temporary access SCRAM is asked for, options: %s',
      async (options) => {
        const client = await knock({ project: withoutAccess, tls, ...(options && { options }) })
        expect(await askedBy(client)).toEqual({ code: 10, mechanisms: mechanismsFor(tls) })
      },
    )

    test.each([undefined, '-c jit=off', '-c jit=no', '--jit=0', 'jit=false'])(
      'with temporary access and no token announced SCRAM is asked for, options: %s',
      async (options) => {
        for (const mode of ['transaction', 'session'] as const) {
          const client = await knock({
            project: withAccess,
            tls,
            mode,
            ...(options && { options }),
          })
          expect(await askedBy(client)).toEqual({ code: 10, mechanisms: mechanismsFor(tls) })
        }
      },
    )
  })

  test.each(spellings)(
    'a token announced as %s is asked for in clear over TLS',
    async (spelling) => {
      for (const options of [`-c jit=${spelling}`, `--jit=${spelling}`, `jit=${spelling}`]) {
        const tls = options.startsWith('-c') ? 'request' : 'direct'
        const client = await knock({
          project: withAccess,
          tls,
          options,
          role: withAccess.people.role,
        })
        expect(await askedBy(client)).toEqual({ code: 3, mechanisms: [] })
        await client.send(Buffer.concat([raw.passwordMessage(person.token), raw.query('SELECT 5')]))
        const messages = await client.untilReadies(2)
        expect(rowsOf(messages)).toEqual([['5']])
      }
    },
  )

  test.each(spellings)(
    'a token announced as %s without TLS is refused unasked',
    async (spelling) => {
      const client = await knock({
        project: withAccess,
        tls: 'none',
        options: `-c jit=${spelling}`,
      })
      const fields = await fatalOf(client)
      expect(fields).toMatchObject({ C: '28000' })
      expect(fields.M).toContain('(ESSLREQUIRED)')
      expect(fields.H).toContain('sslmode=require')
    },
  )

  test('on a direct host a password or a token is asked for in clear, with jit=off SCRAM', async () => {
    const serverName = `db.${withAccess.ref}.${poolerDomain}`
    const direct = { project: withAccess, mode: 'session', serverName } as const
    for (const tls of ['request', 'direct'] as const) {
      const off = await knock({ ...direct, tls, options: '-c jit=off' })
      expect(await askedBy(off)).toEqual({ code: 10, mechanisms: scramPlus })
      const { app, people } = withAccess
      for (const [role, secret] of [
        [app.role, app.password],
        [people.role, people.password],
        [people.role, person.token],
      ] as const) {
        const client = await knock({ ...direct, tls, role })
        expect(await askedBy(client)).toEqual({ code: 3, mechanisms: [] })
        await client.send(raw.passwordMessage(secret))
        await client.untilReady()
        await client.query('SELECT current_user')
        expect(rowsOf(await client.untilReady())).toEqual([[role]])
        client.close()
      }
    }
  })

  test('on a direct host without temporary access SCRAM is asked for', async () => {
    const serverName = `db.${withoutAccess.ref}.${poolerDomain}`
    const client = await knock({
      project: withoutAccess,
      tls: 'request',
      mode: 'session',
      serverName,
    })
    expect(await askedBy(client)).toEqual({ code: 10, mechanisms: scramPlus })
  })

  describe('in the SCRAM exchange', () => {
    const wrongStarts: [string, Tls, (client: RawClient) => Buffer][] = [
      ['a mechanism that was not offered', 'request', () => initial('SCRAM-SHA-1', 'n,,n=,r=abc')],
      [
        'PLUS without TLS',
        'none',
        () => initial('SCRAM-SHA-256-PLUS', 'p=tls-server-end-point,,n=,r=abc'),
      ],
      ['flag y after an offer of PLUS', 'request', () => initial('SCRAM-SHA-256', 'y,,n=,r=abc')],
      [
        'flag p with the plain mechanism',
        'request',
        () => initial('SCRAM-SHA-256', 'p=tls-server-end-point,,n=,r=abc'),
      ],
      [
        'another kind of binding',
        'request',
        () => initial('SCRAM-SHA-256-PLUS', 'p=tls-unique,,n=,r=abc'),
      ],
      [
        'an extension that must be understood',
        'none',
        () => initial('SCRAM-SHA-256', 'n,,m=x,n=,r=abc'),
      ],
      ['a first message that is cut off', 'none', () => initial('SCRAM-SHA-256', 'n,,n=')],
      ['a query in place of an answer', 'none', () => raw.query('SELECT 1')],
      ['a second startup packet', 'none', () => raw.startupMessage({ user: 'somebody.else' })],
      ['a header that lies', 'none', () => raw.messageHeader('p', 0x7fffffff)],
      ['a length below its own', 'none', () => raw.messageHeader('p', 3)],
    ]
    const initial = raw.saslInitialResponse

    test.each(wrongStarts)('%s ends the connection', async (name, tls, start) => {
      const client = await knock({ project: withAccess, tls })
      await client.expect('R')
      await client.send(start(client))
      expect(await fatalOf(client)).toMatchObject({ C: name.includes('lies') ? '54000' : '08P01' })
    })

    test('a nonce that is not ours, or another binding than announced, ends the connection', async () => {
      const bend: ((final: string) => string)[] = [
        (final) => final.replace(/r=/, 'r=x'),
        (final) => final.replace(/^c=[^,]*/, 'c=eSws'),
        (final) => final.replace(/,p=.*/, ''),
        (final) => final.replace(/,p=.*/, ',p=!!!'),
      ]
      for (const bent of bend) {
        const client = await knock({ project: withAccess, tls: 'none' })
        const fields = await finish(client, 'SCRAM-SHA-256', null, bent)
        expect(fields).toMatchObject({ C: '08P01' })
      }
    })

    test('the binding to another certificate is refused', async () => {
      const client = await knock({ project: withAccess, tls: 'request' })
      const binding = Buffer.alloc(32, 1)
      const fields = await finish(client, 'SCRAM-SHA-256-PLUS', binding, (final) => final)
      expect(fields).toMatchObject({ C: '08P01' })
    })

    test('the binding to the certificate that was shown is right', async () => {
      const client = await knock({ project: withAccess, tls: 'direct' })
      const shown = client.serverCertificate as Buffer
      await answer(client, 'SCRAM-SHA-256-PLUS', endPointHash(shown), (final) => final)
      await client.untilReady()
    })

    test('salt and iterations are the same for each login of a role, the nonce never is', async () => {
      const seen: Record<string, string>[] = []
      for (const role of [withAccess.app.role, withAccess.app.role, 'nobody', 'nobody']) {
        const client = await knock({ project: withAccess, tls: 'none', role })
        await client.expect('R')
        const first = new RawScramClient({ password: 'x' }).first
        await client.send(raw.saslInitialResponse('SCRAM-SHA-256', first))
        const [proceed] = await client.expect('R')
        seen.push(scramAttributes(proceed?.body.subarray(4).toString() as string))
      }
      const [one, two, three, four] = seen
      expect([two?.s, two?.i]).toEqual([one?.s, one?.i])
      expect([four?.s, four?.i]).toEqual([three?.s, three?.i])
      expect(three?.i).toBe(one?.i)
      expect(three?.s).not.toBe(one?.s)
      expect(three?.s).toHaveLength((one?.s ?? '').length)
      expect(new Set(seen.map(({ r }) => r)).size).toBe(4)
    })
  })

  /** From the offer to the final message, which `bend` may change. */
  async function answer(
    client: RawClient,
    mechanism: string,
    channelBinding: Buffer | null,
    bend: (final: string) => string,
  ): Promise<void> {
    await client.expect('R')
    const dialog = new RawScramClient({ password: withAccess.app.password, channelBinding })
    await client.send(raw.saslInitialResponse(mechanism, dialog.first))
    const [proceed] = await client.expect('R')
    const final = dialog.final(proceed?.body.subarray(4).toString() as string)
    await client.send(raw.saslResponse(bend(final)))
  }

  async function finish(...given: Parameters<typeof answer>): Promise<Record<string, string>> {
    await answer(...given)
    return await fatalOf(given[0])
  }
})

test("a word for jit that is none is Postgres' to refuse", async () => {
  for (const project of [withAccess, withoutAccess]) {
    const { app, ref, database } = project
    const client = await pooler.raw()
    clients.push(client)
    const login = { user: `${app.role}.${ref}`, password: app.password, database }
    const refused = await client
      .login({ ...login, settings: { options: '-c jit=banana' } })
      .catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(LoginRefused)
    expect((refused as LoginRefused).fields).toMatchObject({ S: 'FATAL', C: '22023' })
  }
})

test.each(['on', 'off'])(
  "jit=%s is Postgres' own setting without temporary access",
  async (jit) => {
    const { app, ref, database } = withoutAccess
    for (const mode of ['transaction', 'session'] as const) {
      const client = await pooler.raw({ mode })
      clients.push(client)
      const login = { user: `${app.role}.${ref}`, password: app.password, database }
      await client.login({ ...login, settings: { options: `-c jit=${jit}` } })
      await client.query('SHOW jit')
      expect(rowsOf(await client.untilReady())).toEqual([[jit]])
    }
  },
)

test('where an operator trusts loopback, a token needs no TLS there, but enforced TLS still does', async () => {
  const project = await trusting.project()
  const somebody = await trusting.person(project)
  const login = (of: TestProject, token: string) => ({
    user: `${of.people.role}.${of.ref}`,
    password: token,
    database: of.database,
    settings: { options: '-c jit=on' },
  })
  const client = await trusting.raw()
  clients.push(client)
  expect(await client.login(login(project, somebody.token))).toMatchObject({ method: 'cleartext' })
  const strict = await trusting.project({ input: { enforceSsl: true } })
  const another = await trusting.person(strict)
  const refused = await trusting.raw()
  clients.push(refused)
  await expect(refused.login(login(strict, another.token))).rejects.toMatchObject({
    fields: { C: '28000', M: expect.stringContaining('(ESSLREQUIRED)') },
  })
})
