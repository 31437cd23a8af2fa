// The console over several workers: whichever takes the operator's connection, all of them are shown
// and all of them do what is asked.
import type { Client } from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Row } from '../support/console-world.ts'
import { codeOf } from '../support/console-world.ts'
import { eventually } from '../support/eventually.ts'
import { needsProgram } from '../support/program.ts'
import { psql } from '../support/psql.ts'
import {
  isAlive,
  poolSize,
  type RunningWorkers,
  ref,
  WorkerWorld,
} from '../support/worker-world.ts'

let world: WorkerWorld
let running: RunningWorkers
beforeAll(async () => {
  world = await WorkerWorld.make()
  running = await world.start()
})
afterEach(() => world.leave())
afterAll(async () => {
  await world.end()
  await world.remove()
})

const operator = (): Promise<Client> =>
  world.client(running, {
    user: 'latchkey',
    password: world.adminPassword,
    database: 'latchkey',
  })

const show = async (client: Client, table: string): Promise<Row[]> =>
  (await client.query<Row>(`show ${table}`)).rows

/** One at the console of each worker: connections go to the workers in turn. */
async function operators(): Promise<[Client, Client]> {
  return [await operator(), await operator()]
}

/** The process of each worker, by its place. */
const pids = async (console: Client): Promise<number[]> =>
  (await show(console, 'workers')).map(({ pid }) => Number(pid))

/** Another has taken the place of one of these; a process starts. */
const bothServe = (console: Client, before: readonly number[]): Promise<unknown> =>
  eventually(async () => {
    const now = await pids(console)
    return now.length === 2 && !before.every((pid) => now.includes(pid))
  })

/** The worker in which this operator is. */
async function workerOf(console: Client): Promise<number> {
  const { stream } = (console as unknown as { connection: { stream: { localPort: number } } })
    .connection
  const shown = await show(console, 'clients')
  return Number(shown.find(({ port }) => port === stream.localPort)?.worker)
}

const own = (rows: readonly Row[]): Row[] => rows.filter(({ database }) => database === ref)

/** Four clients, two in each worker, each used once. */
async function clientsInBoth(): Promise<Client[]> {
  const clients = await world.clients(running, 4)
  for (const client of clients) await client.query('select 1')
  const [console] = await operators()
  const shown = own(await show(console, 'clients'))
  expect(new Set(shown.map(({ worker }) => worker))).toEqual(new Set([0, 1]))
  return clients
}

test('psql sees all workers as one, from whichever it is at', async (context) => {
  needsProgram(context, 'psql')
  const clients = await clientsInBoth()
  await Promise.all(clients.slice(0, 3).map((client) => client.query('begin')))
  const url = `postgres://latchkey@127.0.0.1:${running.ports.transaction}/latchkey`
  const options = { env: { PGPASSWORD: world.adminPassword } }
  const both = await Promise.all(
    [1, 2].map(async () => {
      const script =
        'show pools;\n\\echo --\nshow stats;\n\\echo --\nshow databases;\nshow state;\n'
      const { stdout, exitCode, stderr } = await psql(url, script, options)
      expect([exitCode, stderr]).toEqual([0, ''])
      return stdout
    }),
  )
  for (const text of both) {
    const [pools = '', stats = '', databases = ''] = text.split('--\n')
    const [pool = '', ...more] = pools.trim().split('\n')
    expect(more).toEqual([])
    const cells = pool.split('|')
    expect(cells.slice(0, 4)).toEqual([ref, world.role, '4', '0'])
    expect([cells[6], cells[17]]).toEqual(['3', String(poolSize)])
    expect(Number(stats.split('|')[1])).toBeGreaterThanOrEqual(4)
    expect(databases).toContain(`${ref}|`)
    expect(text).toContain('paused|no')
  }
  const [here, there] = await operators()
  for (const console of [here, there]) {
    const servers = own(await show(console, 'servers'))
    const joined = servers.filter(({ state }) => state === 'joined')
    expect(joined.length).toBe(3)
    const shown = await show(console, 'clients')
    // An id is that of one client, in whatever worker.
    expect(new Set(shown.map(({ id }) => id)).size).toBe(shown.length)
    for (const { id, link, worker } of joined) {
      expect(shown.find((client) => client.id === link)).toMatchObject({ link: id, worker })
    }
    const workers = await show(console, 'workers')
    expect(workers.map(({ worker, pid }) => ({ worker, pid }))).toEqual(
      running.workers
        .toSorted((one, other) => one.slot - other.slot)
        .map(({ slot, pid }) => ({ worker: slot, pid })),
    )
    expect(workers.reduce((sum, one) => sum + Number(one.clients), 0)).toBe(shown.length)
    const memory = await show(console, 'mem')
    expect(new Set(memory.map(({ worker }) => worker))).toEqual(new Set([0, 1]))
    const lists = await show(console, 'lists')
    expect(lists.find(({ list }) => list === 'used_clients')?.items).toBe(shown.length)
    expect(lists.find(({ list }) => list === 'pools')?.items).toBe(1)
  }
})

