// Clients that leave in each phase of their work: what becomes of the server, and of the work.
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import {
  PooledPostgres,
  type PooledPostgresOptions,
  type Port,
} from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

async function start(options: PooledPostgresOptions = {}): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...options })
  await pooled.postgres.query('create table kit (tag text, n int)', undefined, pooled.database)
  await pooled.postgres.query(`grant all on kit to "${pooled.role}"`, undefined, pooled.database)
}

const pidOf = (client: RawClient) => pooled.value(client, 'select pg_backend_pid()')
const countOf = (client: RawClient) => pooled.value(client, 'select count(*) from kit')

/** How a client that has had enough goes away. */
const goings: Record<string, (client: RawClient) => Promise<void> | void> = {
  'with Terminate': (client) => client.terminate(),
  'with end-of-file': (client) => client.halfClose(),
  'with a reset': (client) => client.reset(),
}
const eachGoing = Object.entries(goings)
const ports: readonly Port[] = ['transaction', 'session']
const cases = ports.flatMap((port) => eachGoing.map(([how, go]) => [port, how, go] as const))

describe.each(cases)('%s port, a client that leaves %s', (port, _how, go) => {
  test('while idle leaves its server to the next', async () => {
    await start()
    const leaver = await pooled.client(port)
    const pid = await pidOf(leaver)
    await go(leaver)
    const next = await pooled.client(port)
    expect(await pidOf(next)).toBe(pid)
  })

  test.each([
    ['an open', 'begin; insert into kit values (1)', 'T'],
    ['a failed', 'begin; insert into kit values (1); select 1/0', 'E'],
  ])(
    'in %s transaction has it rolled back, and the server goes to the next',
    async (_what, sql, status) => {
      await start()
      const leaver = await pooled.client(port)
      const pid = await pidOf(leaver)
      await leaver.query(sql)
      const replies = await leaver.untilReady()
      expect(replies.at(-1)?.body.toString()).toBe(status)
      await go(leaver)
      const next = await pooled.client(port)
      expect(await countOf(next)).toBe('0')
      expect(await pidOf(next)).toBe(pid)
    },
  )

  test('in COPY FROM leaves no row behind, and no backend', async () => {
    await start()
    const leaver = await pooled.client(port)
    const pid = await pidOf(leaver)
    await leaver.query('copy kit from stdin')
    await leaver.untilType('G')
    await leaver.send(raw.copyData('a\t1\n'))
    await go(leaver)
    const next = await pooled.client(port)
    expect(await countOf(next)).toBe('0')
    expect(await pidOf(next)).not.toBe(pid)
  })

  test('behind a Parse and Bind without Sync takes them along', async () => {
    await start()
    const leaver = await pooled.client(port)
    await leaver.send(
      Buffer.concat([raw.parse('', "insert into kit values ('x', 1)"), raw.bind(), raw.execute()]),
    )
    await eventually(() => serversJoined() === 1)
    await go(leaver)
    const next = await pooled.client(port)
    expect(await countOf(next)).toBe('0')
  })
})

const unspoken = cases.filter(([, how]) => how !== 'with Terminate')

describe.each(unspoken)('%s port, a client that is gone %s', (port, _how, go) => {
  test('in the middle of a message leaves nothing that could be taken for its rest', async () => {
    await start()
    // A text that is too long to be waited for goes on as it comes.
    const whole = raw.query(`insert into kit values ('half', 1) --${' '.repeat(20_000)}`)
    // Five missing bytes would be those of a Terminate.
    for (const missing of [1, 5, 6, whole.length - 6]) {
      const leaver = await pooled.client(port)
      await leaver.send(whole.subarray(0, whole.length - missing))
      if (port === 'transaction') await eventually(() => serversJoined() === 1)
      await go(leaver)
      const next = await pooled.client(port)
      expect(await countOf(next)).toBe('0')
      await next.terminate()
      await next.readAll()
    }
  })

  test('in the middle of a header leaves the server as it was', async () => {
    await start()
    const leaver = await pooled.client(port)
    const pid = await pidOf(leaver)
    await leaver.send(raw.query('select 1').subarray(0, 3))
    await go(leaver)
    const next = await pooled.client(port)
    expect(await pidOf(next)).toBe(pid)
  })

  test('in the middle of COPY TO that it does not read has it cancelled', async () => {
    await start()
    const leaver = await pooled.client(port)
    const pid = await pidOf(leaver)
    await leaver.query(
      "copy (select repeat('x', 1000) from generate_series(1, 10000000)) to stdout",
    )
    await leaver.untilType('H')
    leaver.pauseReading()
    await pooled.running('generate_series')
    await go(leaver)
    leaver.close()
    const next = await pooled.client(port)
    expect(await pidOf(next)).not.toBe(pid)
    expect(
      await pooled.value(
        next,
        "select count(*) from pg_stat_activity where query like '%10000000%' and state = 'active' and pid <> pg_backend_pid() and usename = current_user",
      ),
    ).toBe('0')
  })
})

