// QUERY_WAIT_NOTIFY_MS: a client that waits long for a server is told so, and where it stands.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
let holder: RawClient
beforeEach(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), {
    poolSize: 1,
    config: { queryWaitNotifyMs: 1 },
    tenant: { maxServerConnections: 1 },
  })
  holder = await pooled.client('transaction')
  await holder.query('begin')
  await holder.untilReady()
})
afterEach(() => pooled.stop())

const waiters = () =>
  [...pooled.pooler.plane.pools.entries()].reduce((sum, { pool }) => sum + pool.waiters, 0)

test('each who waits is told its place between two messages, and then served as ever', async () => {
  const clients = [await pooled.client('transaction'), await pooled.client('transaction')]
  for (const [index, client] of clients.entries()) {
    await client.query('select 1')
    await eventually(() => waiters() === index + 1)
  }
  for (const [index, client] of clients.entries()) {
    const { body } = await client.next()
    expect(errorFields(body)).toMatchObject({ S: 'NOTICE', C: '00000' })
    expect(errorFields(body).M).toMatch(`place ${index + 1} of`)
    expect(errorFields(body).M).toMatch('pool size 1')
  }
  await holder.query('commit')
  for (const client of clients) expect(typesOf(await client.untilReady())).toBe('TDCZ')
})

test('a login that waits is told behind AuthenticationOk, and which limit is in the way', async () => {
  const login = pooled.login('session')
  await eventually(() => waiters() === 1)
  const [waiting] = [...pooled.pooler.plane.pools.entries()].filter(
    ({ key }) => key.mode === 'session',
  )
  // The tick after the next has come.
  await eventually(() => (waiting?.pool.oldestWaiterMs ?? 0) > 2000)
  await holder.query('commit')
  const { messages } = (await login).login
  expect(typesOf(messages)).toMatch(/^R+N[^R]*Z$/)
  const notice = messages.find(({ type }) => type === 'N')
  expect(errorFields(notice?.body ?? Buffer.alloc(0)).H).toMatch('max_server_connections')
})
