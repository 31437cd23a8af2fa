import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EmbeddedPostgres } from '../../pooler/embedded/embedded-postgres.ts'
import { isAlive } from '../../pooler/embedded/running-process.ts'
import { findServerBinaries } from '../../pooler/embedded/server-binaries.ts'
import { ServerUser } from '../../pooler/embedded/server-user.ts'
import { StartError } from '../../pooler/embedded/start-error.ts'
import { nullLog as log } from '../../shared/log.ts'
import { eventually } from '../support/eventually.ts'

const root = join(import.meta.dirname, '../..')
let parent: string
let home: string
const started: EmbeddedPostgres[] = []

// mkdtemp makes the parent 0700 and, for root, root's: as a project below /root is.
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'latchkey-home-'))
  home = join(parent, '.latchkey')
})

afterEach(async () => {
  for (const postgres of started.splice(0)) await postgres.stop()
  await rm(parent, { recursive: true, force: true })
})

async function start(port?: number): Promise<EmbeddedPostgres> {
  const postgres = await EmbeddedPostgres.start(
    port === undefined ? { home, log } : { home, port, log },
  )
  started.push(postgres)
  return postgres
}

async function faultOf(run: Promise<unknown>): Promise<string> {
  const error = await run.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(StartError)
  const line = (error as StartError).message
  expect(line).not.toContain('\n')
  return line
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

async function postmasterId(): Promise<number> {
  const text = await readFile(join(home, 'postgres/data/postmaster.pid'), 'utf8')
  return Number(text.split('\n')[0])
}

test('a second start finds the data, the password and the port of the first', async () => {
  const first = await start()
  await query(first.url('postgres'), 'CREATE TABLE kept AS SELECT 7 AS n')
  await first.stop()
  await expect(query(first.url('postgres'), 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
  const second = await start()
  expect(second.url('postgres')).toBe(first.url('postgres'))
  expect(await query(second.url('postgres'), 'SELECT n FROM kept')).toEqual([{ n: 7 }])
})

test('only SCRAM gets in, and the superuser is latchkey_admin', async () => {
  const postgres = await start()
  const rows = await query(
    postgres.url('postgres'),
    "SELECT DISTINCT auth_method, error, current_user AS who FROM pg_hba_file_rules, current_setting('x.y', true)",
  )
  expect(rows).toEqual([{ auth_method: 'scram-sha-256', error: null, who: 'latchkey_admin' }])
  const wrong = postgres.url('postgres').replace(/:[^:@]+@/, ':wrong@')
  await expect(query(wrong, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' })
  const [listens] = await query(
    postgres.url('postgres'),
    "SELECT current_setting('listen_addresses') AS tcp, current_setting('unix_socket_directories') AS unix",
  )
  expect(listens).toEqual({ tcp: '127.0.0.1', unix: '' })
})

test('everything in the folder is closed to others', async () => {
  await (await start()).stop()
  const open: string[] = []
  for (const name of await readdir(home, { recursive: true })) {
    const { mode } = await stat(join(home, name))
    if ((mode & 0o077) !== 0) open.push(`${name} ${mode.toString(8)}`)
  }
  expect(open).toEqual([])
  expect((await stat(home)).mode & 0o777).toBe(0o700)
})

test('a folder in use is refused with the number of the process that has it', async () => {
  await start()
  expect(await faultOf(start())).toContain(`process ${process.pid} already runs`)
})

test('a folder with files of somebody else is neither used nor closed', async () => {
  await mkdir(home, { mode: 0o755 })
  await writeFile(join(home, 'holiday.jpg'), '')
  expect(await faultOf(start())).toContain('LATCHKEY_HOME')
  expect((await stat(home)).mode & 0o777).toBe(0o755)
  expect(await readdir(home)).toEqual(['holiday.jpg'])
})

test('data of another major version are named and left alone', async () => {
  const first = await start()
  await first.stop()
  const versionFile = join(home, 'postgres/data/PG_VERSION')
  await writeFile(versionFile, '17\n')
  expect(await faultOf(start())).toContain('was made by Postgres 17')
  expect(await readFile(versionFile, 'utf8')).toBe('17\n')
})

test('a port in use is named', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as { port: number }
  expect(await faultOf(start(port))).toContain(`port ${port} `)
  other.close()
})

test('without a fixed port a start goes round a port that was taken meanwhile', async () => {
  const first = await start()
  await first.stop()
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(first.port, '127.0.0.1', resolve))
  const second = await start()
  expect(second.port).not.toBe(first.port)
  other.close()
})

test('a postmaster.pid with the number of a stranger does not hold up the start', async () => {
  const first = await start()
  await first.stop()
  const path = join(home, 'postgres/data/postmaster.pid')
  await writeFile(path, `${process.pid}\n${home}/postgres/data\n1\n5432\n\n127.0.0.1\n`)
  const second = await start()
  expect(await query(second.url('postgres'), 'SELECT 1 AS n')).toEqual([{ n: 1 }])
})

test('a lock whose process is gone, or whose number lives on in another process, is taken over', async () => {
  await (await start()).stop()
  await writeFile(join(home, 'lock'), `${process.pid} 1\n`)
  if (process.platform === 'linux') await (await start()).stop()
  const gone = spawn(process.execPath, ['--version'])
  await new Promise((resolve) => gone.once('close', resolve))
  await writeFile(join(home, 'lock'), `${gone.pid} 1\n`)
  await start()
})

test('a server that was left running is stopped before the next one starts', async () => {
  const first = await start()
  await first.stop()
  const { postgres } = await findServerBinaries()
  const dataDirectory = join(home, 'postgres/data')
  const user = await ServerUser.find(postgres, join(home, 'postgres'))
  const left = user.spawn(postgres, ['-D', dataDirectory, '-p', String(first.port)])
  const ended = new Promise((resolve) => left.once('close', resolve))
  left.stdout?.resume()
  left.stderr?.resume()
  await eventually(async () => (await postmasterId()) === left.pid)
  const second = await start()
  await ended
  expect(await query(second.url('postgres'), 'SELECT 1 AS n')).toEqual([{ n: 1 }])
})

async function startInOtherProcess(): Promise<{ child: ChildProcess; server: number }> {
  const script = `
    import { EmbeddedPostgres } from '${root}/pooler/embedded/embedded-postgres.ts'
    import { nullLog } from '${root}/shared/log.ts'
    await EmbeddedPostgres.start({ home: process.argv[1], log: nullLog })
    process.stdout.write('ready')
    process.once('SIGTERM', () => process.exit(0))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, home], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((resolve) => child.stdout?.once('data', resolve))
  return { child, server: await postmasterId() }
}

test('process.exit without stop leaves no server behind', async () => {
  const { child, server } = await startInOtherProcess()
  child.kill('SIGTERM')
  await eventually(() => !isAlive(server))
})

// Elsewhere the next start stops what was left (see above).
test.runIf(process.platform === 'linux')('nor does SIGKILL', async () => {
  const { child, server } = await startInOtherProcess()
  child.kill('SIGKILL')
  await eventually(() => !isAlive(server))
  const next = await start()
  expect(await query(next.url('postgres'), 'SELECT 1 AS n')).toEqual([{ n: 1 }])
})

test('an install without development dependencies is told to set DATABASE_URL', async () => {
  const folder = join(parent, 'pooler/embedded')
  await mkdir(folder, { recursive: true })
  await writeFile(join(parent, 'package.json'), '{"type":"module"}')
  for (const file of ['server-binaries.ts', 'start-error.ts']) {
    await cp(join(root, 'pooler/embedded', file), join(folder, file))
  }
  const script = `import { findServerBinaries } from '${folder}/server-binaries.ts'
    await findServerBinaries().catch((error) => process.stdout.write(error.name + ' ' + error.message))`
  const args = ['--input-type=module', '-e', script]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: parent })
  expect(stdout).toMatch(/^StartError .*set DATABASE_URL/)
})
