// SIGUSR2: a new process in the place of the old one, on the same sockets, while clients come and go;
// alone, and in front of workers.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { freePorts, MainProcess, type Ports, portSettings } from '../support/main-process.ts'
import { OwnMetadata } from '../support/own-metadata.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { needsProgram, runProgram } from '../support/program.ts'
import { RawClient } from '../support/raw-client.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'

let metadata: OwnMetadata
let main: MainProcess | null = null
const clients: RawClient[] = []
const folders: string[] = []

beforeAll(async () => {
  metadata = await OwnMetadata.make()
})
afterAll(() => metadata.drop())
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const pid of successors()) kill(pid, 'SIGKILL')
  await main?.end()
  main = null
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function start(workers: number, changes: Record<string, string> = {}): Promise<Ports> {
  const ports = await freePorts()
  const settings = { ...metadata.env, ...portSettings(ports) }
  const env = { ...settings, POOLER_WORKERS: String(workers), ...changes }
  main = new MainProcess({ env })
  await main.ready()
  return ports
}

/** Process ids of all that came after the first; they write to the same output. */
const successors = (): number[] =>
  [...(main?.stdout ?? '').matchAll(/"successor":(\d+)/g)].map(([, pid]) => Number(pid))

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Replaces the process that serves; fulfilled when the new one does. */
async function replace(): Promise<void> {
  const before = successors().length
  kill(successors().at(-1) ?? (main as MainProcess).pid, 'SIGUSR2')
  await eventually(() => successors().length > before)
}

async function enter(port: number): Promise<RawClient> {
  const client = await RawClient.loggedIn({ port, ...metadata.login })
  clients.push(client)
  return client
}

/** Keeps what systemd would be told. */
class Supervisor {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async make(): Promise<Supervisor> {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-supervisor-'))
    folders.push(folder)
    const script = `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${join(folder, 'told')}\n`
    await writeFile(join(folder, 'systemd-notify'), script, { mode: 0o755 })
    return new Supervisor(folder)
  }

  get env(): Record<string, string> {
    return { NOTIFY_SOCKET: '/run/some', PATH: `${this.#folder}:${process.env.PATH ?? ''}` }
  }

