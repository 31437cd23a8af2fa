// Who does not get in, in which order the reasons are told, and what cannot be told apart.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { catalogue, type ErrorCode } from '../../shared/error-catalogue.ts'
import { noBytes } from '../../shared/no-bytes.ts'
import { eventually } from '../support/eventually.ts'
import type { RawClient, RawClientOptions } from '../support/raw-client.ts'
import { type LoginOptions, LoginRefused } from '../support/raw-login.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'
import { scramAttributes } from '../support/raw-scram.ts'
import { type Mode, RunningPooler } from '../support/running-pooler.ts'
import type { TestProject } from '../support/running-projects.ts'

let pooler: RunningPooler
let hurried: RunningPooler
const clients: RawClient[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start()
  hurried = await RunningPooler.start({ env: { CLIENT_LOGIN_TIMEOUT_MS: '400' } })
})
afterAll(async () => {
  await hurried?.stop()
  await pooler?.stop()
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
  await hurried.settled()
})

async function connect(options: Partial<RawClientOptions> & { mode?: Mode } = {}) {
  const client = await pooler.raw(options)
  clients.push(client)
  return client
}

const asApp = ({ app, ref, database }: TestProject): LoginOptions & { settings?: object } => ({
  user: `${app.role}.${ref}`,
  password: app.password,
  database,
})

async function refusalOf(
  login: LoginOptions,
  options: Partial<RawClientOptions> & { mode?: Mode } = {},
): Promise<LoginRefused> {
  const client = await connect(options)
  const refused = await client.login(login).then(
    () => new Error('the login succeeded'),
    (error: unknown) => error,
  )
  expect(refused).toBeInstanceOf(LoginRefused)
  expect(await client.readAll()).toEqual([])
  return refused as LoginRefused
}

function expectCode(refused: LoginRefused, code: ErrorCode, texts: readonly string[] = []): void {
  const row = catalogue[code]
  expect(refused.fields).toMatchObject({ S: 'FATAL', V: 'FATAL', C: row.sqlState, H: row.hint })
  expect(refused.fields.M).toMatch(new RegExp(`^\\(${code}\\) `))
  for (const text of texts) expect(refused.fields.M).toContain(text)
}

describe('the order in which a project refuses', () => {
  test('found, banned, TLS, address, client limit, throttle: each is told only behind the ones before it', async () => {
    const project = await pooler.project({
      input: { enforceSsl: true, allowList: ['203.0.113.0/24'] },
      user: { maxClients: 0 },
    })
    const { control } = pooler.pooler
    const { ref } = project
    const login = asApp(project)
    for (let count = 0; count < 10; count++) control.throttle.recordWrong(ref, '127.0.0.1')
    await control.tenants.setBan(ref, { reason: 'unpaid bills', untilMs: null })

    expectCode(await refusalOf({ ...login, user: `${project.app.role}.nowhere` }), 'ENOTFOUND', [
      '"nowhere"',
    ])
    expectCode(await refusalOf({ ...login, user: project.app.role }), 'ENOIDENTIFIER')
    expectCode(await refusalOf(login), 'EBANNED', ['unpaid bills'])
    await control.tenants.setBan(ref, null)
    await eventually(() => control.tenantCache.peek(ref)?.ban === null)
    expectCode(await refusalOf(login), 'ESSLREQUIRED')
    const secured = { tls: 'request' } as const
    expectCode(await refusalOf(login, secured), 'EADDRNOTALLOWED', ['127.0.0.1', ref])
    await pooler.change(project, { allowList: ['127.0.0.0/8'] })
    expectCode(await refusalOf(login, secured), 'EMAXCONN', ['limit of 0', project.app.role])
    await pooler.change(project, { users: usersOf(project, 5) })
    expectCode(await refusalOf(login, secured), 'ECIRCUITBREAKER', ['blocked for'])
    control.throttle.lift(ref)
    const client = await connect(secured)
    await client.login(login)
  })

  test('none of it asks for a password first', async () => {
    const project = await pooler.project({ input: { enforceSsl: true } })
    for (const user of [`x.nowhere`, `${project.app.role}.${project.ref}`, 'x']) {
      const refused = await refusalOf({ user, database: 'x' })
      expect(typesOf(refused.messages)).toBe('E')
    }
  })

  const usersOf = ({ app, people }: TestProject, maxClients: number) => [
    { dbUser: app.role, maxClients },
    { dbUser: people.role, maxClients },
  ]
})