function serversJoined(): number {
  return [...pooled.pooler.plane.pools.entries()]
    .flatMap(({ pool }) => [...pool.servers])
    .filter(({ state }) => state === 'joined').length
}

describe.each(ports)('%s port', (port) => {
  test('what was sent before Terminate is done, though nobody reads the answer', async () => {
    await start()
    const leaver = await pooled.client(port)
    await leaver.send(
      Buffer.concat([
        raw.query("select pg_sleep(0.2); insert into kit values ('a', 1)"),
        raw.parse('', "insert into kit values ('b', 2)"),
        raw.bind(),
        raw.execute(),
        raw.sync(),
        raw.terminate(),
      ]),
    )
    leaver.halfClose()
    const next = await pooled.client(port)
    expect(await countOf(next)).toBe('2')
  })

  test.each([
    ['with a reset', (client: RawClient) => client.reset()],
    ['with end-of-file', (client: RawClient) => client.halfClose()],
  ])('a query is cancelled when its client is gone %s', async (_how, go) => {
    await start()
    const leaver = await pooled.client(port)
    await leaver.query("select pg_sleep(600), 'long'")
    const { pid } = await pooled.running('long')
    go(leaver)
    await eventually(async () => (await pooled.backends()).every((one) => one.pid !== pid))
    const next = await pooled.client(port)
    expect(await pooled.value(next, 'select 1')).toBe('1')
  })

  test('the replies of one client never reach the next', async () => {
    await start()
    for (let round = 0; round < 10; round += 1) {
      const leaver = await pooled.client(port)
      await leaver.send(
        Buffer.concat([
          raw.query(`select 'of the leaver', n from generate_series(1, ${round * 1000}) n`),
          raw.query("select 'of the leaver'"),
        ]),
      )
      await leaver.untilType('T')
      leaver.reset()
      const next = await pooled.client(port)
      await next.query(`select 'of the next', ${round}`)
      expect(rowsOf(await next.untilReady())).toEqual([['of the next', String(round)]])
      next.reset()
    }
  })

  test('what comes before a message that there is not is done and answered, and then the client is told', async () => {
    await start()
    const client = await pooled.client(port)
    const pid = await pidOf(client)
    await client.send(
      Buffer.concat([
        raw.query("insert into kit values ('a', 1)"),
        raw.message('y', Buffer.from('?')),
      ]),
    )
    const replies = await client.readAll()
    expect(typesOf(replies)).toBe('CZE')
    expect(errorFields(replies[2]?.body ?? Buffer.alloc(0))).toMatchObject({
      S: 'FATAL',
      C: '08P01',
    })
    const next = await pooled.client(port)
    expect(await pidOf(next)).toBe(pid)
    expect(await countOf(next)).toBe('1')
  })

  test.each([
    ['a length below 4', raw.messageHeader('Q', 3)],
    ['a length that no server takes', raw.messageHeader('Q', 0x7fff_ffff)],
    ['a negative length', raw.messageHeader('d', -1)],
    ['a startup message', raw.startupMessage({ user: 'x' })],
  ])('%s is a FATAL of its own and poisons no server', async (_what, bytes) => {
    await start()
    const client = await pooled.client(port)
    const pid = await pidOf(client)
    await client.send(bytes)
    const replies = await client.readAll()
    expect(typesOf(replies)).toBe('E')
    expect(errorFields(replies[0]?.body ?? Buffer.alloc(0))).toMatchObject({
      S: 'FATAL',
      C: '08P01',
    })
    const next = await pooled.client(port)
    expect(await pidOf(next)).toBe(pid)
  })

  test('a Query in the middle of COPY FROM ends the connection as in Postgres, and no row stays', async () => {
    await start()
    const client = await pooled.client(port)
    await client.query('copy kit from stdin')
    await client.untilType('G')
    await client.send(Buffer.concat([raw.copyData('a\t1\n'), raw.query('select 1')]))
    const replies = await client.readAll()
    expect(replies.map(({ body }) => errorFields(body).C)).toEqual(['08P01', '08P01'])
    const next = await pooled.client(port)
    expect(await countOf(next)).toBe('0')
  })
})
