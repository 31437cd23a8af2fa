// What a client is told, and what it is spared, when servers are taken, gone or never come.
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import {
  PooledPostgres,
  type PooledPostgresOptions,
  type Port,
} from '../support/pooled-postgres.ts'
import { sharedPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function start(options: PooledPostgresOptions = {}, postgres = sharedPostgres()) {
  pooled = await PooledPostgres.start(postgres, { poolSize: 1, ...options })
  closers.push(() => pooled.stop())
}

/** A Postgres that may be hurt. */
async function startOnOwn(options: PooledPostgresOptions = {}): Promise<TestPostgres> {
  const own = await startPostgres()
  closers.push(() => own.stop('immediate'))
  pooled = await PooledPostgres.start(own, { poolSize: 1, ...options })
  closers.push(async () => {
    if (!own.isRunning) await own.restart()
    await pooled.stop()
  })
  return own
}

async function run(client: RawClient, text: string): Promise<raw.RawMessage[]> {
  await client.query(text)
  return client.untilReady()
}

const onlyPool = () => {
  const [entry] = pooled.pooler.plane.pools.entries()
  if (entry === undefined) throw new Error('there is no pool')
  return entry.pool
}
const fieldsOf = (replies: readonly raw.RawMessage[]) =>
  errorFields(replies.find(({ type }) => type === 'E')?.body ?? Buffer.alloc(0))
const ports: readonly Port[] = ['transaction', 'session']

describe('a client that gets no server in time', () => {
  test('is told how long, of how many, and how many others wait; and can go on', async () => {
    await start()
    const holder = await pooled.client('transaction')
    await run(holder, 'begin')
    const client = await pooled.client('transaction')
    pooled.changeRole({ checkoutTimeoutMs: 300 })
    const replies = await run(client, 'select 1')
    expect(typesOf(replies)).toBe('EZ')
    expect(fieldsOf(replies)).toMatchObject({ S: 'ERROR', C: '53300' })
    expect(fieldsOf(replies).M).toMatch(/^\(ECHECKOUTTIMEOUT\) .*300 ms.*\b1\b/)
    expect(replies[1]?.body.toString()).toBe('I')
    await run(holder, 'commit')
    expect(await pooled.value(client, 'select 2')).toBe('2')
  })

  test('has each message that it sent answered once, and late ones thrown away', async () => {
    await start()
    const holder = await pooled.client('transaction')
    await run(holder, 'begin')
    const client = await pooled.client('transaction')
    pooled.changeRole({ checkoutTimeoutMs: 200 })
    const batch = [raw.parse('', 'select 1'), raw.bind(), raw.execute(), raw.sync()]
    await client.send(
      Buffer.concat([
        raw.query('select 1'),
        ...batch,
        raw.copyDone(),
        raw.query('copy x from stdin'),
      ]),
    )
    expect(typesOf(await client.untilReadies(3))).toBe('EZEZEZ')
    await client.send(Buffer.concat([raw.copyData('late\n'), raw.copyDone(), raw.flush()]))
    await run(holder, 'commit')
    expect(typesOf(await run(client, 'select 1'))).toBe('TDCZ')
    expect(client.pending()).toEqual([])
  })

  test('whose batch is cut by the refusal is answered up to its own Sync', async () => {
    await start()
    const holder = await pooled.client('transaction')
    await run(holder, 'begin')
    const client = await pooled.client('transaction')
    pooled.changeRole({ checkoutTimeoutMs: 200 })
    await client.send(Buffer.concat([raw.parse('', 'select 1'), raw.flush()]))
    await client.expect('E')
    await run(holder, 'commit')
    await client.send(Buffer.concat([raw.bind(), raw.execute(), raw.query('select 1'), raw.sync()]))
    expect(typesOf(await client.untilReady())).toBe('Z')
    expect(typesOf(await run(client, 'select 1'))).toBe('TDCZ')
  })

  test('hears the true cause when the upstream refuses connections', async () => {
    const own = await startOnOwn()
    const client = await pooled.client('transaction')
    expect(await pooled.value(client, 'select 1')).toBe('1')
    await own.halt()
    pooled.changeRole({ checkoutTimeoutMs: 400 })
    const replies = await run(client, 'select 1')
    expect(fieldsOf(replies)).toMatchObject({ S: 'ERROR', C: '53300' })
    expect(fieldsOf(replies).D).toMatch(/ECONNREFUSED|refused/)
    await expect(pooled.client('transaction', { settings: { work_mem: '3MB' } })).rejects.toThrow(
      'ECHECKOUTTIMEOUT',
    )
  })

  test('hears it when Postgres has no connection to spare', async () => {
    await start({ poolSize: 2, attributes: 'connection limit 1' })
    const [one, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
    await run(one, 'begin')
    pooled.changeRole({ checkoutTimeoutMs: 500 })
    const replies = await run(other, 'select 1')
    expect(fieldsOf(replies)).toMatchObject({ S: 'ERROR', C: '53300' })
    expect(fieldsOf(replies).D).toMatch(/too many connections for role/)
    await run(one, 'commit')
    expect(await pooled.value(other, 'select 1')).toBe('1')
  })
})

describe('a password that Postgres does not take any more, while servers are there', () => {
  async function oneServerBusy(): Promise<[RawClient, RawClient]> {
    await start({ poolSize: 2 })
    const [holder, waiter] = [
      await pooled.client('transaction'),
      await pooled.client('transaction'),
    ]
    await run(holder, 'begin')
    const { role, password, postgres } = pooled
    await postgres.query(`alter role "${role}" password 'another'`)
    closers.push(
      async () => void (await postgres.query(`alter role "${role}" password '${password}'`)),
    )
    return [holder, waiter]
  }

  test('keeps whoever waits in line for these', async () => {
    const [holder, waiter] = await oneServerBusy()
    const { counters } = onlyPool()
    await waiter.query('select 42')
    await eventually(() => counters.serverOpenFailures > 0)
    await run(holder, 'commit')
    expect(rowsOf(await waiter.untilReady())).toEqual([['42']])
  })

  test('is told with the time limit, or when the last of them goes', async () => {
    const [holder, waiter] = await oneServerBusy()
    pooled.changeRole({ checkoutTimeoutMs: 1000 })
    const timedOut = await run(waiter, 'select 1')
    expect(fieldsOf(timedOut)).toMatchObject({ S: 'ERROR', C: '53300' })
    expect(fieldsOf(timedOut).D).toMatch(/password authentication failed/)
    pooled.changeRole({ checkoutTimeoutMs: 60_000 })
    await waiter.query('select 1')
    await eventually(() => onlyPool().waiters === 1)
    onlyPool().retireServers()
    expect(fieldsOf(await waiter.untilReady()).M).toMatch(/EUPSTREAMAUTH/)
    await run(holder, 'commit')
  })
})

describe('what waiting cannot help is told at once', () => {
  const once = async (client: () => Promise<RawClient>) =>
    client().then(
      () => ({}) as Record<string, string>,
      (error: { fields: Record<string, string> }) => error.fields,
    )

  test('to all who wait: a password that Postgres does not take', async () => {
    await start()
    await pooled.postgres.query(`alter role "${pooled.role}" password 'another'`)
    const refusals = await Promise.all([
      once(() => pooled.client('transaction')),
      once(() => pooled.client('transaction')),
      once(() => pooled.client('session')),
    ])
    for (const fields of refusals) {
      expect(fields).toMatchObject({ S: 'FATAL', C: '08004' })
      expect(fields.M).toMatch(/^\(EUPSTREAMAUTH\)/)
    }
    await pooled.postgres.query(`alter role "${pooled.role}" password '${pooled.password}'`)
    const client = await eventually(() => pooled.client('transaction'))
    expect(await pooled.value(client, 'select 1')).toBe('1')
  })

  test.each(ports)(
    'at the %s port: a database that there is not, in Postgres’ words',
    async (port) => {
      await start()
      expect(await once(() => pooled.client(port, { database: 'no such' }))).toMatchObject({
        S: 'FATAL',
        C: '3D000',
        M: 'database "no such" does not exist',
      })
    },
  )
})

describe('an upstream that goes and comes', () => {
  test('costs an idle client nothing', async () => {
    const own = await startOnOwn({ poolSize: 2 })
    const clients = await Promise.all([1, 2, 3].map(() => pooled.client('transaction')))
    for (const client of clients) await run(client, 'select 1')
    await own.restart('fast')
    for (const client of clients) {
      expect(client.end).toBe('open')
      expect(client.pending()).toEqual([])
      expect(await pooled.value(client, 'select 1')).toBe('1')
    }
  })

  test('has logins and transactions wait until it is there', async () => {
    const own = await startOnOwn()
    const client = await pooled.client('transaction')
    await run(client, 'select 1')
    await own.halt()
    await client.query("select 'after'")
    const login = pooled.client('session')
    await eventually(() =>
      [...pooled.pooler.plane.pools.entries()].every(({ pool }) => pool.waiters === 1),
    )
    await eventually(() => onlyPool().backoffMs > 0)
    await own.restart()
    expect(rowsOf(await client.untilReady())).toEqual([['after']])
    expect(await pooled.value(await login, 'select 1')).toBe('1')
  })

  test('after a crash takes no further client along than those who were at work', async () => {
    const own = await startOnOwn({ poolSize: 3 })
    const idle = await pooled.client('transaction')
    await run(idle, 'select 1')
    const [one, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
    await run(one, 'begin')
    await other.query("select pg_sleep(600), 'victim'")
    const { pid } = await pooled.running('victim')
    own.kill9Backend(pid)
    for (const client of [one, other]) {
      const replies = await client.readAll()
      expect(typesOf(replies.filter(({ type }) => type !== 'N'))).toBe('E')
      expect(fieldsOf(replies)).toMatchObject({ S: 'FATAL' })
    }
    await eventually(async () => (await run(idle, 'select 1').catch(() => [])).length > 0)
    expect(idle.end).toBe('open')
    expect(await pooled.value(idle, 'select 1')).toBe('1')
  })

  test('stops the pooler from stopping no longer than a moment', async () => {
    const own = await startOnOwn()
    const client = await pooled.client('transaction')
    await run(client, 'select 1')
    await own.halt()
    await client.query('select 1')
    await eventually(() => onlyPool().backoffMs > 0)
    const [entry] = pooled.pooler.plane.pools.entries()
    await pooled.pooler.stop()
    expect(entry?.pool.slots).toBe(0)
    expect(fieldsOf(await client.readAll())).toMatchObject({ S: 'FATAL', C: '57P03' })
  })
})

describe.each(ports)('%s port, a backend that is terminated', (port) => {
  const terminate = (pid: number | string | null) =>
    pooled.postgres.query('select pg_terminate_backend($1::int)', [pid])

  test('in the middle of a query tells its client once, in Postgres’ words', async () => {
    await start()
    const client = await pooled.client(port)
    await client.query("select pg_sleep(600), 'victim'")
    const { pid } = await pooled.running('victim')
    await terminate(pid)
    const replies = await client.readAll()
    expect(typesOf(replies)).toMatch(/^T?E$/)
    expect(fieldsOf(replies)).toMatchObject({ S: 'FATAL', C: '57P01' })
    expect(fieldsOf(replies).M).toBe('terminating connection due to administrator command')
    const next = await pooled.client(port)
    expect(await pooled.value(next, 'select 1')).toBe('1')
  })

  test('in an idle transaction tells its client at once', async () => {
    await start()
    const client = await pooled.client(port)
    await run(client, 'begin')
    const [backend] = await pooled.backends()
    await terminate(backend?.pid ?? null)
    const replies = await client.readAll()
    expect(typesOf(replies)).toBe('E')
    expect(fieldsOf(replies)).toMatchObject({ S: 'FATAL', C: '57P01' })
  })

  test('while its client waits in COPY tells it once', async () => {
    await start()
    const client = await pooled.client(port)
    await run(client, 'create table kit (n int)')
    await client.query('copy kit from stdin')
    await client.untilType('G')
    const [backend] = await pooled.backends()
    await terminate(backend?.pid ?? null)
    const replies = await client.readAll()
    expect(typesOf(replies)).toBe('E')
    expect(fieldsOf(replies)).toMatchObject({ S: 'FATAL', C: '57P01' })
  })

  test('with a pipeline outstanding says FATAL once and nothing behind it', async () => {
    await start()
    const client = await pooled.client(port)
    const batch = [raw.parse('', 'select 1'), raw.bind(), raw.execute(), raw.sync()]
    await client.send(
      Buffer.concat([raw.query("select pg_sleep(600), 'victim'"), ...batch, raw.query('select 1')]),
    )
    const { pid } = await pooled.running('victim')
    await terminate(pid)
    expect(typesOf(await client.readAll())).toMatch(/^T?E$/)
  })

  test('by its own idle-in-transaction limit passes that on', async () => {
    await start()
    const client = await pooled.client(port)
    await run(client, "begin; set local idle_in_transaction_session_timeout to '50ms'")
    const replies = await client.readAll()
    expect(typesOf(replies)).toBe('E')
    expect(fieldsOf(replies)).toMatchObject({ S: 'FATAL', C: '25P03' })
  })
})

test('a backend that is terminated in the pool is nobody’s loss', async () => {
  await start({ poolSize: 2 })
  const [one, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await run(one, 'begin')
  await run(other, 'select 1')
  await run(one, 'commit')
  for (const { pid } of await pooled.backends()) {
    await pooled.postgres.query('select pg_terminate_backend($1::int)', [pid])
  }
  await eventually(() => [...onlyPool().servers].length === 0)
  for (const client of [one, other]) {
    expect(await pooled.value(client, 'select 1')).toBe('1')
    expect(client.pending()).toEqual([])
  }
})
