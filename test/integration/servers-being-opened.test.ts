// A server is being opened while something changes that outdates it: where it comes from, with which
// password, or whether any is wanted. Its login hangs behind a proxy for as long as a test wants.
import type { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Pool } from '../../pooler/pool/pool.ts'
import { ConsoleWorld } from '../support/console-world.ts'
import { eventually } from '../support/eventually.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { sharedPostgres } from '../support/postgres.ts'

let world: ConsoleWorld
let proxy: FaultProxy
beforeAll(async () => {
  world = await ConsoleWorld.start()
})
beforeEach(async () => {
  await world.newProject()
  const { host, port } = sharedPostgres()
  proxy = await FaultProxy.start({ host, port })
})
afterAll(() => world?.pooler.stop())
afterEach(async () => {
  await world.settled()
  await proxy.stop()
})

async function put(tenant: Record<string, unknown>): Promise<void> {
  const { ref } = world.project
  const versionOf = () => world.pooler.pooler.control.tenantCache.peek(ref)?.version ?? 0
  const before = versionOf()
  const answer = await world.pooler.api('PUT', `/api/tenants/${ref}`, 'api', { tenant })
  expect(answer).toMatchObject({ status: 200 })
  await eventually(() => versionOf() > before)
}

function thePool(): Pool {
  const [entry] = world.pooler.pooler.data.pools.entriesOf(world.project.ref)
  if (entry === undefined) throw new Error('the project has no pool')
  return entry.pool
}

/** A client whose query waits for a server that is being opened behind the proxy. */
async function waitingClient(): Promise<{ client: Client; answered: Promise<unknown> }> {
  const client = await world.app()
  await client.query('select 1')
  await put({ db_port: proxy.port })
  await eventually(() => thePool().slots === 0)
  proxy.stall('toClient')
  const answered = client.query('select 42 as answer').then(({ rows }) => rows)
  await eventually(() => proxy.connections.length === 1)
  return { client, answered }
}

test('a project that moves away from a place that hangs is served by the new one', async () => {
  const { answered } = await waitingClient()
  await put({ db_port: sharedPostgres().port })
  expect(await answered).toEqual([{ answer: 42 }])
  proxy.heal()
  await eventually(() => proxy.connections.length === 0)
  expect(thePool().counters.serverOpenFailures).toBe(0)
})

test('the connection that listens is opened where the project is now', async () => {
  const client = await world.app()
  const heard: (string | undefined)[] = []
  client.on('notification', ({ payload }) => heard.push(payload))
  await client.query('begin')
  await client.query('listen news')
  await put({ db_port: proxy.port })
  proxy.stall('toClient')
  await client.query('commit')
  await eventually(() => proxy.connections.length === 1)
  await put({ db_port: sharedPostgres().port })
  await eventually(() => thePool().hub.isConnected)
  await client.query("notify news, 'here'")
  await eventually(() => heard.includes('here'))
  proxy.heal()
  await eventually(() => proxy.connections.length === 0)
})

test('who waits for a server with the old password is served with the new one', async () => {
  const { role, password } = world.project.app
  const client = await world.app()
  await client.query('select 1')
  await sharedPostgres().query(`alter role "${role}" password 'another'`)
  proxy.stall('toClient')
  await put({ db_port: proxy.port })
  await eventually(() => thePool().slots === 0)
  const answered = client.query('select 42 as answer').then(({ rows }) => rows)
  await eventually(() => proxy.connections.length === 1)
  await put({ users: [{ db_user: role, db_password: 'another' }] })
  proxy.heal()
  expect(await answered).toEqual([{ answer: 42 }])
  await sharedPostgres().query(`alter role "${role}" password '${password}'`)
})

test('RECONNECT replaces it', async () => {
  const { answered } = await waitingClient()
  const admin = await world.connect()
  await admin.query(`reconnect ${world.project.ref}`)
  await eventually(() => proxy.accepted === 2)
  proxy.heal()
  expect(await answered).toEqual([{ answer: 42 }])
})

test('PAUSE gives it up, and RESUME opens another', async () => {
  const { answered } = await waitingClient()
  const admin = await world.connect()
  await admin.query(`pause ${world.project.ref}`)
  expect(thePool().slots).toBe(0)
  expect(thePool().waiters).toBe(1)
  proxy.heal()
  await eventually(() => proxy.connections.length === 0)
  await admin.query(`resume ${world.project.ref}`)
  expect(await answered).toEqual([{ answer: 42 }])
})
