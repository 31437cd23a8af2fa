// An outside authoriser as we ask it: what it is sent, what each answer means, and where nothing is
// sent at all. The authoriser is real HTTP on this machine; names are resolved as the test says.
import { afterEach, describe, expect, test } from 'vitest'
import { tokenHashOf } from '../../../pooler/access/access-tokens.ts'
import { GuardedClient } from '../../../pooler/access/guarded-client.ts'
import { HttpAuthoriser } from '../../../pooler/access/http-authoriser.ts'
import { type NameService, UpstreamAddresses } from '../../../pooler/pool/upstream-address.ts'
import { UpstreamGuard } from '../../../pooler/pool/upstream-guard.ts'
import { Secret } from '../../../shared/secret.ts'
import { CapturedLog } from '../../support/captured-log.ts'
import { TestAuthority } from '../../support/certificates.ts'
import { eventually } from '../../support/eventually.ts'
import { HandDrivenChanges } from '../../support/hand-driven-changes.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import {
  answers,
  grants,
  isSilent,
  ScriptedAuthoriser,
  userId,
} from '../../support/scripted-authoriser.ts'

const token = new Secret(`sbp_${'a'.repeat(40)}`)
const hash = tokenHashOf(token) as string
const authority = new TestAuthority()
const certificate = authority.issue(['auth.example.com', 'localhost'])

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one()
})

interface SetupOptions {
  readonly isTls?: boolean
  /** Names to what the name servers answer, one after the other. */
  readonly names?: Readonly<Record<string, string[]>>
  readonly ownPort?: number
}

async function setup({ isTls = false, names = {}, ownPort }: SetupOptions = {}) {
  const server = await ScriptedAuthoriser.start(isTls ? certificate : null)
  const clock = new ManualClock()
  const changes = new HandDrivenChanges()
  const { log, ...captured } = newLog()
  const nameService: NameService = {
    resolve4: async (host) => {
      const found = names[host]
      const address = (found?.length ?? 0) > 1 ? found?.shift() : found?.[0]
      if (address === undefined) throw Object.assign(new Error('none'), { code: 'ENOTFOUND' })
      return [{ address, ttl: 0 }]
    },
    resolve6: () => Promise.reject(Object.assign(new Error('none'), { code: 'ENOTFOUND' })),
    lookup: () => Promise.reject(Object.assign(new Error('none'), { code: 'ENOTFOUND' })),
  }
  const guard = new UpstreamGuard({
    allowedNetworks: [],
    ownListeners: () => (ownPort === undefined ? [] : [{ host: null, port: ownPort }]),
  })
  const addresses = new UpstreamAddresses({ names: nameService, guard, clock })
  const client = new GuardedClient({ addresses, clock, ca: authority.cert })
  undo.push(
    () => server.stop(),
    () => client.close(),
  )
  const authoriser = new HttpAuthoriser({ client, changes, clock, log })
  const ask = (
    changed: { url?: string; role?: string; address?: string } = {},
    ageMaxMs?: number,
  ) =>
    authoriser.ask(
      {
        ref: 'shop',
        url: changed.url ?? server.url(),
        token,
        hash,
        role: changed.role ?? 'postgres',
        address: changed.address ?? '203.0.113.9',
      },
      ageMaxMs,
    )
  return { server, clock, changes, ask, written: () => captured.text() }
}

function newLog() {
  const captured = new CapturedLog()
  return { log: captured.log, text: () => captured.text }
}

test('it is sent what every such authoriser is sent, and nothing else', async () => {
  const { server, ask } = await setup()
  expect(await ask()).toEqual({
    isAllowed: true,
    answeredAtMs: 0,
    grant: { userId, role: 'postgres', expiresAtMs: null, networksV4: [], networksV6: [] },
  })
  expect(server.requests).toEqual([
    {
      method: 'POST',
      path: '/v1/projects/x/database/jit',
      authorization: `Bearer ${token.reveal()}`,
      contentType: 'application/json',
      body: { role: 'postgres', rhost: '203.0.113.9' },
    },
  ])
})

test('connections are kept, and used again', async () => {
  const { server, ask } = await setup()
  for (const role of ['a', 'b', 'c']) await ask({ role })
  expect([server.requests.length, server.connections]).toEqual([3, 1])
})

test('what it says of role, end and networks is taken over, in either unit', async () => {
  const { server, ask } = await setup()
  server.script = grants({
    expires_at: 1_800_000_000,
    branches_only: true,
    allowed_networks: {
      allowed_cidrs: [{ cidr: '10.0.0.0/8' }],
      allowed_cidrs_v6: [{ cidr: '2001:db8::/32' }],
    },
  })
  const grant = {
    userId,
    role: 'postgres',
    expiresAtMs: 1_800_000_000_000,
    networksV4: ['10.0.0.0/8'],
    networksV6: ['2001:db8::/32'],
  }
  expect(await ask()).toEqual({ isAllowed: true, grant, answeredAtMs: 0 })
  server.script = grants({ expires_at: 1_800_000_000_000 })
  expect(await ask({ address: '203.0.113.8' })).toMatchObject({
    grant: { expiresAtMs: 1_800_000_000_000 },
  })
})

