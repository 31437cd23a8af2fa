// LISTEN and NOTIFY in transaction mode under load, at limits, and where the shared connection fails.
import { afterEach, describe, expect, test } from 'vitest'
import { PoolerError } from '../../shared/errors.ts'
import { eventually } from '../support/eventually.ts'
import { allMoved, hubOf, Listener, sharedBackends } from '../support/listeners.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

async function start(options: PooledPostgresOptions = {}): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), options)
}

const listener = () => Listener.start(pooled)

describe('nothing is missed or told twice', () => {
  test('while channels move, however fast others notify', async () => {
    await start({ poolSize: 3 })
    const b = await listener()
    let last = 0
    let isOver = false
    const storm = (async () => {
      while (!isOver) await b.run(`notify news, '${last++}'`)
    })()
    for (let round = 0; round < 25; round++) {
      const a = await listener()
      await a.run('listen news')
      await a.run(`notify news, 'own ${round}'`)
      const seen = last
      await eventually(() => a.payloads.includes(String(seen + 20)))
      const numbers = a.payloads.filter((payload) => !payload.startsWith('own')).map(Number)
      const first = numbers[0] as number
      expect(numbers).toEqual(numbers.map((_, index) => first + index))
      expect(a.payloads.filter((payload) => payload === `own ${round}`)).toHaveLength(1)
      expect(a.told.find(({ payload }) => payload === `own ${round}`)?.processId).toBe(a.processId)
      a.raw.close()
    }
    isOver = true
    await storm
  })

  test('what is visible at the end of the LISTEN is the last that is not notified', async () => {
    await start({ poolSize: 3 })
    const b = await listener()
    await b.run('create table t (n int)')
    let isOver = false
    let last = 0
    const storm = (async () => {
      for (; !isOver; last++)
        await b.run(`begin; insert into t values (${last}); notify t, '${last}'; commit`)
    })()
    for (let round = 0; round < 15; round++) {
      const a = await listener()
      // In one go: the SELECT does not wait for any answer.
      await a.raw.send(Buffer.concat([raw.query('listen t'), raw.query('select max(n) from t')]))
      const replies = await a.raw.untilReadies(2)
      const row = replies.find(({ type }) => type === 'D') as raw.RawMessage
      const max = Number(row.body.toString('utf8', 6))
      await eventually(() => a.payloads.includes(String(max + 10)))
      const numbers = a.payloads.map(Number)
      expect(numbers[0]).toBeLessThanOrEqual(max + 1)
      expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] as number) + index))
      a.raw.close()
    }
    isOver = true
    await storm
  })
})

describe('many', () => {
  test('clients of one channel are all told, and hold no server', async () => {
    await start({ poolSize: 2 })
    const clients = await Promise.all(Array.from({ length: 60 }, listener))
    await Promise.all(clients.map((one) => one.run('listen news')))
    await allMoved(pooled)
    expect([hubOf(pooled).clients, hubOf(pooled).channels]).toEqual([60, 1])
    const [first] = clients as [Listener]
    await first.run("notify news, 'all'")
    for (const one of clients) await one.hears('all')
    expect((await sharedBackends(pooled)).length).toBe(1)
  })

  test('channels beyond what is shared keep the client on its server', async () => {
    await start({ poolSize: 2 })
    const a = await listener()
    const b = await listener()
    const channels = Array.from({ length: 201 }, (_, index) => `c${index}`)
    await a.run(channels.map((channel) => `listen ${channel}`).join(';'))
    await b.run("notify c0, 'first'; notify c200, 'last'")
    await a.hears('first', 'last')
    expect(hubOf(pooled).clients).toBe(0)
    await a.run('unlisten c200')
    await eventually(() => hubOf(pooled).channels === 200)
    await allMoved(pooled)
    await b.run("notify c199, 'shared'; notify c200, 'no'")
    await a.hears('first', 'last', 'shared')
  })
})

describe('a client that does not take its notifications', () => {
  test('in a transaction is closed beyond the limit, with an error', async () => {
    await start({ config: { clientNotificationBytesMax: 20_000 } })
    const a = await listener()
    const b = await listener()
    await a.run('listen news')
    await allMoved(pooled)
    await a.run('begin')
    for (let round = 0; round < 3; round++)
      await b.run(`notify news, '${round}${'x'.repeat(7000)}'`)
    const messages = await a.raw.readAll()
    expect(typesOf(messages)).toBe('E')
    expect(errorFields(messages[0]?.body as Buffer)).toMatchObject({ S: 'FATAL', C: '53400' })
    expect(hubOf(pooled).clients).toBe(0)
    await b.run("notify news, 'nobody'")
  })

  test('that stops reading is closed, and holds up nobody', async () => {
    await start({ config: { clientNotificationBytesMax: 20_000 } })
    const a = await listener()
    const witness = await listener()
    const b = await listener()
    for (const one of [a, witness]) await one.run('listen news')
    await allMoved(pooled)
    a.raw.pauseReading()
    let sent = 0
    await eventually(async () => {
      const some = Array.from({ length: 100 }, () => `notify news, '${sent++}${'x'.repeat(7900)}'`)
      await b.run(some.join(';'))
      return hubOf(pooled).clients === 1
    })
    await eventually(() => witness.payloads.length === sent)
  })
})