test('PAUSE waits for the transactions of all, holds in a worker that comes, and RESUME ends it', async () => {
  const clients = await clientsInBoth()
  const [here, there] = await operators()
  await Promise.all(clients.map((client) => client.query('begin')))
  let isAnswered = false
  const pausing = here.query(`pause ${ref}`).then(() => {
    isAnswered = true
  })
  await eventually(async () => own(await show(there, 'pools'))[0]?.paused === 'yes')
  for (const client of clients) {
    expect(isAnswered).toBe(false)
    await client.query('commit')
  }
  await pausing
  expect(await world.servers()).toBe(0)
  expect(await codeOf(there.query(`pause ${ref}`))).toContain('is paused already')
  const waiting = clients.map((client) => codeOf(client.query('select 1')))
  await eventually(async () => own(await show(there, 'pools'))[0]?.cl_waiting === 4)

  // The one that comes for a worker that died has heard of it.
  const before = await pids(here)
  process.kill(before[await workerOf(there)] as number, 'SIGKILL')
  await bothServe(here, before)
  const console = here
  const late = [world.client(running), world.client(running)].map((one) =>
    one.then((client) => client.query('select 1')),
  )
  await eventually(async () => own(await show(console, 'pools'))[0]?.cl_waiting === 4)
  expect(await world.servers()).toBe(0)
  await console.query(`resume ${ref}`)
  await Promise.all(late)
  const codes = await Promise.all(waiting)
  // Two were in the worker that died.
  expect(codes.filter((code) => code === 'none').length).toBe(2)
  expect(await codeOf(console.query(`resume ${ref}`))).toContain('is not paused')
})

test('a worker that dies in between leaves no command waiting', async () => {
  const [here, there] = await operators()
  const clients = await world.clients(running, 2)
  await Promise.all(clients.map((client) => client.query('begin')))
  const joined = own(await show(here, 'clients')).filter(({ state }) => state === 'joined')
  expect(new Set(joined.map(({ worker }) => worker))).toEqual(new Set([0, 1]))
  let isAnswered = false
  const pausing = here.query(`pause ${ref}`).then(() => {
    isAnswered = true
  })
  await eventually(async () => own(await show(there, 'pools'))[0]?.paused === 'yes')
  const victim = (await pids(there))[await workerOf(there)] as number
  const ended = new Set<Client>()
  for (const client of clients) client.once('end', () => ended.add(client))
  process.kill(victim, 'SIGKILL')
  await eventually(() => ended.size === 1)
  expect(isAnswered).toBe(false)
  for (const client of clients) if (!ended.has(client)) await client.query('commit')
  await pausing
  await here.query(`resume ${ref}`)
  await bothServe(here, [victim])
})