test('one that names nobody but the role lets in too: older ones do no more', async () => {
  const { server, ask } = await setup()
  server.script = answers(200, '{"user_role":{"role":"postgres"}}')
  expect(await ask()).toMatchObject({ isAllowed: true, grant: { userId: null } })
})

test.each([
  [401, 'token_unknown'],
  [403, 'refused_outside'],
  [406, 'no_rule'],
] as const)('%i refuses', async (status, reason) => {
  const { server, ask } = await setup()
  server.script = answers(status)
  expect(await ask()).toEqual({ isAllowed: false, reason })
})

test('another role than was asked for refuses, however alike', async () => {
  const { server, ask } = await setup()
  for (const role of ['Postgres', 'postgres ', 'app', 'postgres\0']) {
    server.script = answers(200, JSON.stringify({ user_id: userId, user_role: { role } }))
    expect(await ask({ address: role })).toEqual({ isAllowed: false, reason: 'role_not_granted' })
  }
})

const granted = JSON.stringify({ user_id: userId, user_role: { role: 'postgres' } })

describe('nothing that counts is', () => {
  test.each([
    ['an error', answers(500)],
    ['an overload', answers(503, granted)],
    ['too many requests', answers(429)],
    ['another success', answers(201, granted)],
    ['no content', answers(204, '')],
    ['an unknown path', answers(404)],
    ['a redirect', answers(302, granted, { location: 'https://attacker.example.com/' })],
    ['a redirect that keeps the method', answers(307, granted, { location: '/elsewhere' })],
    ['no body', answers(200, '')],
    ['no JSON', answers(200, '<html>')],
    ['JSON without a role', answers(200, '{"user_id":"x"}')],
    ['a role that is no text', answers(200, '{"user_role":{"role":7}}')],
    ['a list', answers(200, `[${granted}]`)],
    ['a text', answers(200, '"postgres"')],
    ['an end that is none', grants({ expires_at: 'tomorrow' })],
    ['an end before time', grants({ expires_at: -1 })],
    ['a network that is none', grants({ allowed_networks: { allowed_cidrs: [{ cidr: 'x' }] } })],
    ['networks in another form', grants({ allowed_networks: { allowed_cidrs: ['10.0.0.0/8'] } })],
    ['a huge body', answers(200, granted.padEnd(70_000))],
    ['an encoded body', answers(200, granted, { 'content-encoding': 'gzip' })],
    ['huge headers', answers(200, granted, { 'x-much': 'x'.repeat(20_000) })],
  ])('%s', async (_what, script) => {
    const { server, ask, written } = await setup()
    server.script = script
    await expect(ask()).rejects.toThrow()
    expect(server.requests).toHaveLength(1)
    expect(written()).toContain('gave no answer that counts')
    expect(written()).not.toContain(token.reveal())
  })

  test('an answer that breaks off', async () => {
    const { server, ask } = await setup()
    server.script = (_request, response) => {
      response.writeHead(200, { 'content-length': granted.length + 1 })
      response.write(granted, () => response.destroy())
    }
    await expect(ask()).rejects.toThrow()
  })

  test('silence of three seconds, before the answer or in the middle of it', async () => {
    const { server, ask, clock } = await setup()
    for (const script of [
      isSilent,
      ((_request, response) => {
        response.writeHead(200)
        response.write(granted)
      }) satisfies typeof isSilent,
    ]) {
      server.script = script
      const asked = ask().catch((error: Error) => error.message)
      const { length } = server.requests
      await eventually(() => server.requests.length > length)
      clock.advance(2999)
      clock.advance(1)
      expect(await asked).toMatch(/did not answer within 3000 ms/)
    }
  })

  test('an authoriser that is not there', async () => {
    const { server, ask } = await setup()
    const url = server.url()
    await server.stop()
    undo.length = 0
    await expect(ask({ url })).rejects.toThrow('could not be asked (ECONNREFUSED)')
  })
})

