// Postgres' own programs that copy a whole server and its log, through the session port. They refuse
// servers newer than themselves: theirs here is Debian's, as they are.
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { hasPostgres15, OldPostgres } from '../support/old-postgres.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { isProgramMissing, Program, programVersion, runProgram } from '../support/program.ts'

const programs = '/usr/lib/postgresql/15/bin'
const isReady = hasPostgres15 && !isProgramMissing('pg_basebackup') && is15('pg_receivewal')
const reason = 'Debian’s Postgres 15 and its client programs are not installed'

function is15(file: string): boolean {
  return !isProgramMissing(file) && programVersion(file) === 15
}

let postgres: OldPostgres
let pooled: PooledPostgres
let folder: string
beforeAll(async () => {
  if (!isReady) return
  postgres = await OldPostgres.start()
  pooled = await PooledPostgres.start(postgres, { poolSize: 2, attributes: 'REPLICATION' })
  folder = await mkdtemp(join(tmpdir(), 'latchkey-backup-'))
})
afterAll(async () => {
  if (!isReady) return
  await pooled.stop()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
})

beforeEach((context) => context.skip(!isReady, reason))

const env = () => ({ PGPASSWORD: pooled.password })

function where(): string[] {
  const { user, port } = pooled.target('session')
  return ['-h', '127.0.0.1', '-p', String(port), '-U', user, '--no-password']
}

test.each(['stream', 'fetch'])(
  'pg_basebackup copies a server whose log it gets by %s, and the copy verifies',
  async (method) => {
    const target = join(folder, `by-${method}`)
    await postgres.query(
      `create table by_${method} as select repeat('x', 200) from generate_series(1, 20000)`,
    )
    const args = ['-D', target, '-X', method, '--checkpoint=fast', '--no-sync', ...where()]
    const made = await runProgram('pg_basebackup', args, { env: env() })
    expect(made.stderr).toBe('')
    expect(made.exitCode).toBe(0)
    const verified = await runProgram(join(programs, 'pg_verifybackup'), [target])
    expect(verified.stderr).toBe('')
    expect(verified.stdout).toContain('backup successfully verified')
  },
)

test('pg_receivewal makes a slot, receives the log up to the end that it was given, and drops the slot', async () => {
  const slot = ['--slot', 'received']
  const run = (args: readonly string[]) =>
    runProgram('pg_receivewal', [...slot, ...args, ...where()], { env: env() })
  expect(await run(['--create-slot'])).toMatchObject({ exitCode: 0, stderr: '' })
  await postgres.query('create table logged as select generate_series(1, 1000)')
  const [row] = await postgres.query('select pg_current_wal_lsn()::text as end')
  const target = ['-D', folder, '--no-loop', '--no-sync', '--endpos', String(row?.end)]
  const receiving = new Program('pg_receivewal', [...slot, ...target, ...where()], { env: env() })
  let hasEnded = false
  void receiving.finished.then(() => {
    hasEnded = true
  })
  // Further log takes it over the end.
  await eventually(async () => {
    await postgres.query('select pg_current_xact_id()')
    return hasEnded
  })
  expect(await receiving.finished).toMatchObject({ exitCode: 0 })
  const files = (await readdir(folder)).filter((name) => /^[0-9A-F]{24}(\.partial)?$/.test(name))
  expect(files.length).toBeGreaterThan(0)
  expect((await stat(join(folder, files[0] as string))).size).toBe(16 * 1024 * 1024)
  expect(await run(['--drop-slot'])).toMatchObject({ exitCode: 0, stderr: '' })
  expect(await postgres.query('select * from pg_replication_slots')).toEqual([])
})
