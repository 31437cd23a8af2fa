// The same script direct to Postgres and through Latchkey: what comes back is equal byte for byte.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fastIo } from '../support/fast-io.ts'
import { anySegmentation } from '../support/pipeline-driver.ts'
import { PooledPostgres, type Port } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { describeReply } from '../support/raw-replies.ts'
import { freshSeed, withSeed } from '../support/seeded-random.ts'
import { oneByteEach, type Segmentation, splitAt, whole } from '../support/segments.ts'
import { conversations } from './conversations.ts'
import { type Turn, turn } from './turns.ts'

let pooled: PooledPostgres
beforeAll(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
})
afterAll(() => pooled.stop())

type Way = 'direct' | Port

async function replay(way: Way, script: readonly Turn[], segmentation: Segmentation, by = pooled) {
  const target = way === 'direct' ? by.direct() : by.target(way)
  const client = await RawClient.loggedIn({ ...target })
  const replies: raw.RawMessage[][] = []
  try {
    for (const { bytes, until } of script) {
      await client.send(bytes, segmentation)
      if (until === 'end') replies.push(await client.readAll())
      else if (typeof until === 'number') replies.push(await client.untilReadies(until))
      else replies.push(await client.untilType(until))
    }
    expect(client.pending().map(describeReply)).toEqual([])
  } finally {
    client.close()
  }
  return replies
}

/** Whole bodies but for the number of the schema that each backend has of its own. */
const told = (replies: raw.RawMessage[][]) =>
  replies.map((turn) =>
    turn.map(({ type, body }) => [type, body.toString('latin1').replace(/pg_temp_\d+/, 'pg_temp')]),
  )

/**
 * Postgres hangs up at the first byte of a message that it does not want, while the rest of it is being
 * sent. Where a write meets that before its words are read, Node's streams lose them; the transport
 * on the handle does not, see handle-transport.ts.
 */
const isHangUp = (replies: ReturnType<typeof told>): boolean =>
  fastIo === 'off' &&
  /ESERVERLOST\) [^.]*write (EPIPE|ECONNRESET)/.test(JSON.stringify(replies.at(-1)))

const ways: readonly Port[] = ['transaction', 'session']
const cuts = [
  ['whole', whole],
  ['cut behind the first three bytes', splitAt(3)],
  ['one byte at a time', oneByteEach],
] as const

/** Byte by byte these take a second and show nothing that shorter ones do not. */
const long = ['a large query', 'many parameters']

describe.each(Object.entries(conversations))('%s', (_kind, scripts) => {
  test.each(Object.entries(scripts))('%s', async (name, script) => {
    const expected = told(await replay('direct', script, whole))
    for (const way of ways) {
      for (const [cut, segmentation] of cuts) {
        if (segmentation === oneByteEach && long.includes(name)) continue
        const actual = told(await replay(way, script, segmentation))
        if (isHangUp(actual)) continue
        expect(actual, `${way} port, ${cut}`).toEqual(expected)
      }
    }
  })
})

/** Where a name is taken, or a transaction has failed, the answer to such a turn never comes. */
const waitsForType = (script: readonly Turn[]): boolean =>
  script.some(({ until }) => typeof until === 'string' && until !== 'end')
const atStart = turn(2, raw.closeMessage('statement', 'st'), raw.sync(), raw.query('rollback'))

/** `direct` asks for nothing that is left of other connections, so neither may the ports. */
test('scripts in any order, several clients side by side, in random pieces', async () => {
  const crowded = await PooledPostgres.start(sharedPostgres(), { poolSize: 3 })
  const scripts = Object.entries(conversations)
    .filter(([kind]) => kind !== 'the end')
    .flatMap(([, some]) => Object.entries(some))
    .filter(([name]) => !long.includes(name))
    .map(([, script]) => (waitsForType(script) ? [atStart, ...script] : script))
  try {
    const rounds = Number(process.env.ROUNDS ?? 1)
    await withSeed(freshSeed(), async (random) => {
      for (let round = 0; round < rounds; round++) {
        const lots = Array.from({ length: 6 }, () =>
          Array.from({ length: 5 }, () => random.pick(scripts)).flat(),
        )
        const expected = await Promise.all(lots.map((lot) => replay('direct', lot, whole, crowded)))
        for (const way of ways) {
          // No more sessions than servers at a time: they would wait for each other.
          const atOnce = way === 'session' ? lots.slice(0, 3) : lots
          const replies = await Promise.all(
            atOnce.map((lot) => replay(way, lot, anySegmentation(random.fork()), crowded)),
          )
          for (const [index, one] of replies.entries()) {
            expect(told(one), `${way} port, round ${round}`).toEqual(told(expected[index] ?? []))
          }
        }
      }
    })
  } finally {
    await crowded.stop()
  }
})

test('a login tells the same settings as Postgres', async () => {
  const settings = { application_name: 'conformance', TimeZone: 'Asia/Tokyo', DateStyle: 'iso' }
  const client = await RawClient.connect(pooled.direct())
  const direct = await client.login({ ...pooled.direct(), settings })
  client.close()
  for (const way of ways) {
    const { login } = await pooled.login(way, { settings })
    expect(Object.fromEntries(login.parameters), way).toEqual(Object.fromEntries(direct.parameters))
    expect(login.messages.at(-1)?.body).toEqual(direct.messages.at(-1)?.body)
  }
})
