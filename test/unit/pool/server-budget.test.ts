import { beforeEach, expect, test } from 'vitest'
import type { Pool } from '../../../pooler/pool/pool.ts'
import { ServerBudget, tenureMs } from '../../../pooler/pool/server-budget.ts'
import type { ServerLink } from '../../../pooler/relay/server-link.ts'
import { mutedSink } from '../../../pooler/relay/server-sink.ts'
import type { Refusal, ServerWaiter } from '../../../pooler/relay/server-source.ts'
import { nextClientId } from '../../../shared/ids.ts'
import { FakeServers } from '../../support/fake-servers.ts'
import { makePool } from '../../support/make-pool.ts'
import { ManualClock } from '../../support/manual-clock.ts'

class Client implements ServerWaiter {
  readonly clientId = nextClientId()
  readonly person = null
  readonly asides = null
  readonly #pool: Pool
  link: ServerLink | null = null
  refusal: Refusal | null = null

  constructor(pool: Pool) {
    this.#pool = pool
    const link = pool.checkout(this)
    if (link !== null) this.onServer(link)
  }

  onServer(link: ServerLink): void {
    link.handTo(mutedSink)
    this.link = link
  }

  onNoServer(refusal: Refusal): void {
    this.refusal = refusal
  }

  give(): void {
    const link = this.link
    this.link = null
    if (link !== null) this.#pool.checkin(link)
  }
}

let clock: ManualClock
let servers: FakeServers
let limit: number
let budget: ServerBudget
beforeEach(() => {
  clock = new ManualClock()
  limit = 1
  budget = new ServerBudget('max_server_connections', () => limit, clock)
  servers = new FakeServers({ clock, openMs: () => 1, closeMs: () => 1 })
})

const pool = (size = 5) =>
  makePool({
    clock,
    budgets: [budget],
    upstream: servers.upstream(),
    limits: () => ({ size, checkoutTimeoutMs: 60_000 }),
  })

/** Time in which servers open, close, and become old enough to be given up. */
async function pass(ms = tenureMs + 50): Promise<void> {
  for (let passed = 0; passed < ms; passed += 5) {
    clock.advance(5)
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}

test('an idle server of one pool is closed so that another pool can open one', async () => {
  const [one, other] = [pool(), pool()]
  const first = new Client(one)
  await pass()
  first.give()
  expect(one.slots).toBe(1)
  const second = new Client(other)
  await pass()
  expect(second.link).not.toBeNull()
  expect([one.slots, other.slots, servers.countMax]).toEqual([0, 1, 1])
})

test('so is one that has been idle for so long that the library has it', async () => {
  const [one, other] = [pool(), pool()]
  const first = new Client(one)
  await pass()
  first.give()
  clock.advance(31_000)
  one.onTick(clock.monotonicMs())
  const second = new Client(other)
  await pass()
  expect(second.link).not.toBeNull()
  expect([one.servers.size, servers.countMax]).toEqual([0, 1])
})

test('a server that comes back goes to whoever of all pools has waited longest', async () => {
  const [one, two, three] = [pool(), pool(), pool()]
  const holder = new Client(one)
  await pass()
  const waiting = [new Client(two), null, null]
  await pass(20)
  waiting[1] = new Client(three)
  await pass(20)
  waiting[2] = new Client(one)
  await pass()
  const order: number[] = []
  holder.give()
  for (let round = 0; round < 3; round++) {
    await pass()
    const served = waiting.findIndex((client) => client?.link != null)
    order.push(served)
    waiting[served]?.give()
  }
  expect(order).toEqual([0, 1, 2])
  expect(servers.countMax).toBe(1)
})

test('a pool with clients in its line keeps its servers as long as others wait no longer than they', async () => {
  limit = 2
  const [one, other] = [pool(1), pool(1)]
  const holders = [new Client(one), new Client(other)]
  await pass()
  // Both pools are at their own size: nobody claims anything, and nothing is closed.
  const waiting = [new Client(one), new Client(other)]
  await pass()
  for (const holder of holders) holder.give()
  await pass()
  expect(waiting.every(({ link }) => link !== null)).toBe(true)
  expect(servers.opened).toBe(2)
})

test('a pool that has servers gets no other pool’s server between two of its transactions', async () => {
  limit = 2
  const [busy, lacking] = [pool(), pool()]
  const client = new Client(busy)
  const holder = new Client(lacking)
  const waiting = new Client(lacking)
  await pass(2 * tenureMs)
  const server = client.link
  for (let transaction = 0; transaction < 5; transaction++) {
    client.give()
    await pass(10)
    const link = busy.checkout(client)
    expect(link).toBe(server)
    if (link !== null) client.onServer(link)
    await pass(10)
  }
  expect(waiting.link).toBe(null)
  client.give()
  await pass()
  expect(waiting.link).not.toBe(null)
  expect(holder.link).not.toBe(null)
  expect(busy.slots).toBe(0)
})

test('a claim whose client has left takes no server from anybody', async () => {
  const [one, other] = [pool(), pool()]
  const holder = new Client(one)
  await pass()
  const gone = new Client(other)
  other.withdraw(gone)
  holder.give()
  await pass()
  expect([one.slots, other.slots, budget.claims]).toEqual([1, 0, 0])
})

test('a raised limit is felt at once, a lowered one as servers come back', async () => {
  const [one, other] = [pool(), pool()]
  const clients = [new Client(one), new Client(other)]
  await pass()
  limit = 2
  budget.review()
  await pass()
  expect(clients.every(({ link }) => link !== null)).toBe(true)
  limit = 1
  budget.review()
  clients[1]?.give()
  await pass()
  expect([one.slots, other.slots, budget.used]).toEqual([1, 0, 1])
})

test('whoever gets no server in time is told which limit is in the way', async () => {
  const [one, other] = [pool(), pool()]
  new Client(one)
  await pass()
  const client = new Client(other)
  await pass()
  clock.advance(61_000)
  expect(client.refusal).toMatchObject({
    code: 'ECHECKOUTTIMEOUT',
    detail: 'no room for another server (max_server_connections: 1)',
  })
})
