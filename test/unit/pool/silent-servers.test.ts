import { beforeEach, expect, test } from 'vitest'
import type { Pool } from '../../../pooler/pool/pool.ts'
import type { ProbedServer, ProbeResult } from '../../../pooler/pool/pool-options.ts'
import type { ServerPlace } from '../../../pooler/pool/server-place.ts'
import type { ServerLink } from '../../../pooler/relay/server-link.ts'
import { mutedSink, type ServerSink } from '../../../pooler/relay/server-sink.ts'
import { frontend } from '../../../shared/protocol/message-types.ts'
import { FakeServers } from '../../support/fake-servers.ts'
import { firstServerOf, makePool } from '../../support/make-pool.ts'
import { ManualClock } from '../../support/manual-clock.ts'

let clock: ManualClock
let probes: { place: ServerPlace; servers: readonly ProbedServer[] }[]
let answer: ProbeResult
let pool: Pool
let servers: FakeServers
let port: number
beforeEach(() => {
  clock = new ManualClock()
  probes = []
  answer = { kind: 'answered', idle: new Set() }
  port = 5432
  servers = new FakeServers({ clock, port: () => port, openMs: () => 0, closeMs: () => 0 })
  const probe = async (place: ServerPlace, asked: readonly ProbedServer[]) => {
    probes.push({ place, servers: asked })
    return answer
  }
  pool = makePool({
    clock,
    limits: () => ({ size: 5, checkoutTimeoutMs: 60_000 }),
    upstream: { ...servers.upstream(), probe },
  })
})

const turns = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    clock.advance(1000)
    pool.onTick(clock.monotonicMs())
    await turns()
  }
}

/** A server in a client's hands, and whether that client lost it. */
async function held(sink: Partial<ServerSink> = {}): Promise<{ link: ServerLink; lost: string[] }> {
  const lost: string[] = []
  const coming = firstServerOf(pool)
  await turns()
  clock.advance(1)
  const link = await coming
  link.handTo({
    ...mutedSink,
    ...sink,
    onServerClosed: (_fatal, cause) => void lost.push(cause?.message ?? ''),
  })
  return { link, lost }
}

const query = ({ tracker }: ServerLink) => tracker.sent(frontend.query)

test('a server that owes nothing is never probed', async () => {
  await held()
  await pass(300)
  expect(probes).toEqual([])
})

test('a query that takes its time is probed every minute, and never hurt', async () => {
  const { link, lost } = await held()
  query(link)
  await pass(59)
  expect(probes).toEqual([])
  await pass(600)
  expect(probes.length).toBeGreaterThan(5)
  expect(probes[0]).toMatchObject({ place: { address: '127.0.0.1' }, servers: [{ processId: 1 }] })
  expect([lost, link.isUsable]).toEqual([[], true])
})

test('a server that is idle while it owes a reply is given up', async () => {
  const { link, lost } = await held()
  query(link)
  answer = { kind: 'answered', idle: new Set([1]) }
  await pass(62)
  expect(lost).toEqual(['the server was silent, and is idle: the connection to it is broken'])
})

test('an address that is not reached counts when it is not reached again', async () => {
  const { link, lost } = await held()
  query(link)
  answer = { kind: 'unreachable', reason: 'connection refused' }
  await pass(62)
  expect([probes.length, lost]).toEqual([1, []])
  await pass(6)
  expect(probes).toHaveLength(2)
  expect(lost[0]).toMatch('connection refused')
})

test('one that is reached the second time is left alone', async () => {
  const { link, lost } = await held()
  query(link)
  answer = { kind: 'unreachable', reason: 'connection refused' }
  await pass(62)
  answer = { kind: 'unknown' }
  await pass(300)
  expect(lost).toEqual([])
})

test('several silent servers of one address are looked at over one connection', async () => {
  const all = [await held(), await held(), await held()]
  for (const { link } of all) query(link)
  answer = { kind: 'answered', idle: new Set([2]) }
  await pass(62)
  expect(probes).toHaveLength(1)
  expect(probes[0]?.servers).toHaveLength(3)
  expect(all.map(({ lost }) => lost.length)).toEqual([0, 1, 0])
})

test('servers of before their project has moved are looked at where they are', async () => {
  const old = await held()
  port = 5433
  const young = await held()
  for (const { link } of [old, young]) query(link)
  await pass(62)
  const asked = probes.map(({ place, servers }) => [
    place.upstream.dbPort,
    servers.map(({ processId }) => processId),
  ])
  expect(asked).toEqual([
    [5432, [1]],
    [5433, [2]],
  ])
})

test('neither a client that has sent half a message nor one that reads nothing makes it suspect', async () => {
  const { link } = await held({ isCutOff: true })
  query(link)
  const { link: other } = await held()
  query(other)
  other.transport.pause()
  answer = { kind: 'answered', idle: new Set([1, 2]) }
  await pass(300)
  expect(probes).toEqual([])
})
