// Random demands over the pools of one budget, on a clock moved by hand: never more servers than the
// budget has, every client served or told, nobody forgotten. SEED repeats a run.
import { expect, test } from 'vitest'
import type { Pool } from '../../pooler/pool/pool.ts'
import { ServerBudget } from '../../pooler/pool/server-budget.ts'
import { ServerOpenError, unreachable } from '../../pooler/pool/server-open-error.ts'
import type { ServerLink } from '../../pooler/relay/server-link.ts'
import { mutedSink } from '../../pooler/relay/server-sink.ts'
import type { Refusal, ServerWaiter } from '../../pooler/relay/server-source.ts'
import { PoolerError } from '../../shared/errors.ts'
import { nextClientId } from '../../shared/ids.ts'
import { FakeServers } from '../support/fake-servers.ts'
import { makePool } from '../support/make-pool.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { freshSeed, type SeededRandom, withSeed } from '../support/seeded-random.ts'

const rounds = Number(process.env.ROUNDS ?? 15)
const stepMs = 5
const checkoutTimeoutMs = 20_000

class Client implements ServerWaiter {
  readonly asides = null
  readonly clientId = nextClientId()
  readonly person: string | null
  readonly #world: World
  readonly #pool: Pool
  outcome: 'asked' | 'held' | 'served' | 'refused' | 'left' = 'asked'
  waitedMs = 0
  readonly #sinceMs: number

  constructor(world: World, pool: Pool, person: string | null) {
    this.#world = world
    this.#pool = pool
    this.person = person
    this.#sinceMs = world.clock.monotonicMs()
    const link = pool.checkout(this)
    if (link !== null) this.onServer(link)
  }

  onServer(link: ServerLink): void {
    expect(this.outcome).toBe('asked')
    this.outcome = 'held'
    link.handTo(mutedSink)
    this.waitedMs = this.#world.clock.monotonicMs() - this.#sinceMs
    const { random, clock } = this.#world
    const isRolledBack = random.chance(0.05)
    clock.after(random.int(60), () => {
      this.outcome = 'served'
      if (!link.isUsable) this.#pool.discard(link, 'lost')
      else if (isRolledBack) this.#pool.abort(link)
      else this.#pool.checkin(link)
    })
  }

  onNoServer(refusal: Refusal): void {
    expect(this.outcome).toBe('asked')
    expect(refusal).toBeInstanceOf(PoolerError)
    expect((refusal as PoolerError).code).toBe('ECHECKOUTTIMEOUT')
    expect(this.#world.clock.monotonicMs() - this.#sinceMs).toBeGreaterThanOrEqual(
      checkoutTimeoutMs,
    )
    this.outcome = 'refused'
  }

  leave(): void {
    if (this.outcome !== 'asked') return
    this.outcome = 'left'
    this.#pool.withdraw(this)
  }
}

class World {
  readonly clock = new ManualClock()
  readonly random: SeededRandom
  readonly budgets: readonly ServerBudget[]
  readonly servers: FakeServers
  readonly pools: Pool[]
  readonly clients: Client[] = []
  limit: number

  constructor(random: SeededRandom) {
    this.random = random
    this.limit = 1 + random.int(8)
    const { clock } = this
    const processMax = random.chance(0.3) ? 1 + random.int(8) : 100
    this.budgets = [
      new ServerBudget('tenant', () => this.limit, clock),
      new ServerBudget('process', () => processMax, clock),
    ]
    const failing = random.chance(0.3) ? 0.2 : 0
    this.servers = new FakeServers({
      clock,
      openMs: () => random.int(20),
      closeMs: () => random.int(30),
      fault: () => (random.chance(failing) ? refused : null),
    })
    this.pools = Array.from({ length: 1 + random.int(6) }, () => {
      const size = 1 + random.int(8)
      return makePool({
        clock,
        budgets: this.budgets,
        upstream: this.servers.upstream(),
        limits: () => ({ size, checkoutTimeoutMs }),
        peopleShare: 0.5,
        random: () => random.int(1000) / 1000,
      })
    })
  }

  get allowed(): number {
    return Math.min(...this.budgets.map(({ limit }) => limit))
  }

  async step(): Promise<void> {
    this.clock.advance(stepMs)
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  demand(): void {
    const { random } = this
    const arrivals = random.chance(0.5) ? random.int(4) : 0
    for (let count = 0; count < arrivals; count++) {
      const person = random.chance(0.2) ? 'ada' : null
      this.clients.push(new Client(this, random.pick(this.pools), person))
    }
    if (random.chance(0.1)) this.clients.findLast(({ outcome }) => outcome === 'asked')?.leave()
    if (random.chance(0.02)) [...this.servers.live][0]?.destroy()
  }

  tick(): void {
    for (const pool of this.pools) pool.onTick(this.clock.monotonicMs())
    for (const budget of this.budgets) budget.review()
  }
}

const refused = unreachable('transient', { ref: 'ref', role: 'app' }, 'refused')
expect(refused).toBeInstanceOf(ServerOpenError)

async function live(world: World, steps: number): Promise<void> {
  for (let step = 1; step <= steps; step++) {
    world.demand()
    await world.step()
    if (step % (1000 / stepMs) === 0) world.tick()
    checkBudgets(world)
  }
}

/** Nobody comes any more: whoever waits has a server soon, with neither time-out nor tick to help. */
async function settle(world: World): Promise<void> {
  const unsettled = () =>
    world.clients.filter(({ outcome }) => outcome === 'asked' || outcome === 'held').length
  for (let step = 1; step <= 3000 && unsettled() > 0; step++) {
    await world.step()
    checkBudgets(world)
  }
  expect(unsettled()).toBe(0)
  const closing = world.pools.map((pool) => pool.close(new PoolerError('EDRAINING')))
  let isClosed = false
  void Promise.all(closing).then(() => {
    isClosed = true
  })
  // An attempt that waits for a backoff to pass holds its pool open as well.
  for (let step = 0; step < 2000 && !isClosed; step++) await world.step()
  expect([isClosed, world.servers.count]).toEqual([true, 0])
  for (const budget of world.budgets) {
    expect([budget.used, budget.claims, budget.isUnused]).toEqual([0, 0, true])
  }
  // Those of goodbyes run out by themselves.
  world.clock.advance(6000)
  expect(world.clock.timerCount).toBe(0)
}

function checkBudgets(world: World): void {
  expect(world.servers.count).toBeLessThanOrEqual(world.allowed)
}

test('whatever is demanded of the pools of one budget', { timeout: 120_000 }, async () => {
  const first = freshSeed()
  for (let round = 0; round < rounds; round++) {
    await withSeed((first + round) >>> 0, async (random) => {
      const world = new World(random)
      await live(world, 400)
      await settle(world)
    })
  }
})

test('a limit that is lowered and raised is kept as soon as servers come back', async () => {
  await withSeed(freshSeed(), async (random) => {
    const world = new World(random)
    await live(world, 300)
    world.limit = 1
    world.tick()
    for (let step = 0; step < 100; step++) await world.step()
    await live(world, 200)
    world.limit = 6
    world.tick()
    await settle(world)
  })
})
