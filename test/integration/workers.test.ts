// Several processes behind one port: clients spread over them, pools that keep their size over all,
// and what becomes of it when one of them dies, or the one in front.
import type { Client } from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { pgbench } from '../support/pgbench.ts'
import { needsProgram } from '../support/program.ts'
import { isAlive, poolSize, WorkerWorld } from '../support/worker-world.ts'

let world: WorkerWorld
beforeAll(async () => {
  world = await WorkerWorld.make()
})
afterEach(async () => {
  await world.end()
  await world.put({})
})
afterAll(() => world.remove())

/** Ends of connections that a test did not ask for. */
function endingsOf(clients: readonly Client[]): Set<Client> {
  const ended = new Set<Client>()
  for (const client of clients) client.once('end', () => ended.add(client))
  return ended
}

const one = async (client: Client): Promise<unknown> =>
  (await client.query('SELECT 1 AS one')).rows[0]?.one

test('logins are spread, and no pool has more servers than its size over all workers', async () => {
  const running = await world.start({ POOLER_WORKERS: '3', LOG_LEVEL: 'debug' })
  expect(new Set(running.workers.map(({ slot }) => slot))).toEqual(new Set([0, 1, 2]))
  const clients = await world.clients(running, 12)
  const counts: number[] = []
  const work = async (client: Client): Promise<void> => {
    for (let turn = 0; turn < 15; turn++) {
      await client.query('BEGIN; SELECT pg_sleep(0.002)')
      if (turn % 5 === 0) counts.push(await world.servers())
      await client.query('COMMIT')
    }
  }
  await Promise.all(clients.map(work))
  expect(Math.max(...counts)).toBeLessThanOrEqual(poolSize)
  expect(await world.servers()).toBeGreaterThan(1)
})

test('servers that idle in one worker go to another that needs them', async () => {
  const running = await world.start()
  const clients = await world.clients(running, poolSize * 2)
  // Whatever worker they are in: so many at once can be in a transaction, and not one more.
  for (let turn = 0; turn < clients.length; turn += poolSize) {
    const some = clients.slice(turn, turn + poolSize)
    await Promise.all(some.map((client) => client.query('BEGIN')))
    expect(await world.servers()).toBe(poolSize)
    await Promise.all(some.map((client) => client.query('COMMIT')))
  }
  const evenly = clients.filter((_client, at) => at % 2 === 0)
  await Promise.all(evenly.map((client) => client.query('BEGIN')))
  await Promise.all(evenly.map((client) => client.query('COMMIT')))
})

test('a limit that changes holds over all workers', async () => {
  const running = await world.start()
  const clients = await world.clients(running, poolSize * 2)
  await Promise.all(clients.slice(0, poolSize).map((client) => client.query('BEGIN')))
  await Promise.all(clients.slice(0, poolSize).map((client) => client.query('COMMIT')))
  await world.put({ maxServerConnections: 1 })
  await eventually(async () => (await world.servers()) === 1)
  await Promise.all(clients.map(one))
  expect(await world.servers()).toBe(1)
})

test('a worker that is killed is replaced, its permits return, and the others do not notice', async () => {
  const running = await world.start()
  const clients = await world.clients(running, 8)
  await Promise.all(clients.map(one))
  const ended = endingsOf(clients)
  const [victim] = running.workers
  process.kill(victim?.pid as number, 'SIGKILL')
  await running.main.says('a worker has taken the place of another')
  await eventually(() => ended.size > 0)
  const left = clients.filter((client) => !ended.has(client))
  expect(left.length).toBeGreaterThan(0)
  expect(await Promise.all(left.map(one))).toEqual(left.map(() => 1))
  expect(ended.size + left.length).toBe(clients.length)
  const more = [...left, ...(await world.clients(running, poolSize))].slice(0, poolSize)
  await Promise.all(more.map((client) => client.query('BEGIN')))
  expect(await world.servers()).toBe(poolSize)
  await Promise.all(more.map((client) => client.query('COMMIT')))
})

test('pgbench is served by all workers without an error', async (context) => {
  needsProgram(context, 'pgbench')
  const running = await world.start()
  const done = pgbench(world.url(running), {
    script: 'SELECT 1;\n',
    args: ['-M', 'prepared', '-c', '12', '-t', '200'],
  })
  const counts: number[] = []
  let isDone = false
  void done.finally(() => {
    isDone = true
  })
  await eventually(async () => {
    counts.push(await world.servers())
    return isDone
  })
  expect(await done).toMatchObject({ exitCode: 0, transactions: 2400, failed: 0 })
  expect(Math.max(...counts)).toBeLessThanOrEqual(poolSize)
})

test('SIGTERM to the first process drains all of them', async () => {
  const running = await world.start()
  const clients = await world.clients(running, 4)
  const [busy, ...idle] = clients as [Client, ...Client[]]
  await busy.query('BEGIN')
  const ended = endingsOf(idle)
  running.main.kill('SIGTERM')
  await eventually(() => ended.size === idle.length)
  expect(await one(busy)).toBe(1)
  await busy.query('COMMIT')
  expect(await running.main.exited).toEqual({ code: 0, signal: null })
  for (const { pid } of running.workers) expect(isAlive(pid)).toBe(false)
})

test('a second signal ends them at once', async () => {
  const running = await world.start()
  const [busy] = await world.clients(running, 1)
  await busy?.query('BEGIN')
  running.main.kill('SIGTERM')
  await running.main.says('draining')
  running.main.kill('SIGTERM')
  expect(await running.main.exited).toEqual({ code: 1, signal: null })
  await eventually(() => running.workers.every(({ pid }) => !isAlive(pid)))
})

test('SIGHUP to the first process reaches all, and what they cannot use is told', async () => {
  const running = await world.start()
  running.main.kill('SIGHUP')
  await running.main.says('certificates read again')
})

test('workers whose first process is gone let transactions finish and end', async () => {
  const running = await world.start()
  const [busy, ...idle] = (await world.clients(running, 4)) as [Client, ...Client[]]
  await busy.query('BEGIN')
  const ended = endingsOf(idle)
  running.main.kill('SIGKILL')
  await eventually(() => ended.size === idle.length)
  expect(await one(busy)).toBe(1)
  await busy.query('COMMIT')
  await eventually(() => running.workers.every(({ pid }) => !isAlive(pid)))
})

test('a port that is taken is told in one line by the first process', async () => {
  const running = await world.start()
  const failure = world.start({ PROXY_PORT_SESSION: String(running.ports.session) })
  await expect(failure).rejects.toThrow(
    new RegExp(`port ${running.ports.session} \\(PROXY_PORT_SESSION\\)`),
  )
})
