// Random demands over the pools of several workers, whose words to the office are late by chance, and
// workers that are killed and replaced: never more servers than the limits over all of them, every
// client served, no permit lost. SEED repeats a run.
import { expect, test } from 'vitest'
import type { Budget } from '../../pooler/pool/budget.ts'
import type { Pool } from '../../pooler/pool/pool.ts'
import type { ServerLink } from '../../pooler/relay/server-link.ts'
import { mutedSink } from '../../pooler/relay/server-sink.ts'
import type { ServerWaiter } from '../../pooler/relay/server-source.ts'
import type { PermitOrder, PermitReport } from '../../pooler/workers/permit-messages.ts'
import { PermitOffice, quarantineMs } from '../../pooler/workers/permit-office.ts'
import { RemoteBudget } from '../../pooler/workers/remote-budget.ts'
import { PoolerError } from '../../shared/errors.ts'
import { nextClientId } from '../../shared/ids.ts'
import { FakeServers } from '../support/fake-servers.ts'
import { makePool } from '../support/make-pool.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { freshSeed, type SeededRandom, withSeed } from '../support/seeded-random.ts'

const rounds = Number(process.env.ROUNDS ?? 12)
const stepMs = 5
const latenessMs = 15

class Client implements ServerWaiter {
  readonly clientId = nextClientId()
  readonly person = null
  readonly asides = null
  readonly #world: World
  readonly #pool: Pool
  outcome: 'asked' | 'held' | 'served' | 'left' = 'asked'

  constructor(world: World, pool: Pool) {
    this.#world = world
    this.#pool = pool
    const link = pool.checkout(this)
    if (link !== null) this.onServer(link)
  }

  onServer(link: ServerLink): void {
    this.outcome = 'held'
    link.handTo(mutedSink)
    this.#world.clock.after(this.#world.random.int(60), () => {
      this.outcome = 'served'
      if (link.isUsable) this.#pool.checkin(link)
      else this.#pool.discard(link, 'lost')
    })
  }

  onNoServer(): void {
    throw new Error('nobody is refused')
  }

  leave(): void {
    if (this.outcome !== 'asked') return
    this.outcome = 'left'
    this.#pool.withdraw(this)
  }
}

/** One process: pools of the same two keys as everywhere, and the way to the office. */
class Worker {
  readonly id: number
  readonly servers: FakeServers
  readonly budgets: readonly RemoteBudget[]
  readonly pools: readonly Pool[]
  readonly clients: Client[] = []
  diedMs: number | null = null
  readonly #world: World

  constructor(world: World, id: number) {
    this.id = id
    this.#world = world
    const { clock, random } = world
    this.servers = new FakeServers({
      clock,
      openMs: () => random.int(20),
      closeMs: () => random.int(30),
    })
    const budgetOf = (at: number, name: string, limit: () => number) =>
      new RemoteBudget({
        id: at,
        key: name,
        name,
        limit,
        clock,
        send: (report) => world.toOffice(this, report),
      })
    const tenant = budgetOf(0, 'tenant', () => world.tenantMax)
    const ofPools = world.poolMax.map((_max, at) =>
      budgetOf(at + 1, `pool ${at}`, () => world.poolMax[at] as number),
    )
    this.budgets = [tenant, ...ofPools]
    this.pools = ofPools.map((own, at) =>
      makePool({
        clock,
        budgets: [own as Budget, tenant],
        upstream: this.servers.upstream(),
        limits: () => ({ size: world.poolMax[at] as number, checkoutTimeoutMs: 600_000 }),
        minSize: () => world.poolMin,
        random: () => random.int(1000) / 1000,
      }),
    )
  }

  receive(order: PermitOrder): void {
    this.budgets[order.id]?.onOrder(order)
  }

  tick(): void {
    for (const pool of this.pools) pool.onTick(this.#world.clock.monotonicMs())
    for (const budget of this.budgets) budget.review()
  }
}

class World {
  readonly clock = new ManualClock()
  readonly random: SeededRandom
  readonly office: PermitOffice
  readonly poolMin: number
  poolMax: number[]
  tenantMax: number
  workers: Worker[] = []
  readonly dead: Worker[] = []
  #lastId = 0
  /** Monotonic ms at which the last word each way is heard: none overtakes another. */
  readonly #heardMs = new Map<string, number>()

  constructor(random: SeededRandom) {
    this.random = random
    this.poolMax = [1 + random.int(6), 1 + random.int(6)]
    this.poolMin = random.chance(0.3) ? 1 + random.int(2) : 0
    this.tenantMax = random.chance(0.5) ? 1 + random.int(8) : Number.POSITIVE_INFINITY
    this.office = new PermitOffice({
      clock: this.clock,
      send: (worker, order) => this.#toWorker(worker, order),
    })
    const count = 2 + random.int(3)
    for (let at = 0; at < count; at++) this.add()
  }

