// Load balancers in front: whose word on the client's address counts, and what it then decides.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../pooler/embedded/free-port.ts'
import { eventually } from '../support/eventually.ts'
import { needsProgram, Program } from '../support/program.ts'
import { binaryHeader, textHeader } from '../support/proxy-headers.ts'
import { psql } from '../support/psql.ts'
import type { RawClient, RawClientOptions } from '../support/raw-client.ts'
import type { LoginRefused } from '../support/raw-login.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields } from '../support/raw-replies.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'
import { oneByteEach, whole } from '../support/segments.ts'
import { someRule } from '../support/store-setup.ts'

const balancer = '127.0.0.1'
const stranger = '127.0.0.2'
const inside = '203.0.113.7'
const outside = '198.51.100.1'

let pooler: RunningPooler
/** Clients of 203.0.113.0/24 only. */
let project: TestProject
const clients: RawClient[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start({
    env: { PROXY_PROTOCOL_TRUSTED: balancer, ALLOW_INSECURE_LOOPBACK_TOKENS: 'true' },
  })
  project = await pooler.project({ input: { allowList: ['203.0.113.0/24', '2001:db8::/32'] } })
})
afterAll(() => pooler?.stop())
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
})

async function connect(options: Partial<RawClientOptions>): Promise<RawClient> {
  const client = await pooler.raw(options)
  clients.push(client)
  return client
}

const login = async (client: RawClient, { ref, app, database } = project) =>
  client.login({ user: `${app.role}.${ref}`, password: app.password, database })

async function refusal(options: Partial<RawClientOptions>): Promise<Record<string, string>> {
  const client = await connect(options)
  return login(client).then(
    () => ({}),
    (error: LoginRefused) => error.fields,
  )
}

const ways = [
  ['version 1', textHeader],
  ['version 2', binaryHeader],
] as const

describe.each(ways)('%s', (_name, headerOf) => {
  test.each(['none', 'request', 'direct'] as const)(
    'the address in the header is the client’s; TLS: %s',
    async (tls) => {
      for (const segmentation of [whole, oneByteEach]) {
        for (const address of [inside, '2001:db8::7']) {
          const client = await connect({ preamble: headerOf(address), tls, segmentation })
          await login(client)
          await client.query('select 1')
          await client.untilReady()
          expect(pooler.captured.with({ address, msg: 'client logged in' })).not.toEqual([])
        }
        const fields = await refusal({ preamble: headerOf(outside), tls, segmentation })
        expect(fields.M).toContain('(EADDRNOTALLOWED)')
        expect(fields.M).toContain(outside)
      }
    },
  )

  test('the header and the startup packet may come in one piece', async () => {
    const client = await connect({})
    const { app, ref } = project
    const startup = raw.startupMessage([['user', `${app.role}.${ref}`]], { major: 3, minor: 0 })
    await client.send(Buffer.concat([headerOf(outside), startup]))
    const [error] = await client.expect('E')
    expect(errorFields((error as raw.RawMessage).body).M).toContain(outside)
  })

  test('from anybody else a header is garbage, and the socket’s own address counts', async () => {
    const client = await connect({ localAddress: stranger })
    await client.send(headerOf(inside))
    const [error] = await client.expect('E')
    expect(errorFields((error as raw.RawMessage).body).C).toBe('08P01')
    const fields = await refusal({ localAddress: stranger })
    expect(fields.M).toContain(stranger)
  })

  test('a header that says loopback makes nobody a neighbour', async () => {
    const open = await pooler.project()
    const person = await pooler.person(open)
    const client = await connect({ preamble: headerOf(balancer) })
    const token = {
      user: `${open.people.role}.${open.ref}`,
      password: person.token,
      settings: { options: '-c jit=on' },
    }
    await expect(client.login(token)).rejects.toThrow('ESSLREQUIRED')
    await (await connect({ localAddress: stranger })).login(token)
  })
})

test('a balancer that speaks for itself comes from its own address', async () => {
  const local = binaryHeader(inside, { versionAndCommand: 0x20 })
  for (const preamble of [local, Buffer.from('PROXY UNKNOWN\r\n')]) {
    expect((await refusal({ preamble })).M).toContain(balancer)
  }
})

test('a balancer’s HTTP probe needs no header', async () => {
  const client = await connect({ preamble: Buffer.from('GET /') })
  await eventually(() => expect(client.restBytes).toBeGreaterThan(12))
})

