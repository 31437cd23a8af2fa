// The metadata database goes away while projects are in use: who has a token waits, everybody else
// does not notice, and nothing is held against anybody.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { catalogue } from '../../shared/error-catalogue.ts'
import { eventually } from '../support/eventually.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { sharedPostgres, uniqueName } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import { LoginRefused } from '../support/raw-login.ts'
import { rowsOf } from '../support/raw-replies.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

let pooler: RunningPooler
let proxy: FaultProxy
let metadata: string
let stored: TestProject
let asking: TestProject
let person: TestPerson
const clients: RawClient[] = []

beforeAll(async () => {
  const postgres = sharedPostgres()
  proxy = await FaultProxy.start({ host: postgres.host, port: postgres.port })
  metadata = uniqueName('metadata')
  await postgres.createDatabase(metadata)
  const url = new URL(postgres.url(metadata))
  url.hostname = '127.0.0.1'
  url.port = String(proxy.port)
  pooler = await RunningPooler.start({ databaseUrl: url.toString() })
  stored = await pooler.project()
  asking = await pooler.project({ auth: 'query' })
  person = await pooler.person(stored)
  for (const project of [stored, asking]) await enterAsApp(project)
})
afterAll(async () => {
  proxy?.heal()
  await pooler?.stop()
  await proxy?.stop()
  await sharedPostgres().dropDatabase(metadata)
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
})

async function enterAsApp({ app, ref, database }: TestProject): Promise<RawClient> {
  const client = await pooler.raw()
  clients.push(client)
  await client.login({ user: `${app.role}.${ref}`, password: app.password, database })
  await client.query('SELECT 1')
  expect(rowsOf(await client.untilReady())).toEqual([['1']])
  return client
}

async function enterAsPerson(token = person.token): Promise<RawClient> {
  const client = await pooler.raw({ tls: 'request' })
  clients.push(client)
  await client.login({
    user: `${stored.people.role}.${stored.ref}`,
    password: token,
    database: stored.database,
    settings: { options: '-c jit=on' },
  })
  return client
}

const refusal = (entering: Promise<unknown>): Promise<LoginRefused> =>
  entering.then(
    () => Promise.reject(new Error('let in')),
    (error: unknown) => {
      expect(error).toBeInstanceOf(LoginRefused)
      return error as LoginRefused
    },
  )

const readiness = () => pooler.api('GET', '/api/ready', 'api')

async function isBackToNormal(): Promise<void> {
  await eventually(async () => {
    expect(pooler.pooler.control.changes.isBlind).toBe(false)
    expect((await readiness()).status).toBe(204)
    const client = await enterAsPerson()
    client.close()
  })
}

describe.each([
  [
    'refuses connections',
    () => {
      proxy.closePort()
      proxy.resetAll()
    },
    async () => {
      proxy.heal()
      await proxy.openPort()
    },
  ],
  [
    'hangs',
    () => proxy.swallow('toClient', 'toServer'),
    async () => {
      proxy.heal()
      proxy.resetAll()
    },
  ],
] as const)('while the metadata database %s', (_name, away, back) => {
  test('a token is answered EAUTHPROVIDER and counted against nobody; passwords of known projects work', async () => {
    const inSession = await enterAsPerson()
    away()
    await eventually(() => pooler.pooler.control.changes.isBlind)
    const tries = [person.token, `sbp_${'0'.repeat(40)}`]
    for (let count = 0; count < 12; count++) {
      const token = tries[count % 2] as string
      const { fields } = await refusal(enterAsPerson(token))
      expect(fields).toMatchObject({ S: 'FATAL', C: '58000', H: catalogue.EAUTHPROVIDER.hint })
      expect(fields.M).toContain('(EAUTHPROVIDER)')
    }
    await Promise.all([enterAsApp(stored), enterAsApp(asking)])
    // Whoever is in stays in for a while, and a wrong password is still a wrong password.
    await inSession.query('SELECT 1')
    expect(rowsOf(await inSession.untilReady())).toEqual([['1']])
    const wrong = refusal(enterAsApp({ ...stored, app: { ...stored.app, password: 'wrong' } }))
    expect((await wrong).fields).toMatchObject({ C: '28P01' })
    const { status, body } = await readiness()
    expect(status).toBe(503)
    expect(JSON.stringify(body)).toContain('metadata')
    await back()
    await isBackToNormal()
    await inSession.query('SELECT 2')
    expect(rowsOf(await inSession.untilReady())).toEqual([['2']])
  })

  test('a project that nobody has asked for yet is answered EAUTHPROVIDER as well', async () => {
    const unseen = await pooler.project()
    expect(pooler.pooler.control.tenantCache.peek(unseen.ref)).toBeNull()
    away()
    await eventually(() => pooler.pooler.control.changes.isBlind)
    const { fields } = await refusal(enterAsApp(unseen))
    expect(fields).toMatchObject({ C: '58000' })
    await back()
    await isBackToNormal()
    await enterAsApp(unseen)
  })

  test('what changed meanwhile holds as soon as it is back', async () => {
    const leaving = await pooler.person(stored)
    const client = await enterAsPerson(leaving.token)
    away()
    await eventually(() => pooler.pooler.control.changes.isBlind)
    await sharedPostgres().query(
      'DELETE FROM latchkey.rules WHERE user_id = $1',
      [leaving.userId],
      metadata,
    )
    await back()
    const [ended] = await client.untilType('E')
    expect(ended?.body.toString()).toContain('EACCESSENDED')
    await isBackToNormal()
    expect((await refusal(enterAsPerson(leaving.token))).fields).toMatchObject({ C: '28P01' })
  })
})
