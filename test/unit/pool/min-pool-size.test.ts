import { beforeEach, expect, test } from 'vitest'
import { ServerBudget } from '../../../pooler/pool/server-budget.ts'
import { unreachable } from '../../../pooler/pool/server-open-error.ts'
import { PoolerError } from '../../../shared/errors.ts'
import { nextClientId } from '../../../shared/ids.ts'
import { eventually } from '../../support/eventually.ts'
import { FakeServers } from '../../support/fake-servers.ts'
import { makePool, poolTimes } from '../../support/make-pool.ts'
import { ManualClock } from '../../support/manual-clock.ts'

let clock: ManualClock
let servers: FakeServers
let fault: Error | null
beforeEach(() => {
  clock = new ManualClock()
  fault = null
  servers = new FakeServers({ clock, openMs: () => 1, closeMs: () => 1, fault: () => fault })
})

const pool = (changes: Parameters<typeof makePool>[0] = {}) =>
  makePool({
    clock,
    upstream: servers.upstream(),
    minSize: () => 2,
    limits: () => ({ size: 3, checkoutTimeoutMs: 60_000 }),
    ...changes,
  })

/** Seconds with their ticks. */
async function pass(one: ReturnType<typeof pool>, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    one.onTick(clock.monotonicMs())
    for (let part = 0; part < 100; part++) {
      clock.advance(10)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

test('the minimum is opened without anybody’s asking', async () => {
  const one = pool()
  await pass(one, 2)
  expect([servers.count, one.servers.size]).toEqual([2, 2])
})

test('what has been idle for long is closed down to the minimum', async () => {
  let minimum = 3
  const times = { ...poolTimes, serverIdleTimeoutMs: 1000 }
  const one = pool({ minSize: () => minimum, times })
  await pass(one, 40)
  expect(servers.count).toBe(3)
  minimum = 2
  // The library goes its rounds by real time, and looks at all of them in each.
  await eventually(() => one.servers.size < 3)
  expect(one.servers.size).toBe(2)
})

test('what is lost is opened again', async () => {
  const one = pool()
  await pass(one, 2)
  for (const socket of servers.live) socket.destroy()
  await pass(one, 3)
  expect([servers.count, servers.opened]).toEqual([2, 4])
})

test('a minimum above the pool’s size is its size', async () => {
  const one = pool({ minSize: () => 100 })
  await pass(one, 2)
  expect(servers.countMax).toBe(3)
})

test('an upstream that is down is tried for it with patience, and clients find no backoff', async () => {
  const one = pool()
  fault = unreachable('transient', { ref: 'ref', role: 'app' }, 'refused')
  await pass(one, 20)
  const { countMax } = servers
  expect(countMax).toBeLessThanOrEqual(2)
  expect(one.backoffMs).toBe(0)
  fault = null
  await pass(one, 6)
  expect(servers.count).toBe(2)
})

test('a refusal that waiting cannot mend is not asked for again before something changes', async () => {
  const one = pool()
  fault = unreachable('permanent', { ref: 'ref', role: 'app' }, 'no such database')
  await pass(one, 1)
  fault = null
  await pass(one, 20)
  expect(servers.opened).toBe(0)
  one.onProjectChanged()
  await pass(one, 2)
  expect(servers.count).toBe(2)
})

test('it takes no room that another pool has', async () => {
  const budget = new ServerBudget('budget', () => 2, clock)
  const other = pool({ minSize: () => 0, budgets: [budget] })
  const waiter = {
    clientId: nextClientId(),
    person: null,
    asides: null,
    onServer() {},
    onNoServer() {},
  }
  other.checkout(waiter)
  await pass(other, 1)
  const one = pool({ budgets: [budget] })
  await pass(one, 5)
  expect([other.slots, one.slots, servers.countMax]).toEqual([1, 1, 2])
})

test('a pool that is closed opens nothing any more', async () => {
  const one = pool()
  await pass(one, 2)
  const closed = one.close(new PoolerError('EDRAINING'))
  await pass(one, 3)
  await closed
  expect([servers.count, servers.opened]).toEqual([0, 2])
})