describe.each(['stored', 'query'] as const)('verified by: %s', (auth) => {
  test('an unknown role and a wrong password cannot be told apart', async () => {
    const project = await pooler.project({ auth })
    const seen: {
      types: string
      sizes: number[]
      salt: number
      iterations?: string
      fields: object
    }[] = []
    for (const role of [project.app.role, 'nobody_here', 'pg_monitor']) {
      const user = `${role}.${project.ref}`
      const startedMs = performance.now()
      const refused = await refusalOf({ user, password: 'wrong', database: project.database })
      expect(performance.now() - startedMs).toBeGreaterThan(499)
      const { D = '', M = '', ...fields } = refused.fields
      expect(M).toBe(`password authentication failed for user "${role}"`)
      expect(D).toMatch(/^refusal \S+$/)
      const proceed = scramAttributes(refused.messages[1]?.body.subarray(4).toString() ?? '')
      seen.push({
        types: typesOf(refused.messages),
        sizes: refused.messages.slice(0, -1).map(({ body }) => body.length),
        salt: (proceed.s ?? '').length,
        ...(proceed.i !== undefined && { iterations: proceed.i }),
        fields,
      })
    }
    expect(seen[0]).toMatchObject({
      types: 'RRE',
      fields: { S: 'FATAL', C: '28P01', H: catalogue.EWRONGPASSWORD.hint },
    })
    expect(seen[1]).toEqual(seen[0])
    expect(seen[2]).toEqual(seen[0])
  })

  test('an empty password is wrong', async () => {
    const project = await pooler.project({ auth })
    const refused = await refusalOf({ ...asApp(project), password: '' })
    expect(refused.fields).toMatchObject({ C: '28P01' })
  })
})

test('the refusal id of the answer finds the reason in the log, and nowhere else is the reason', async () => {
  const project = await pooler.project()
  const refused = await refusalOf({ ...asApp(project), user: `nobody.${project.ref}` })
  const refusalId = (refused.fields.D ?? '').replace('refusal ', '')
  expect(pooler.captured.with({ refusalId })).toMatchObject([
    {
      tenant: project.ref,
      role: 'nobody',
      address: '127.0.0.1',
      reason: expect.stringContaining('no password'),
    },
  ])
  expect(JSON.stringify(refused.fields)).not.toContain('no password')
})

describe('the throttle', () => {
  async function guess(project: TestProject, times: number, localAddress: string): Promise<void> {
    const login = { ...asApp(project), password: 'guess' }
    const all = Array.from({ length: times }, () => refusalOf(login, { localAddress }))
    for (const refused of await Promise.all(all)) {
      expect(refused.fields).toMatchObject({ C: '28P01' })
    }
  }

  test('after ten wrong passwords of a source even the right one is refused, of that source and project only', async () => {
    const project = await pooler.project()
    const neighbour = await pooler.project()
    await guess(project, 10, '127.0.0.1')
    const refused = await refusalOf(asApp(project), { localAddress: '127.0.0.1' })
    expectCode(refused, 'ECIRCUITBREAKER', ['blocked for 1'])
    expect(typesOf(refused.messages)).toBe('E')
    await (await connect({ localAddress: '127.0.0.2' })).login(asApp(project))
    await (await connect({ localAddress: '127.0.0.1' })).login(asApp(neighbour))
    const listed = await pooler.api('GET', `/api/tenants/${project.ref}/network_bans`, 'api')
    expect(listed.text).toContain('127.0.0.1')
    const lifted = await pooler.api('DELETE', `/api/tenants/${project.ref}/network_bans`, 'api', {
      ipv4_addresses: ['127.0.0.1'],
    })
    expect(lifted.status).toBeLessThan(300)
    await (await connect({ localAddress: '127.0.0.1' })).login(asApp(project))
  })

  test('while a source is blocked a valid token gets in, and a wrong one hears of the block', async () => {
    const project = await pooler.project()
    const person = await pooler.person(project)
    await guess(project, 10, '127.0.0.1')
    const withToken = (password: string): LoginOptions => ({
      user: `${project.people.role}.${project.ref}`,
      password,
      database: project.database,
      settings: { options: '-c jit=on' },
    })
    const tls = { tls: 'request' } as const
    await (await connect(tls)).login(withToken(person.token))
    expectCode(await refusalOf(withToken(`sbp_${'0'.repeat(40)}`), tls), 'ECIRCUITBREAKER')
    expectCode(await refusalOf(withToken('not even a token'), tls), 'ECIRCUITBREAKER')
  })

  test('wrong tokens count like wrong passwords', async () => {
    const project = await pooler.project()
    const login = {
      user: `${project.people.role}.${project.ref}`,
      password: `sbp_${'0'.repeat(40)}`,
      database: project.database,
      settings: { options: '-c jit=on' },
    }
    const all = Array.from({ length: 10 }, () => refusalOf(login, { tls: 'request' }))
    for (const refused of await Promise.all(all)) expect(refused.fields.C).toBe('28P01')
    expectCode(await refusalOf(asApp(project)), 'ECIRCUITBREAKER')
  })

  test('logins that break off or break the protocol count nothing', async () => {
    const project = await pooler.project()
    const { user, database } = asApp(project)
    for (let count = 0; count < 12; count++) {
      const client = await connect()
      await client.send(raw.startupMessage({ user, database: database as string }))
      await client.expect('R')
      if (count % 2 === 0) await client.send(raw.query('SELECT 1'))
      client.close()
    }
    await pooler.settled()
    await (await connect()).login(asApp(project))
  })
})