describe('a good answer is used again', () => {
  test('for five seconds, for the same question', async () => {
    const { server, ask, clock } = await setup()
    await ask()
    clock.advance(4999)
    await ask()
    expect(server.requests).toHaveLength(1)
    await ask({ role: 'app' })
    await ask({ address: '203.0.113.10' })
    expect(server.requests).toHaveLength(3)
    clock.advance(1)
    await ask()
    expect(server.requests).toHaveLength(4)
  })

  test('but not where a younger one is wanted', async () => {
    const { server, ask, clock } = await setup()
    await ask()
    clock.advance(500)
    await Promise.all([ask({}, 500), ask({}, 500)])
    expect(server.requests).toHaveLength(1)
    clock.advance(1)
    await ask({}, 500)
    expect(server.requests).toHaveLength(2)
    await ask()
    expect(server.requests).toHaveLength(2)
  })

  test('not past its own end', async () => {
    const { server, ask, clock } = await setup()
    server.script = grants({ expires_at: Math.floor(clock.wallMs() / 1000) + 2 })
    await ask()
    clock.advance(2000)
    await ask()
    expect(server.requests).toHaveLength(2)
  })

  test('until the project changes, or changes cannot be heard', async () => {
    const { server, ask, changes } = await setup()
    await ask()
    changes.announce({ kind: 'tenant', ref: 'other' })
    await ask()
    expect(server.requests).toHaveLength(1)
    changes.announce({ kind: 'tenant', ref: 'shop' })
    await ask()
    expect(server.requests).toHaveLength(2)
    changes.isBlind = true
    await ask()
    expect(server.requests).toHaveLength(3)
  })

  test('a refusal for a second only, a failure never', async () => {
    const { server, ask, clock } = await setup()
    server.script = answers(403)
    await ask()
    await ask()
    expect(server.requests).toHaveLength(1)
    clock.advance(1000)
    server.script = answers(500)
    await expect(ask()).rejects.toThrow()
    server.script = grants()
    expect(await ask()).toMatchObject({ isAllowed: true })
  })
})

describe('where the token may go', () => {
  test('to an authoriser by name over TLS, at the address that was checked', async () => {
    const { server, ask } = await setup({
      isTls: true,
      names: { 'auth.example.com': ['127.0.0.1'] },
    })
    const url = server.url('auth.example.com')
    expect(await ask({ url })).toMatchObject({ isAllowed: true })
  })

  test('not to one that cannot prove its name', async () => {
    const names = { 'other.example.com': ['127.0.0.1'] }
    const { server, ask } = await setup({ isTls: true, names })
    await expect(ask({ url: server.url('other.example.com') })).rejects.toThrow('ALTNAME')
    expect(server.requests).toEqual([])
  })

  test.each([
    ['the machine’s own metadata', '169.254.169.254'],
    ['nowhere', '0.0.0.0'],
    ['everybody', '255.255.255.255'],
    ['a group', '224.0.0.1'],
  ])('not to %s, by name or by address', async (_what, address) => {
    const names = { 'auth.example.com': [address] }
    const { ask, server } = await setup({ isTls: true, names })
    for (const host of ['auth.example.com', address, `[::ffff:${address}]`]) {
      await expect(ask({ url: `https://${host}:${server.port}/` })).rejects.toThrow()
    }
    await expect(ask({ url: 'https://[fe80::1]/' })).rejects.toThrow()
    expect(server.connections).toBe(0)
  })

  test('not to an address that a name has taken on since it was first asked', async () => {
    const names = { 'auth.example.com': ['127.0.0.1', '169.254.169.254'] }
    const { server, ask, clock } = await setup({ isTls: true, names })
    const url = server.url('auth.example.com')
    server.script = (request, response) => {
      response.setHeader('connection', 'close')
      grants()(request, response)
    }
    expect(await ask({ url })).toMatchObject({ isAllowed: true })
    clock.advance(60_000)
    await expect(ask({ url })).rejects.toThrow()
    expect(server.requests).toHaveLength(1)
  })

  test('not to a port of our own', async () => {
    const { server } = await setup()
    const { ask } = await setup({ ownPort: server.port })
    await expect(ask({ url: server.url() })).rejects.toThrow()
    await expect(ask({ url: server.url('localhost') })).rejects.toThrow()
    expect(server.connections).toBe(0)
  })

  test.each([
    ['plain, off this machine', 'http://auth.example.com/'],
    ['another scheme', 'file:///etc/passwd'],
    ['with a password', 'https://user:pass@auth.example.com/'],
    ['no URL', 'auth.example.com'],
  ])('not where the stored URL is %s', async (_what, url) => {
    const { ask, server } = await setup({ names: { 'auth.example.com': ['127.0.0.1'] } })
    await expect(ask({ url })).rejects.toThrow('jit_api_url')
    expect(server.connections).toBe(0)
  })
})

test('one that is slow is not asked without bound', async () => {
  const { server, ask, clock } = await setup()
  server.script = isSilent
  const asked = Array.from({ length: 250 }, (_, each) =>
    ask({ role: `role ${each}` }).catch((error: Error) => error.message),
  )
  await eventually(() => server.requests.length === 32)
  clock.advance(3000)
  const told = await Promise.all(asked)
  expect(told.filter((text) => String(text).includes('asked too much at once'))).toHaveLength(50)
})
