// Clients that write much and read late, and servers that read late: all replies come, complete and in
// order, and what is kept in between is bounded.
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres, type Port } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const MB = 1024 * 1024
/** More than what sockets and our own buffers hold together. */
const megabytes = 50 * Number(process.env.ROUNDS ?? 1)
const ports: readonly Port[] = ['transaction', 'session']

async function start(): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
}

const passed = () => {
  const [entry] = [...pooled.pooler.plane.pools.entries()]
  const { bytesFromClients = 0, bytesToClients = 0 } = entry?.pool.counters ?? {}
  return { bytesFromClients, bytesToClients }
}

/** Bytes that the process holds in either direction: what sockets have been given and have not taken. */
function held(): number {
  return [...pooled.pooler.plane.connections].reduce((sum, { session }) => {
    const relay = session?.relay
    if (relay == null) return sum
    return sum + relay.transport.untakenBytes + (relay.server?.transport.untakenBytes ?? 0)
  }, 0)
}

/** Waits until nothing moves any more: a full second without a byte is no measure of speed. */
async function untilStill(): Promise<void> {
  let last = ''
  await eventually(
    () => {
      const now = JSON.stringify(passed())
      const isStill = now === last
      last = now
      return isStill
    },
    { pollMs: 1000 },
  )
}

/** A few reads of the kernel's, and what it keeps in sockets itself. */
const heldMax = 2 * MB
const onTheWayMax = 24 * MB

describe.each(ports)('%s port', (port) => {
  test('queries written long before the first reply is read are all answered, in order', async () => {
    await start()
    const client = await pooled.client(port)
    client.pauseReading()
    const count = megabytes * 8
    const filler = 'x'.repeat(MB / 8)
    const sent = client.send(
      Buffer.concat(
        Array.from({ length: count }, (_, n) => {
          if (n % 3 === 0) return raw.query(`select ${n} as n -- ${filler}`)
          const parts = [
            raw.parse('', `select ${n}, length($1::text)`),
            raw.bind({ values: [filler] }),
          ]
          return Buffer.concat([...parts, raw.execute(), raw.flush(), raw.sync()])
        }),
      ),
    )
    await eventually(() => passed().bytesFromClients > count * (MB / 8))
    expect(held()).toBeLessThan(heldMax)
    client.resumeReading()
    await sent
    const rows = rowsOf(await client.untilReadies(count)).map(([n]) => Number(n))
    expect(rows).toEqual(Array.from({ length: count }, (_, n) => n))
    expect(client.pending()).toEqual([])
  })

  test.each([
    ['nothing open', 'select 1'],
    ['a transaction open', 'begin'],
  ])('a flood of small messages with %s is answered one by one', async (_what, first) => {
    await start()
    const client = await pooled.client(port)
    await client.query(first)
    await client.untilReady()
    client.pauseReading()
    const count = 300_000
    const sent = client.send(Buffer.concat(Array(count).fill(raw.sync())))
    await untilStill()
    expect(held()).toBeLessThan(heldMax)
    client.resumeReading()
    await sent
    expect(typesOf(await client.untilReadies(count))).toBe('Z'.repeat(count))
  })

  test('large replies that nobody reads stop their server, and all come in the end', async () => {
    await start()
    const client = await pooled.client(port)
    client.pauseReading()
    const count = megabytes * 4
    const bytes = MB / 4
    const sent = client.send(
      Buffer.concat(
        Array.from({ length: count }, (_, n) => {
          const sql = `select ${n} as n, repeat('y', ${bytes})`
          return n % 2 === 0
            ? raw.query(sql)
            : Buffer.concat([raw.parse('', sql), raw.bind(), raw.execute(), raw.sync()])
        }),
      ),
    )
    await untilStill()
    expect(passed().bytesToClients).toBeLessThan(onTheWayMax)
    expect(held()).toBeLessThan(heldMax)
    client.resumeReading()
    await sent
    const rows = rowsOf(await client.untilReadies(count))
    expect(rows.map(([n, text]) => [Number(n), text?.length])).toEqual(
      Array.from({ length: count }, (_, n) => [n, bytes]),
    )
  })

  test('COPY to a client that does not read waits for it', async () => {
    await start()
    const client = await pooled.client(port)
    const lines = megabytes * 16
    const sql = `copy (select repeat('z', ${MB / 16 - 1}) from generate_series(1, ${lines})) to stdout`
    client.pauseReading()
    await client.send(Buffer.concat([raw.query(sql), raw.query("select 'after'")]))
    await untilStill()
    expect(passed().bytesToClients).toBeLessThan(onTheWayMax)
    expect(held()).toBeLessThan(heldMax)
    client.resumeReading()
    const replies = await client.untilReadies(2)
    const data = replies.filter(({ type }) => type === 'd')
    expect(data.reduce((sum, { body }) => sum + body.length, 0)).toBe(lines * (MB / 16))
    expect(rowsOf(replies)).toEqual([['after']])
  })

  test('COPY from a client waits for a server that does not take it', async () => {
    await start()
    const { postgres, database, role } = pooled
    await postgres.query(
      `create table slow (t text); grant all on slow to "${role}"`,
      undefined,
      database,
    )
    const gate = 4711
    // Its first row waits for the lock, and Postgres reads no more meanwhile.
    await postgres.query(
      `create function wait() returns trigger language plpgsql as $$begin
         perform pg_advisory_xact_lock_shared(${gate}); return new; end$$;
       create trigger wait before insert on slow for each row execute function wait()`,
      undefined,
      database,
    )
    const holder = await heldLock(gate)
    const client = await pooled.client(port)
    await client.query('copy slow from stdin')
    await client.untilType('G')
    const line = raw.copyData(`${'w'.repeat(MB / 16)}\n`)
    const before = passed().bytesFromClients
    const sent = client.send(Buffer.concat([...Array(megabytes * 16).fill(line), raw.copyDone()]))
    await untilStill()
    expect(passed().bytesFromClients - before).toBeLessThan(onTheWayMax)
    expect(held()).toBeLessThan(heldMax)
    holder.close()
    await sent
    const replies = await client.untilReady()
    expect(typesOf(replies)).toBe('CZ')
    expect(replies[0]?.body.toString()).toBe(`COPY ${megabytes * 16}\0`)
  })
})

/** A connection of its own, straight, that holds an advisory lock until it is closed. */
async function heldLock(number: number): Promise<RawClient> {
  const client = await RawClient.loggedIn(pooled.direct())
  await client.query(`select pg_advisory_lock(${number})`)
  await client.untilReady()
  return client
}
