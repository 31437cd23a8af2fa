// A connection to Postgres that is open and carries nothing any more, as behind a firewall that has
// forgotten it; and long queries, which look the same from here.
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres, type Port } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'
import { StallingProxy } from '../support/stalling-proxy.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function start() {
  const postgres = sharedPostgres()
  const proxy = await StallingProxy.open(postgres.host, postgres.port)
  closers.push(() => proxy.close())
  const pooled = await PooledPostgres.start(postgres, {
    upstreamPort: proxy.port,
    config: { serverSilenceProbeMs: 2000 },
  })
  closers.push(() => pooled.stop())
  return { proxy, pooled }
}

const ports: readonly Port[] = ['transaction', 'session']
describe.each(ports)('%s port', (port) => {
  test('a query that is swallowed ends its client with ESERVERLOST, and Postgres’ side too', async () => {
    const { proxy, pooled } = await start()
    const client = await pooled.client(port)
    await client.query('begin')
    await client.untilReady()
    const [before] = await pooled.backends()
    proxy.stall()
    await client.query('select 1')
    const replies = await client.readAll()
    expect(typesOf(replies)).toBe('E')
    const fields = errorFields(replies[0]?.body ?? Buffer.alloc(0))
    expect(fields).toMatchObject({ S: 'FATAL', C: '08006' })
    // In the words of whichever end is heard of first: the proxy passes on that Postgres has gone.
    expect(fields.M).toMatch(/^\(ESERVERLOST\)/)
    await eventually(async () => (await pooled.backends()).every(({ pid }) => pid !== before?.pid))
    const next = await pooled.client(port)
    expect(await pooled.value(next, 'select 2')).toBe('2')
  })

  test('a Describe that waits for a lock is at work, though Postgres shows the state from before', async () => {
    const { proxy, pooled } = await start()
    const holder = await RawClient.loggedIn(pooled.direct())
    await holder.query('create table kit (n int)')
    await holder.untilReady()
    const client = await pooled.client(port)
    const asks = Buffer.concat([raw.describeMessage('statement', 's'), raw.sync()])
    await client.send(Buffer.concat([raw.parse('s', 'select n from kit'), asks]))
    expect(typesOf(await client.untilReady())).toBe('1tTZ')
    await holder.query('begin; lock table kit')
    await holder.untilReady()
    const before = proxy.seen
    await client.send(asks)
    // It is asked on a connection of its own, and again after a while.
    await eventually(() => proxy.seen > before + 1)
    expect(client.pending()).toEqual([])
    holder.close()
    expect(typesOf(await client.untilReady())).toBe('tTZ')
  })

  test('a long query is looked at, and left alone', async () => {
    const { proxy, pooled } = await start()
    const holder = await RawClient.loggedIn(pooled.direct())
    await holder.query('select pg_advisory_lock(77)')
    await holder.untilReady()
    const client = await pooled.client(port)
    expect(await pooled.value(client, 'select 1')).toBe('1')
    const before = proxy.seen
    await client.query("select pg_advisory_lock(77), 'slow'")
    // It is asked on a connection of its own, and again after a while.
    await eventually(() => proxy.seen > before + 1)
    expect(client.pending()).toEqual([])
    holder.close()
    expect(typesOf(await client.untilReady())).toBe('TDCZ')
  })
})

test('a host that is gone is noticed though nothing tells so', async () => {
  const { proxy, pooled } = await start()
  const client = await pooled.client('session')
  await client.query('begin')
  await client.untilReady()
  proxy.stall()
  proxy.refuse()
  await client.query('select 1')
  const replies = await client.readAll()
  expect(errorFields(replies[0]?.body ?? Buffer.alloc(0)).M).toMatch(/ESERVERLOST.*not reached/)
})