  async told(): Promise<string[]> {
    return (await readFile(join(this.#folder, 'told'), 'utf8')).trim().split('\n')
  }
}

describe.each([{ workers: 1 }, { workers: 2 }])('with $workers of them', ({ workers }) => {
  test('clients that connect for each query lose nothing over two replacements', async (context) => {
    needsProgram(context, 'pgbench')
    const { transaction } = await start(workers)
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-succession-'))
    folders.push(folder)
    const script = join(folder, 'script.sql')
    await writeFile(script, 'SELECT 1;\n')
    const { user, password, database } = metadata.login
    const options = { env: { PGPASSWORD: password } }
    const where = ['-h', '127.0.0.1', '-p', String(transaction), '-U', user]
    const load = ['-n', '-C', '-c', '2', '-T', '1', '-f', script]
    let isOver = false
    const bench = async () => {
      while (!isOver) {
        const { exitCode, stdout, stderr } = await runProgram(
          'pgbench',
          [...where, ...load, database],
          options,
        )
        expect(stderr.replace(/^pgbench \(.*\n/, '')).toBe('')
        expect(exitCode).toBe(0)
        expect(stdout).toContain('number of failed transactions: 0')
      }
    }
    const running = Promise.all([bench(), bench()])
    await Promise.race([running, replace().then(replace)])
    isOver = true
    await running
    const [first = 0] = successors()
    await eventually(() => !main?.isRunning && !isAlive(first))
  })

  test('who is in a transaction ends it in the old process, newcomers are in the new one, and the supervisor knows', async () => {
    const supervisor = await Supervisor.make()
    const ports = await start(workers, supervisor.env)
    const old = await enter(ports.transaction)
    const resting = await enter(ports.session)
    await resting.query('select 1')
    await resting.untilReady()
    await old.query('begin')
    await old.untilReady()
    await replace()
    const fresh = await enter(ports.transaction)
    await fresh.query('select 1')
    await fresh.untilReady()
    const farewell = await resting.readAll()
    expect(errorFields(farewell.at(-1)?.body as Buffer).C).toBe('57P01')
    expect(main?.isRunning).toBe(true)
    await old.query('commit')
    expect(typesOf(await old.untilReady())).toBe('CZ')
    await old.readAll()
    await eventually(() => !main?.isRunning)
    expect(main?.isRunning).toBe(false)
    expect((await fetch(`http://127.0.0.1:${ports.api}/api/ready`)).status).toBe(204)
    await fresh.query('select 1')
    await fresh.untilReady()
    const [successor = 0] = successors()
    kill(successor, 'SIGTERM')
    await eventually(() => !isAlive(successor))
    expect(await supervisor.told()).toEqual([
      `/run/some READY=1 MAINPID=${main?.pid}`,
      `/run/some READY=1 MAINPID=${successor}`,
      '/run/some STOPPING=1',
    ])
  })

  test('a first SIGTERM does not hurry a process that is being replaced, a second one ends it', async () => {
    const { transaction } = await start(workers)
    const old = main as MainProcess
    const client = await enter(transaction)
    await client.query('begin')
    await client.untilReady()
    await replace()
    old.kill('SIGTERM')
    await old.says('finishing already; a second signal stops at once')
    await client.query('select 1')
    expect(typesOf(await client.untilReady())).toBe('TDCZ')
    old.kill('SIGTERM')
    await eventually(() => !old.isRunning)
  })

  test('a cancel reaches who is still in the old process, over two replacements', async () => {
    const { transaction } = await start(workers)
    const client = await RawClient.connect({ port: transaction })
    clients.push(client)
    const { processId, secret } = await client.login(metadata.login)
    await client.query('select pg_sleep(60)')
    await eventually(async () => {
      const found = await sharedPostgres().query(
        `SELECT FROM pg_stat_activity WHERE usename = '${metadata.role}' AND wait_event = 'PgSleep'`,
      )
      return found.length > 0
    })
    await replace()
    await replace()
    const wrong = Buffer.from(secret.map((byte) => byte ^ 1))
    await client.cancel(processId, wrong)
    expect(client.pending()).toEqual([])
    await client.cancel(processId, secret)
    const answer = await client.untilReady()
    expect(errorFields(answer.at(-2)?.body as Buffer)).toMatchObject({ C: '57014' })
    expect(main?.isRunning).toBe(true)
  })

  test('a successor that does not come up changes nothing', async () => {
    const { transaction } = await start(workers)
    const client = await enter(transaction)
    const forbid = (isAllowed: boolean) =>
      sharedPostgres().query(`ALTER DATABASE "${metadata.name}" ALLOW_CONNECTIONS ${isAllowed}`)
    await forbid(false)
    try {
      kill((main as MainProcess).pid, 'SIGUSR2')
      await main?.says('the new process did not come up; this one goes on')
    } finally {
      await forbid(true)
    }
    await client.query('select 1')
    await client.untilReady()
    await enter(transaction)
  })
})

test('when all workers of a successor die at once, the ports are opened anew', async () => {
  const { transaction } = await start(2)
  await replace()
  await eventually(() => !main?.isRunning)
  const serving = (main?.stdout ?? '')
    .split('\n')
    .filter((line) => line.includes('a worker serves'))
  const pids = serving.slice(-2).map((line) => (JSON.parse(line) as { pid: number }).pid)
  for (const pid of pids) kill(pid, 'SIGKILL')
  // Whoever comes right now may be given to one of the dead: they are served or they end.
  const early = Array.from({ length: 4 }, () => enter(transaction).catch((error: Error) => error))
  for (const one of await Promise.all(early)) {
    if (one instanceof Error) expect(one.message).not.toContain('stream open')
  }
  const client = await eventually(() => enter(transaction))
  await client.query('select 1')
  await client.untilReady()
})

/** Of a process that has no workers. */
async function childOf(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  const [child = Number.NaN] = children.split(' ').flatMap((text) => Number(text) || [])
  return child
}

/** Nobody gets past the migrations until the client that is returned has ended. */
async function lockedMigrations(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: sharedPostgres().url(metadata.name) })
  await client.connect()
  await client.query('BEGIN; LOCK TABLE latchkey.kysely_migration IN ACCESS EXCLUSIVE MODE')
  return client
}

async function isLockAwaited(): Promise<boolean> {
  const waiting = `SELECT FROM pg_stat_activity
    WHERE datname = '${metadata.name}' AND wait_event_type = 'Lock'`
  return (await sharedPostgres().query(waiting)).length > 0
}

describe.each([
  ['has only been started', () => true],
  ['brings the metadata up to date', isLockAwaited],
])('a successor that %s', (_name, isFar) => {
  test.each(['SIGTERM', 'SIGKILL'] as const)('ends with its predecessor by %s', async (signal) => {
    const { transaction } = await start(1)
    const old = main as MainProcess
    const operator = await lockedMigrations()
    let successor = Number.NaN
    try {
      old.kill('SIGUSR2')
      successor = await eventually(async () => (await childOf(old.pid)) || false)
      await eventually(isFar)
      old.kill(signal)
      await eventually(() => !old.isRunning && !isAlive(successor))
    } finally {
      if (!Number.isNaN(successor)) kill(successor, 'SIGKILL')
      await operator.end()
    }
    expect(await old.exited).toMatchObject(
      signal === 'SIGTERM' ? { code: 0, signal: null } : { code: null, signal },
    )
    expect(old.stdout.match(/"msg":"ready"/g)).toHaveLength(1)
    expect(old.stdout + old.stderr).not.toContain('a fault')
    await expect(enter(transaction)).rejects.toThrow('wanted a TCP connection')
  })
})
