// A client that leaves in the middle of a statement: the cancel may come to Postgres before the statement.
import { beforeEach, expect, test } from 'vitest'
import type { ServerLink } from '../../../pooler/relay/server-link.ts'
import { mutedSink } from '../../../pooler/relay/server-sink.ts'
import { frontend } from '../../../shared/protocol/message-types.ts'
import { FakeServers } from '../../support/fake-servers.ts'
import { firstServerOf, makePool } from '../../support/make-pool.ts'
import { ManualClock } from '../../support/manual-clock.ts'

let clock: ManualClock
let servers: FakeServers
let cancels: number

beforeEach(() => {
  clock = new ManualClock()
  servers = new FakeServers({ clock, openMs: () => 1, closeMs: () => 1 })
  cancels = 0
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 5) {
    clock.advance(5)
    await turn()
  }
}

/** A server at work for a client, and its pool. */
async function busy() {
  const cancel = async () => {
    cancels++
  }
  const pool = makePool({ clock, upstream: { ...servers.upstream(), cancel } })
  const coming = firstServerOf(pool)
  await pass(50)
  const link = await coming
  link.handTo(mutedSink)
  link.tracker.sent(frontend.query)
  return { pool, link }
}

const answerTo = (link: ServerLink) =>
  link.onTransportData(Buffer.from([0x43, 0, 0, 0, 5, 0, 0x5a, 0, 0, 0, 5, 0x49]))

test('a server that ends what it does is cancelled once, and closed', async () => {
  const { pool, link } = await busy()
  pool.abort(link)
  await pass(20)
  expect(cancels).toBe(1)
  expect(servers.live.size).toBe(1)
  answerTo(link)
  await pass(1000)
  expect(cancels).toBe(1)
  expect(servers.live.size).toBe(0)
})

test('a server that goes on is cancelled once more, and closed', async () => {
  const { pool, link } = await busy()
  pool.abort(link)
  await pass(400)
  expect(cancels).toBe(1)
  await pass(200)
  expect(cancels).toBe(2)
  await pass(1000)
  expect(cancels).toBe(2)
  expect(servers.live.size).toBe(0)
})

test('a server that waits for its client has nothing to cancel twice', async () => {
  const { pool, link } = await busy()
  // CopyInResponse.
  link.onTransportData(Buffer.from([0x47, 0, 0, 0, 7, 0, 0, 0]))
  pool.abort(link)
  await pass(100)
  expect(cancels).toBe(1)
  expect(servers.live.size).toBe(0)
})
