// The two streams that tell a listening client in transaction mode, its server's and the shared connection's: where
// one is behind the other, is lost, or is to tell what the other did.
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { allMoved, hubOf, Listener, sharedBackends } from '../support/listeners.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { identifier, sharedPostgres, startPostgres } from '../support/postgres.ts'

let pooled: PooledPostgres
/** What else a test has started. */
let stop: () => Promise<void> = async () => {}
afterEach(async () => {
  await pooled.stop()
  await stop()
  stop = async () => {}
})

async function start(options: PooledPostgresOptions = {}): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), options)
}

const listener = () => Listener.start(pooled)

async function listening(...channels: string[]): Promise<Listener> {
  const one = await listener()
  await one.run(channels.map((channel) => `listen ${channel}`).join(';'))
  await allMoved(pooled)
  return one
}

async function loseShared(): Promise<void> {
  const [shared] = await sharedBackends(pooled)
  await pooled.postgres.query('select pg_terminate_backend($1)', [shared?.pid])
}

describe('what a client notifies itself', () => {
  test.each([
    [300, 7900],
    [30_000, 60],
  ])('is told in full and keeps it open: %i of %i bytes', async (count, bytes) => {
    await start()
    const a = await listening('news')
    const payload = `i || repeat('x', ${bytes})`
    const notify = `select count(pg_notify('news', ${payload})) from generate_series(1, ${count}) i`
    expect(await a.column(notify)).toEqual([String(count)])
    expect(a.told).toHaveLength(count)
    expect(new Set(a.payloads).size).toBe(count)
  })

  test('costs nothing while the shared connection cannot be had', async () => {
    await start({ poolSize: 2, config: { clientNotificationBytesMax: 20_000 } })
    const a = await listening('news')
    const { postgres, role } = pooled
    await postgres.query(`alter role ${identifier(role)} connection limit 1`)
    await loseShared()
    await eventually(() => !hubOf(pooled).isConnected)
    for (let n = 0; n < 40; n++) await a.run(`notify news, '${n}${'x'.repeat(1000)}'`)
    expect(a.told).toHaveLength(40)
  })

  test('is told once while the shared connection comes back', async () => {
    const proxy = await holdListen(sharedPostgres().port)
    stop = proxy.stop
    await start({ upstreamPort: proxy.port })
    const a = await listening('news')
    proxy.isHolding = true
    await loseShared()
    await eventually(() => proxy.held.length > 0)
    await a.run("notify news, 'own'")
    await eventually(() => Buffer.concat(proxy.held).includes('own'))
    proxy.release()
    await allMoved(pooled)
    // What others notify comes behind it.
    const b = await listener()
    await b.run("notify news, 'other'")
    await a.hears('own', 'other')
    expect(a.told[0]?.processId).toBe(a.processId)
  })
})

describe('what others notify in a transaction', () => {
  test.each([
    ['changes the encoding', 'set client_encoding to latin1'],
    ['listens to one channel too many', 'listen more'],
  ])('that %s is told behind it', async (_, sql) => {
    await start({ poolSize: 2 })
    const channels = Array.from({ length: 200 }, (_, index) => `c${index}`)
    const a = await listening(...channels)
    const witness = await listening('c0')
    const b = await listener()
    await a.run('begin')
    await a.run(sql)
    await b.run("notify c0, 'meanwhile'")
    await witness.hears('meanwhile')
    await a.run('commit')
    await b.run("notify c0, 'behind'")
    await a.hears('meanwhile', 'behind')
    await b.run("notify c0, 'later'")
    await a.hears('meanwhile', 'behind', 'later')
  })

  test('whose encoding comes back moves again', async () => {
    await start({ poolSize: 2 })
    const a = await listening('news')
    const b = await listener()
    await a.run('set client_encoding to latin1')
    await b.run("notify news, '1'")
    await a.hears('1')
    await eventually(() => hubOf(pooled).clients === 0)
    await a.run('reset client_encoding')
    await allMoved(pooled)
    await b.run("notify news, '2'")
    await a.hears('1', '2')
  })
})

test('a client that listens may ask while a NOTIFY of another waits in its COMMIT', async () => {
  const postgres = await startPostgres({
    settings: { synchronous_commit: 'on', max_wal_senders: '2', wal_level: 'replica' },
  })
  stop = () => postgres.stop()
  pooled = await PooledPostgres.start(postgres)
  // The shared connection is there already.
  await listening('other')
  const a = await listener()
  const b = await Listener.connect(pooled.direct())
  await b.run('create table t (n int)')
  await postgres.query("alter system set synchronous_standby_names = 'nobody'")
  await postgres.query('select pg_reload_conf()')
  // The checkpointer takes it up when it gets to it, and nobody waits before.
  let stuck: Promise<unknown> = Promise.resolve()
  for (let isThrough = true; isThrough; ) {
    isThrough = false
    await b.raw.query('begin; insert into t values (1); notify elsewhere; commit')
    stuck = b.raw.untilReady().then(() => {
      isThrough = true
    })
    await eventually(async () => {
      const waiting = "select from pg_stat_activity where wait_event = 'SyncRep'"
      return isThrough || (await postgres.query(waiting)).length === 1
    })
  }
  expect(await a.run('listen news')).toBe('CZ')
  expect(await a.column('select 1')).toEqual(['1'])
  await postgres.query('alter system reset synchronous_standby_names')
  await postgres.query('select pg_reload_conf()')
  await stuck
  await b.run("notify news, 'told'")
  await a.hears('told')
  b.raw.close()
})

/** A proxy that keeps, while it is to, what the connection that listens is answered. */
async function holdListen(port: number) {
  const sockets = new Set<Socket>()
  const proxy = {
    port: 0,
    isHolding: false,
    held: [] as Buffer[],
    release: () => {},
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    let mine: Buffer[] | null = null
    const ways = [
      [near, far],
      [far, near],
    ] as const
    for (const [one, other] of ways) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
    near.on('data', (bytes) => {
      if (proxy.isHolding && bytes.includes('LISTEN "latchkey_')) {
        mine = proxy.held
        proxy.release = () => {
          near.write(Buffer.concat(proxy.held))
          mine = null
        }
      }
      far.write(bytes)
    })
    far.on('data', (bytes) => {
      if (mine === null) near.write(bytes)
      else mine.push(bytes)
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (typeof address === 'object' && address !== null) proxy.port = address.port
  return proxy
}