describe('the login deadline', () => {
  const steps: [
    string,
    Partial<RawClientOptions>,
    (client: RawClient, project: TestProject) => Promise<void>,
  ][] = [
    ['a connection that says nothing', {}, async () => {}],
    ['half an SSLRequest', {}, (client) => client.send(raw.sslRequest().subarray(0, 5))],
    ['TLS and nothing in it', { tls: 'request' }, async () => {}],
    [
      'half a startup packet',
      {},
      (client, project) =>
        client.send(raw.startupMessage({ user: asApp(project).user }).subarray(0, 20)),
    ],
    [
      'no password',
      {},
      async (client, project) => {
        const { user, database } = asApp(project)
        await client.send(raw.startupMessage({ user, database: database as string }))
        await client.expect('R')
      },
    ],
  ]

  test.each(steps)('%s is told and closed', async (_name, options, go) => {
    const project = await hurried.project()
    const client = await hurried.raw(options)
    clients.push(client)
    await go(client, project)
    const messages = await client.readAll()
    expect(typesOf(messages)).toBe('E')
    const fields = errorFields(messages[0]?.body as Buffer)
    expect(fields).toMatchObject({ S: 'FATAL', C: '08006', H: catalogue.EAUTHTIMEOUT.hint })
    expect(fields.M).toContain('(EAUTHTIMEOUT)')
  })

  test('a TLS handshake that is never finished is closed without a plain word', async () => {
    const hello = Buffer.from('16030102000100', 'hex')
    for (const { asks, sends } of [
      { asks: true, sends: noBytes },
      { asks: true, sends: hello },
      { asks: false, sends: hello },
    ]) {
      const client = await hurried.raw()
      clients.push(client)
      if (asks) {
        await client.send(raw.sslRequest())
        expect(await client.answerByte()).toBe('S')
      }
      await client.send(sends)
      expect((await client.readRest()).toString('latin1')).toBe('')
    }
  })
})

describe('a process that is full', () => {
  let small: RunningPooler
  beforeAll(async () => {
    small = await RunningPooler.start({ env: { CLIENTS_MAX: '200' } })
  })
  afterAll(() => small?.stop())
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close()
    await small.settled()
  })

  const knockFrom = async (localAddress: string): Promise<RawClient> => {
    const client = await small.raw({ localAddress })
    clients.push(client)
    return client
  }

  test('of connections that say nothing tells the next of that source, and serves other sources', async () => {
    const project = await small.project()
    const inside = await knockFrom('127.0.0.2')
    await inside.login(asApp(project))
    const { quota } = small.pooler.data
    const silent: RawClient[] = []
    while (silent.length < 64) silent.push(await knockFrom('127.0.0.1'))
    await eventually(() => quota.beforeLoginCount === 64)
    const [told] = await (await knockFrom('127.0.0.1')).readAll()
    const fields = errorFields(told?.body as Buffer)
    expect(fields).toMatchObject({ S: 'FATAL', C: '53300', H: catalogue.EMAXCONNPROCESS.hint })
    expect(fields.M).toContain('from your address')
    await (await knockFrom('127.0.0.3')).login(asApp(project))
    await inside.query('SELECT 1')
    await inside.untilReady()
    for (const client of silent) client.close()
    await eventually(() => quota.beforeLoginCount === 0)
    await (await knockFrom('127.0.0.1')).login(asApp(project))
  })

  test('of silent connections from many sources leaves as many places for those who are in', async () => {
    const project = await small.project()
    for (let count = 0; count < 20; count++) {
      for (const host of [4, 5, 6, 7, 8]) await knockFrom(`127.0.0.${host}`)
    }
    await eventually(() => small.pooler.data.quota.beforeLoginCount === 100)
    const [told] = await (await knockFrom('127.0.0.9')).readAll()
    const fields = errorFields(told?.body as Buffer)
    expect(fields).toMatchObject({ S: 'FATAL', C: '53300' })
    expect(fields.M).toContain('100 are still logging in')
    for (const client of clients.splice(0)) client.close()
    await eventually(() => small.pooler.data.quota.beforeLoginCount === 0)
    await (await knockFrom('127.0.0.9')).login(asApp(project))
  })
})