test('without a header there is no login', async () => {
  for (const tls of ['none', 'direct'] as const) {
    const client = await connect({ localAddress: balancer })
    await client.send(tls === 'direct' ? Buffer.from([0x16, 3, 1, 0, 5]) : raw.sslRequest())
    const [error] = await client.expect('E')
    const fields = errorFields((error as raw.RawMessage).body)
    expect(fields.M).toContain('PROXY protocol header: it is missing')
    expect(fields.H).toContain('PROXY_PROTOCOL_TRUSTED')
  }
})

test('a header that does not come in time ends the connection', async () => {
  const hasty = await RunningPooler.start({
    env: { PROXY_PROTOCOL_TRUSTED: balancer, CLIENT_LOGIN_TIMEOUT_MS: '200' },
  })
  try {
    const client = await hasty.raw({ preamble: Buffer.from('PROXY TCP4 ') })
    clients.push(client)
    const [error] = await client.expect('E')
    expect(errorFields((error as raw.RawMessage).body).M).toContain('(EAUTHTIMEOUT)')
  } finally {
    await hasty.stop()
  }
})

describe('HAProxy in front', () => {
  let folder: string
  let haproxy: Program | null = null
  let port: number
  let person: TestPerson

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'latchkey-haproxy-'))
    port = (await freePort()) as number
    person = await pooler.person(project, {
      rules: [someRule(project.people.role, { networksV4: ['203.0.113.0/24'] })],
    })
  })
  afterAll(async () => {
    await stopHaproxy()
    await rm(folder, { recursive: true, force: true })
  })

  async function stopHaproxy(): Promise<void> {
    haproxy?.kill()
    await haproxy?.finished
    haproxy = null
  }

  /** Its clients come from the addresses that they tell it in a header of their own. */
  async function startHaproxy(send: 'send-proxy' | 'send-proxy-v2'): Promise<void> {
    const file = join(folder, `${send}.cfg`)
    const timeouts = 'timeout connect 5s\n timeout client 60s\n timeout server 60s'
    await writeFile(
      file,
      `defaults
 mode tcp
 ${timeouts}
listen postgres
 bind 127.0.0.1:${port} accept-proxy
 server latchkey 127.0.0.1:${pooler.portOf()} ${send}
listen plain
 bind 127.0.0.3:${port}
 source 127.0.0.1
 server latchkey 127.0.0.1:${pooler.portOf()} ${send}
`,
    )
    haproxy = new Program('haproxy', ['-db', '-f', file])
    await eventually(async () => (await pooler.raw({ port, host: '127.0.0.3' })).close())
  }

  test.for(['send-proxy', 'send-proxy-v2'] as const)(
    'with %s allow list, rules, record and log have the client’s address, TLS passed through',
    async (send, context) => {
      needsProgram(context, 'haproxy', '-v')
      await startHaproxy(send)
      try {
        const client = await connect({ port, preamble: textHeader(inside), tls: 'request' })
        const { ref, people, database } = project
        const settings = { options: '-c jit=on' }
        const user = `${people.role}.${ref}`
        await client.login({ user, password: person.token, database, settings })
        const far = await connect({ port, preamble: textHeader(outside), tls: 'request' })
        await expect(
          far.login({ user, password: person.token, database, settings }),
        ).rejects.toThrow(outside)
        const path = `/v1/projects/${ref}/database/jit/events`
        await eventually(async () => {
          const events = await pooler.api('GET', path, person.token)
          expect(events.text).toContain(inside)
          expect(events.text).not.toContain(`"${balancer}"`)
        })
      } finally {
        await stopHaproxy()
      }
    },
  )

  test('psql through it comes from psql’s own address', async (context) => {
    needsProgram(context, 'haproxy', '-v')
    needsProgram(context, 'psql')
    const open = await pooler.project()
    await startHaproxy('send-proxy-v2')
    try {
      const url = new URL(pooler.url(open, { role: open.app.role, password: open.app.password }))
      url.host = `127.0.0.3:${port}`
      url.searchParams.set('sslmode', 'require')
      const result = await psql(url.href, 'select 42;')
      expect(result).toMatchObject({ exitCode: 0, stdout: '42\n' })
    } finally {
      await stopHaproxy()
    }
  })
})
