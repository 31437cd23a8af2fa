// What several workers have counted together never goes back while they live: Prometheus would take it for a
// restart, and all that is left for new traffic.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { parsePrometheusText } from '../support/prometheus-text.ts'
import { type RunningWorkers, ref, WorkerWorld } from '../support/worker-world.ts'

let world: WorkerWorld
let running: RunningWorkers
beforeAll(async () => {
  world = await WorkerWorld.make()
  running = await world.start({ POOL_IDLE_TIMEOUT_MS: '1000' })
})
afterEach(() => world.leave())
afterAll(async () => {
  await world.end()
  await world.remove()
})

interface Scrape {
  readonly silent: number
  /** One for each series of the project. */
  readonly queries: readonly number[]
  readonly servers: number
}

async function scrape(): Promise<Scrape> {
  const url = `http://127.0.0.1:${running.ports.api}/metrics`
  const answer = await fetch(url, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(4000),
  })
  const families = parsePrometheusText((await answer.text()).replace(/\n+/g, '\n'))
  const own = (name: string, states?: readonly string[]) =>
    (families.get(name)?.samples ?? [])
      .filter(({ labels }) => labels.tenant === ref)
      .filter(({ labels }) => states === undefined || states.includes(labels.state ?? ''))
      .map(({ value }) => value)
  const silent = families
    .get('pooler_workers')
    ?.samples.find((one) => one.labels.state === 'silent')
  return {
    silent: silent?.value ?? 0,
    queries: own('pooler_queries_total'),
    servers: own('pooler_servers').reduce((sum, value) => sum + value, 0),
  }
}

test('where a worker does not answer, counters are left out', async () => {
  const clients = await world.clients(running, 4)
  for (const client of clients) for (let n = 0; n < 10; n++) await client.query('select 1')
  const before = await scrape()
  const [worker] = running.workers
  process.kill(worker?.pid as number, 'SIGSTOP')
  try {
    // The scrape may come to the worker that stands still.
    const during = await eventually(() => scrape())
    expect(during.silent).toBe(1)
    expect(during.queries).toEqual([])
  } finally {
    process.kill(worker?.pid as number, 'SIGCONT')
  }
  await eventually(async () => expect((await scrape()).silent).toBe(0))
  expect((await scrape()).queries).toEqual(before.queries)
})

test('what a pool has counted stays while the other worker has clients of its role', async () => {
  const [one, two] = await world.clients(running, 2)
  for (const client of [one, two]) for (let n = 0; n < 10; n++) await client?.query('select 1')
  const before = await scrape()
  await one?.end()
  // Its pool is gone, and its server with it.
  await eventually(async () => expect((await scrape()).servers).toBe(1))
  expect((await scrape()).queries).toEqual(before.queries)
  await two?.end()
  await eventually(async () => expect((await scrape()).queries).toEqual([]))
})