test('a worker that does not answer is said to be missing, in time', async () => {
  const [here, there] = await operators()
  const notices: unknown[] = []
  here.on('notice', ({ message }) => notices.push(message))
  const stopped = (await pids(here))[await workerOf(there)] as number
  process.kill(stopped, 'SIGSTOP')
  try {
    expect((await show(here, 'workers')).length).toBe(1)
    expect(notices).toEqual(['1 of 2 workers did not answer in time: theirs is missing here'])
    const silence = '1 of 2 workers did not answer in time'
    expect(await codeOf(here.query(`reconnect ${ref}`))).toContain(silence)
    expect(await codeOf(here.query(`disable ${ref}`))).toContain(silence)
  } finally {
    process.kill(stopped, 'SIGCONT')
  }
  // It has heard of it when it goes on.
  await eventually(async () => (await codeOf(world.client(running))).includes('disabled'))
  expect(await codeOf(world.client(running))).toContain('disabled')
  await here.query(`enable ${ref}`)
})

test('a first process that stands still leaves no command waiting', async () => {
  const [here] = await operators()
  const notices: unknown[] = []
  here.on('notice', ({ message }) => notices.push(message))
  const stopped = running.main.pid
  process.kill(stopped, 'SIGSTOP')
  try {
    expect((await show(here, 'workers')).length).toBe(1)
    expect(notices).toEqual(['1 of 2 workers did not answer in time: theirs is missing here'])
  } finally {
    process.kill(stopped, 'SIGCONT')
  }
  await eventually(async () => (await show(here, 'workers')).length === 2)
})

test('RECONNECT, KILL_CLIENT, KILL, DISABLE and ENABLE reach clients in all', async () => {
  const clients = await clientsInBoth()
  const [here] = await operators()
  const backends = async (some: readonly Client[]): Promise<unknown[]> => {
    await Promise.all(some.map((client) => client.query('begin')))
    const rows = await Promise.all(
      some.map(
        async (one) => (await one.query<Row>('select pg_backend_pid() as pid')).rows[0]?.pid,
      ),
    )
    await Promise.all(some.map((client) => client.query('commit')))
    return rows
  }
  const before = new Set(await backends(clients))
  await here.query(`reconnect ${ref}`)
  await here.query(`wait_close ${ref}`)
  for (const pid of await backends(clients)) expect(before.has(pid)).toBe(false)

  const shown = own(await show(here, 'clients'))
  const ended = new Set<Client>()
  for (const client of clients) client.once('end', () => ended.add(client))
  for (const worker of [0, 1]) {
    const { id } = shown.find((one) => one.worker === worker) ?? {}
    await here.query(`kill_client ${id}`)
    expect(await codeOf(here.query('kill_client 987654321'))).toContain('there is no client')
  }
  await eventually(() => ended.size === 2)

  await here.query(`disable ${ref}`)
  const refusals = [await codeOf(world.client(running)), await codeOf(world.client(running))]
  for (const code of refusals) expect(code).toContain('an operator disabled it')
  await here.query(`enable ${ref}`)
  await world.clients(running, 2)

  await here.query(`kill ${ref}`)
  await eventually(() => ended.size === clients.length)
  await here.query(`resume ${ref}`)
  await world.clients(running, 2)
})

test('SHUTDOWN WAIT_FOR_CLIENTS lets clients of all go on, and ends all when they have left', async () => {
  const clients = await clientsInBoth()
  const console = await operator()
  await console.query('shutdown wait_for_clients')
  await Promise.all(clients.map((client) => client.query('select 1')))
  expect(running.main.isRunning).toBe(true)
  world.leave()
  expect(await running.main.exited).toEqual({ code: 0, signal: null })
  for (const { pid } of running.workers) expect(isAlive(pid)).toBe(false)
})

test('SHUTDOWN ends clients of all at once', async () => {
  running = await world.start()
  const clients = await clientsInBoth()
  const codes = clients.map((client) => codeOf(client.query('select pg_sleep(600)')))
  await (await operator()).query('shutdown')
  for (const code of await Promise.all(codes)) expect(code).not.toContain('none')
  expect(await running.main.exited).toEqual({ code: 0, signal: null })
})
