import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import type { FaultConnection } from '../../support/fault-connection.ts'
import { FaultProxy } from '../../support/fault-proxy.ts'
import { ModelServer } from '../../support/model-server.ts'
import { sql } from '../../support/model-statements.ts'
import { RawClient } from '../../support/raw-client.ts'
import { rowsOf, typesOf } from '../../support/raw-replies.ts'
import { runReleaseRule } from '../../support/release-rule.ts'
import { freshSeed, SeededRandom, withSeed } from '../../support/seeded-random.ts'
import { oneByteEach } from '../../support/segments.ts'

let server: ModelServer
let proxy: FaultProxy
const clients: RawClient[] = []
beforeEach(async () => {
  server = await ModelServer.start({ random: new SeededRandom(1) })
  proxy = await FaultProxy.start({ port: server.port })
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await proxy.stop()
  await server.stop()
})

async function logIn(waitMs = 5000): Promise<RawClient> {
  const client = await RawClient.loggedIn({ port: proxy.port, user: 'someone', waitMs })
  clients.push(client)
  return client
}

const onlyConnection = (): FaultConnection => {
  const [connection, ...more] = proxy.connections
  if (connection === undefined || more.length > 0) throw new Error('not one connection')
  return connection
}

async function ask(client: RawClient, tag: string): Promise<unknown> {
  await client.query(sql.rows(tag, 1))
  return rowsOf(await client.untilReady())
}

describe('fault proxy', () => {
  test('without a fault nothing is changed, however clients leave', async () => {
    await withSeed(freshSeed(), async (random) => {
      const target = { port: proxy.port, user: 'someone' }
      await runReleaseRule({ target, random, clients: 4, rounds: 4, turns: 4 })
      expect(proxy.accepted).toBe(16)
      await eventually(() => proxy.connections.length === 0)
      await eventually(() => server.auditor.openConnections === 0)
      server.auditor.assertClean()
    })
  })

  test('bytes that are cut and late arrive whole', async () => {
    proxy.faults.segmentation = oneByteEach
    proxy.faults.delayMs = 5
    expect(await ask(await logIn(), 'c1.1')).toEqual([['c1.1', '1']])
  })

  test.each(['toServer', 'toClient'] as const)(
    'a stall %s holds bytes until it is healed',
    async (way) => {
      const client = await logIn()
      proxy.stall(way)
      await client.query(sql.rows('c1.1', 1))
      await eventually(() => (way === 'toServer' ? true : server.auditor.periods === 1))
      const other = await RawClient.connect({ port: server.port })
      clients.push(other)
      await other.login({ user: 'direct' })
      expect(client.pending()).toEqual([])
      expect(server.auditor.periods).toBe(way === 'toServer' ? 0 : 1)
      proxy.heal()
      expect(rowsOf(await client.untilReady())).toEqual([['c1.1', '1']])
    },
  )

  test('swallowed bytes and ends are gone, and neither side hears of it', async () => {
    const client = await logIn(50)
    proxy.swallow('toServer', 'toClient')
    await client.query(sql.rows('c1.1', 1))
    await expect(client.next()).rejects.toThrow('stream open')
    client.close()
    proxy.heal()
    expect(server.auditor.openConnections).toBe(1)
    expect(server.auditor.periods).toBe(0)
  })

  test('a reset reaches both sides', async () => {
    const client = await logIn()
    proxy.resetAll()
    await client.readAll()
    expect(client.end).toBe('reset')
    await eventually(() => server.auditor.openConnections === 0)
  })

  test.each(['client', 'server'] as const)(
    'a reset of the %s alone leaves the other side',
    async (side) => {
      const client = await logIn()
      onlyConnection().resetSide(side)
      if (side === 'client') await client.readAll()
      else await eventually(() => server.auditor.openConnections === 0)
      expect(client.end).toBe(side === 'client' ? 'reset' : 'open')
      expect(server.auditor.openConnections).toBe(side === 'client' ? 1 : 0)
    },
  )

  test.each(['fin', 'reset'] as const)(
    'the connection ends by %s behind so many bytes',
    async (cut) => {
      const client = await logIn()
      const before = onlyConnection().forwarded.toClient
      onlyConnection().cutAfter('toClient', 40, cut)
      await client.query(sql.rows('c1.1', 9))
      const connection = onlyConnection()
      await client.readAll()
      expect(client.end).toBe(cut)
      expect(connection.forwarded.toClient - before).toBe(40)
    },
  )

  test('a message of which the server gets only a part is never answered', async () => {
    const client = await logIn()
    onlyConnection().cutAfter('toServer', 10, 'fin')
    await client.query(sql.insert('c1.1'))
    expect(await client.readAll()).toEqual([])
    await eventually(() => server.auditor.openConnections === 0)
    expect(server.auditor.periods).toBe(0)
  })

  test('new connections go to another server, old ones stay', async () => {
    const other = await ModelServer.start({ random: new SeededRandom(2) })
    try {
      const first = await logIn()
      proxy.retarget(other.port)
      await logIn()
      expect(await ask(first, 'c1.1')).toEqual([['c1.1', '1']])
      expect(server.auditor.openConnections).toBe(1)
      expect(other.auditor.openConnections).toBe(1)
    } finally {
      await other.stop()
    }
  })

  test('refuses and resets new connections on command, and serves again on the same port', async () => {
    const { port } = proxy
    const first = await logIn()
    proxy.closePort()
    await expect(logIn()).rejects.toThrow('stream reset')
    await proxy.openPort()
    expect(proxy.port).toBe(port)
    proxy.resetNew()
    await expect(logIn()).rejects.toThrow()
    proxy.heal()
    await logIn()
    await first.query(sql.begin())
    expect(typesOf(await first.untilReady())).toBe('CZ')
  })

  test('a target that is down shows as a reset', async () => {
    await server.stop()
    await expect(logIn()).rejects.toThrow('stream reset')
    server = await ModelServer.start({ random: new SeededRandom(1) })
  })
})
