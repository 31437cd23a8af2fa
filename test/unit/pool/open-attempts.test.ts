// Servers that come although their attempt was outdated on the way: no abort was in time.
import { expect, test } from 'vitest'
import type { Pool } from '../../../pooler/pool/pool.ts'
import { eventually } from '../../support/eventually.ts'
import { FakeServers } from '../../support/fake-servers.ts'
import { firstServerOf, makePool } from '../../support/make-pool.ts'
import { ManualClock } from '../../support/manual-clock.ts'

function opening() {
  const clock = new ManualClock()
  const servers = new FakeServers({ clock, openMs: () => 10, closeMs: () => 0 })
  const pool = makePool({ clock, upstream: servers.upstream() })
  return { clock, servers, pool, first: firstServerOf(pool) }
}

test.each<[string, (pool: Pool) => void, number]>([
  ['whose project has moved', (pool) => pool.retireServers(), 2],
  ['at an address that is left', (pool) => pool.leaveAddress('127.0.0.1'), 2],
  ['at another address', (pool) => pool.leaveAddress('127.0.0.2'), 1],
])('a server %s', async (_name, change, opened) => {
  const { clock, servers, pool, first } = opening()
  await eventually(() => servers.count === 1)
  change(pool)
  let processId = 0
  void first.then((server) => {
    processId = (server as unknown as { processId: number }).processId
  })
  await eventually(() => {
    clock.advance(1)
    return processId > 0
  })
  expect(processId).toBe(opened)
  await eventually(() => servers.count === 1)
  expect(servers.countMax).toBe(1)
})

test('a pool that was paused meanwhile takes none, and opens none until it is resumed', async () => {
  const { clock, servers, pool, first } = opening()
  await eventually(() => servers.count === 1)
  pool.pause()
  await eventually(() => {
    clock.advance(1)
    return pool.isEmpty
  })
  expect([servers.opened, servers.count]).toEqual([1, 0])
  pool.resume()
  await eventually(() => {
    clock.advance(1)
    return servers.opened === 2
  })
  await first
})