describe('the shared connection', () => {
  test('lost, is opened again and listens to everything; clients stay and are told of the gap', async () => {
    await start({ poolSize: 1 })
    const a = await listener()
    const b = await listener()
    await a.run('listen x; listen y')
    await allMoved(pooled)
    for (let round = 0; round < 3; round++) {
      const [shared] = await sharedBackends(pooled)
      await pooled.postgres.query('select pg_terminate_backend($1)', [shared?.pid])
      await eventually(() => a.raw.received.filter(({ type }) => type === 'N').length === round + 1)
      await b.run(`notify x, 'x${round}'; notify y, 'y${round}'`)
    }
    await a.hears('x0', 'y0', 'x1', 'y1', 'x2', 'y2')
    expect(await a.run("notify x, 'own'")).toBe('CAZ')
    expect(a.told.at(-1)?.processId).toBe(a.processId)
    expect((await sharedBackends(pooled)).length).toBe(1)
  })

  test('that cannot be had leaves its clients on their servers, until it can', async () => {
    await start({ poolSize: 2 })
    const a = await listener()
    const b = await listener()
    const { postgres, role } = pooled
    for (const one of [a, b]) await one.run('begin')
    for (const one of [a, b]) await one.run('commit')
    await postgres.query(`alter role "${role}" connection limit 2`)
    await a.run('listen news')
    await b.run("notify news, 'on its server'")
    await a.hears('on its server')
    expect(hubOf(pooled).isConnected).toBe(false)
    await postgres.query(`alter role "${role}" connection limit -1`)
    await eventually(() => hubOf(pooled).isConnected)
    await allMoved(pooled)
    await b.run("notify news, 'shared'")
    await a.hears('on its server', 'shared')
  })
})

describe('an end', () => {
  test('of the project closes its listeners and the connection, and a new one listens anew', async () => {
    await start()
    const a = await listener()
    await a.run('listen news')
    await allMoved(pooled)
    const hub = hubOf(pooled)
    await pooled.pooler.plane.endClientsOf(
      pooled.pooler.tenant.ref,
      new PoolerError('EBANNED', { values: { ref: 'ref', reason: 'unpaid' } }),
    )
    expect(typesOf(await a.raw.readAll())).toBe('E')
    expect([hub.clients, hub.channels, hub.isConnected]).toEqual([0, 0, false])
    await eventually(async () => (await pooled.backends()).length === 0)
    const b = await listener()
    expect(await b.run("listen news; notify news, 'again'")).toBe('CCAZ')
    await allMoved(pooled)
    expect(hubOf(pooled)).not.toBe(hub)
  })

  test('of the project’s old address replaces the connection, and its clients stay', async () => {
    await start()
    const a = await listener()
    const b = await listener()
    await a.run('listen news')
    await allMoved(pooled)
    const [before] = await sharedBackends(pooled)
    pooled.pooler.plane.pools.retireServersOf(pooled.pooler.tenant.ref)
    await eventually(() => a.raw.received.some(({ type }) => type === 'N'))
    const [after] = await sharedBackends(pooled)
    expect(after?.pid).not.toBe(before?.pid)
    await b.run("notify news, 'there'")
    await a.hears('there')
  })
})

describe('what does not cross', () => {
  test('a notification of another database, and one on the session port is as before', async () => {
    await start()
    const a = await listener()
    const session = await Listener.start(pooled, 'session')
    for (const one of [a, session]) await one.run('listen news')
    await allMovedButSession()
    await pooled.postgres.query("notify news, 'another database'")
    await a.run("notify news, 'ours'")
    await a.hears('ours')
    await session.hears('ours')
    expect(await session.run("notify news, 'its own'")).toBe('CAZ')
    await a.hears('ours', 'its own')
    expect((await sharedBackends(pooled)).length).toBe(1)
  })

  async function allMovedButSession(): Promise<void> {
    await eventually(() =>
      [...pooled.pooler.plane.pools.entries()]
        .filter(({ key }) => key.mode === 'transaction')
        .every(({ pool }) => [...pool.servers].every(({ state }) => state === 'idle')),
    )
  }
})