  add(): void {
    this.workers.push(new Worker(this, ++this.#lastId))
  }

  kill(worker: Worker): void {
    this.workers = this.workers.filter((one) => one !== worker)
    this.dead.push(worker)
    worker.diedMs = this.clock.monotonicMs()
    for (const client of worker.clients) client.leave()
    this.office.onWorkerGone(worker.id)
  }

  toOffice(worker: Worker, report: PermitReport): void {
    if (worker.diedMs !== null) return
    this.#later(`from ${worker.id}`, () => {
      if (worker.diedMs === null) this.office.onReport(worker.id, structuredClone(report))
    })
  }

  #toWorker(id: number, order: PermitOrder): void {
    const worker = this.workers.find((one) => one.id === id)
    this.#later(`to ${id}`, () => {
      if (worker?.diedMs === null) worker.receive(structuredClone(order))
    })
  }

  #later(way: string, run: () => void): void {
    const nowMs = this.clock.monotonicMs()
    const dueMs = Math.max(this.#heardMs.get(way) ?? 0, nowMs + this.random.int(latenessMs))
    this.#heardMs.set(way, dueMs)
    this.clock.after(dueMs - nowMs, run)
  }

  async step(): Promise<void> {
    this.clock.advance(stepMs)
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
    this.check()
  }

  /** A worker that died leaves its servers to Postgres for a while. */
  check(): void {
    const nowMs = this.clock.monotonicMs()
    const counted = [...this.workers, ...this.dead].filter(
      ({ diedMs }) => diedMs === null || nowMs - diedMs < quarantineMs - stepMs,
    )
    const all = counted.reduce((sum, { servers }) => sum + servers.count, 0)
    expect(all).toBeLessThanOrEqual(this.tenantMax)
    for (const [at, max] of this.poolMax.entries()) {
      const slots = counted.reduce((sum, { pools }) => sum + (pools[at]?.slots ?? 0), 0)
      expect(slots).toBeLessThanOrEqual(max)
    }
  }

  demand(): void {
    const { random } = this
    const arrivals = random.chance(0.5) ? random.int(5) : 0
    for (let count = 0; count < arrivals; count++) {
      const worker = random.pick(this.workers)
      worker.clients.push(new Client(this, random.pick(worker.pools)))
    }
    if (random.chance(0.1)) {
      random
        .pick(this.workers)
        .clients.findLast(({ outcome }) => outcome === 'asked')
        ?.leave()
    }
    if (random.chance(0.005)) {
      this.kill(random.pick(this.workers))
      this.add()
    }
    if (random.chance(0.02)) [...random.pick(this.workers).servers.live][0]?.destroy()
  }

  unsettled(): number {
    const waiting = ({ outcome }: Client): boolean => outcome === 'asked' || outcome === 'held'
    return this.workers.reduce((sum, { clients }) => sum + clients.filter(waiting).length, 0)
  }
}

async function live(world: World, steps: number): Promise<void> {
  for (let step = 1; step <= steps; step++) {
    world.demand()
    await world.step()
    if (step % (1000 / stepMs) === 0) for (const worker of world.workers) worker.tick()
  }
}

async function settle(world: World): Promise<void> {
  for (let step = 1; step <= 4000 && world.unsettled() > 0; step++) {
    await world.step()
    if (step % (1000 / stepMs) === 0) for (const worker of world.workers) worker.tick()
  }
  expect(world.unsettled()).toBe(0)
  // Pools of the dead may wait for permits until the end of time, as nobody hears them.
  const pools = world.workers.flatMap((worker) => worker.pools)
  const closing = pools.map((pool) => pool.close(new PoolerError('EDRAINING')))
  let isClosed = false
  void Promise.all(closing).then(() => {
    isClosed = true
  })
  for (let step = 0; step < 2000; step++) {
    await world.step()
    if (world.workers.every(({ budgets }) => budgets.every(({ isUnused }) => isUnused))) break
  }
  expect(isClosed).toBe(true)
  for (let step = 0; step < quarantineMs / stepMs; step++) await world.step()
  for (const { budgets } of world.workers) {
    for (const budget of budgets) {
      expect(budget.isUnused).toBe(true)
      budget.close()
    }
  }
  for (let step = 0; step < 10; step++) await world.step()
  expect(world.office.size).toBe(0)
}

test('whatever is demanded of several workers, some of them killed', {
  timeout: 120_000,
}, async () => {
  const first = freshSeed()
  for (let round = 0; round < rounds; round++) {
    await withSeed((first + round) >>> 0, async (random) => {
      const world = new World(random)
      await live(world, 400)
      await settle(world)
    })
  }
})

test('a lowered limit is reached, and a raised one is used', { timeout: 60_000 }, async () => {
  await withSeed(freshSeed(), async (random) => {
    const world = new World(random)
    world.poolMax = [6, 6]
    world.tenantMax = 12
    await live(world, 200)
    world.tenantMax = 3
    const over = () => world.workers.reduce((sum, { servers }) => sum + servers.count, 0)
    const isOver = () => over() > 3
    world.check = () => {}
    for (const worker of world.workers) worker.tick()
    for (let step = 0; step < 400 && isOver(); step++) {
      world.demand()
      await world.step()
    }
    expect(isOver()).toBe(false)
    world.tenantMax = 12
    await settle(world)
  })
})
