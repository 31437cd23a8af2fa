// COPY that does not come to its end: who dies in the middle of one, at which byte, and what the
// next client finds. Late copy messages are heard by nobody.
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { PooledPostgres, type Port } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { freshSeed, withSeed } from '../support/seeded-random.ts'

let pooled: PooledPostgres
let proxy: FaultProxy | null = null
afterEach(async () => {
  await pooled.stop()
  await proxy?.stop()
  proxy = null
})

async function start(): Promise<void> {
  const { port } = sharedPostgres()
  proxy = await FaultProxy.start({ port })
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, upstreamPort: proxy.port })
  const sql = `create table kit (tag text, n int); grant all on kit to "${pooled.role}"`
  await pooled.postgres.query(sql, undefined, pooled.database)
}

const ports: readonly Port[] = ['transaction', 'session']
const lines = Buffer.concat(Array.from({ length: 50 }, (_, n) => raw.copyData(`row\t${n}\n`)))
const copyOut = "copy (select repeat('x', 1000) from generate_series(1, 1000000)) to stdout"

async function rowCount(port: Port): Promise<number> {
  const next = await pooled.client(port)
  const count = await pooled.value(next, 'select count(*) from kit')
  await next.terminate()
  return Number(count)
}

/** The ways into a COPY, up to where the end comes. */
const copies: Record<string, (client: RawClient) => Promise<void>> = {
  'COPY in before its first data': async (client) => {
    await client.query('copy kit from stdin')
    await client.untilType('G')
  },
  'COPY in among its data': async (client) => {
    await client.query('copy kit from stdin')
    await client.untilType('G')
    await client.send(lines)
  },
  'COPY in by Execute, with a Sync sent too early': async (client) => {
    const messages = [raw.parse('', 'copy kit from stdin'), raw.bind(), raw.execute(), raw.sync()]
    await client.send(Buffer.concat([...messages, lines]))
    await client.untilType('G')
  },
  'COPY in, in a transaction': async (client) => {
    await client.send(Buffer.concat([raw.query('begin'), raw.query('copy kit from stdin'), lines]))
    await client.untilType('G')
  },
  'COPY out of which more is to come': async (client) => {
    await client.query(copyOut)
    await client.untilType('H')
    client.pauseReading()
  },
}
const eachCopy = ports.flatMap((port) =>
  Object.entries(copies).map(([what, begin]) => [port, what, begin] as const),
)

describe.each(eachCopy)('%s port, in %s', (port, what, begin) => {
  test('a terminated server is told of once, and another one serves the next', async () => {
    await start()
    const client = await pooled.client(port)
    await begin(client)
    const [backend] = await pooled.backends()
    await pooled.postgres.query('select pg_terminate_backend($1)', [backend?.pid])
    client.resumeReading()
    const replies = await client.readAll()
    const errors = replies.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body))
    if (what.startsWith('COPY out')) {
      // Blocked in sending, Postgres hangs up without a word (ProcessClientWriteInterrupt).
      expect(errors.length + Math.sign(client.restBytes)).toBe(1)
      for (const { S, C } of errors)
        expect([S, ['57P01', '08006'].includes(String(C))]).toEqual(['FATAL', true])
    } else {
      expect(errors).toMatchObject([{ S: 'FATAL', C: '57P01' }])
      expect(typesOf(replies)).toBe('E')
    }
    expect(await rowCount(port)).toBe(0)
  })

  test('a server whose connection breaks costs its client, once, and nobody else', async () => {
    await start()
    const client = await pooled.client(port)
    await begin(client)
    for (const connection of proxy?.connections ?? []) connection.reset()
    client.resumeReading()
    const replies = await client.readAll()
    // Cut inside a message it hears nothing more; else one error of ours.
    const errors = replies.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body))
    expect(errors.length).toBeLessThan(2)
    for (const error of errors) expect(error).toMatchObject({ S: 'FATAL', C: '08006' })
    if (errors.length === 0) expect(client.restBytes).toBeGreaterThan(0)
    await eventually(async () => (await pooled.backends()).length === 0)
    expect(await rowCount(port)).toBe(0)
  })
})

describe.each(ports)('%s port', (port) => {
  test('a client that is gone at any byte of a COPY leaves all rows or none, and a clean server', async () => {
    await start()
    const rounds = 25 * Number(process.env.ROUNDS ?? 1)
    await withSeed(freshSeed(), async (random) => {
      const simple = [raw.query('copy kit from stdin'), lines, raw.copyDone()]
      const byExecute = [
        Buffer.concat([raw.parse('', 'copy kit from stdin'), raw.bind(), raw.execute()]),
        lines,
        Buffer.concat([raw.copyDone(), raw.sync()]),
      ]
      let before = 0
      for (let round = 0; round < rounds; round++) {
        const bytes = Buffer.concat([
          ...random.pick([simple, byExecute]),
          raw.query("select 'behind it'"),
        ])
        const client = await pooled.client(port)
        await client.send(bytes.subarray(0, random.int(bytes.length + 1)))
        if (random.chance(0.5)) await new Promise((resolve) => setTimeout(resolve, random.int(5)))
        if (random.chance(0.5)) client.reset()
        else client.close()
        const after = await rowCount(port)
        expect([before, before + 50], `round ${round}`).toContain(after)
        before = after
      }
    })
  })
})

test('late copy messages of one client do not reach the server that another has by then', async () => {
  await start()
  const late = await pooled.client('transaction')
  const other = await pooled.client('transaction')
  await late.query('copy kit from stdin')
  await late.untilType('G')
  await late.send(raw.copyData('not\ta number\n'))
  expect(typesOf(await late.untilReady())).toBe('EZ')
  await other.query('begin; copy kit from stdin')
  await other.untilType('G')
  await other.send(raw.copyData('other\t1\n'))
  await late.send(
    Buffer.concat([raw.copyData('late\t2\n'), raw.copyFail('late'), raw.copyDone(), raw.sync()]),
  )
  expect(typesOf(await late.untilReady())).toBe('Z')
  await other.send(Buffer.concat([raw.copyData('other\t2\n'), raw.copyDone()]))
  expect(typesOf(await other.untilReady())).toBe('CZ')
  await other.query('commit')
  await other.untilReady()
  await late.query('select tag, n from kit order by n')
  expect(rowsOf(await late.untilReady())).toEqual([
    ['other', '1'],
    ['other', '2'],
  ])
})

test('behind a copy that fails in front of a Sync all replies come in their order', async () => {
  await start()
  const client = await pooled.client('transaction')
  await client.send(Buffer.concat([raw.parse('kept', 'select 1'), raw.sync()]))
  await client.untilReady()
  const copy = [raw.parse('', 'copy kit from stdin'), raw.bind(), raw.execute(), raw.flush()]
  await client.send(Buffer.concat(copy))
  await client.untilType('G')
  // Whether the server ignores the first Sync nobody knows when the rest is sent.
  const behind = [
    [raw.parse('', 'select 2'), raw.bind()],
    [raw.parse('twin', 'select 1'), raw.closeMessage('statement', 'kept')],
    [raw.parse('kept', 'select 3'), raw.bind({ statement: 'kept' }), raw.execute()],
  ].map((batch) => Buffer.concat([...batch, raw.sync()]))
  await client.send(Buffer.concat([raw.copyData('not\ta number\n'), raw.sync(), ...behind]))
  const replies = await client.untilReadies(4)
  expect(typesOf(replies)).toBe('EZ12Z13Z12DCZ')
  expect(rowsOf(replies)).toEqual([['3']])
})
