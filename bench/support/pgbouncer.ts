// PgBouncer as the yardstick: transaction mode, the same pool size, SCRAM on both sides, no TLS.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../../pooler/embedded/free-port.ts'
import { appRole, type BenchPostgres, benchDatabase, otherRole } from './postgres.ts'
import { Service, untilServing } from './service.ts'
import { checkLogin, type Target } from './target.ts'

export interface PgBouncerRun {
  readonly service: Service
  readonly target: Target
  /** The lines of its ini file that decide the comparison. */
  readonly settings: Readonly<Record<string, string>>
}

/** Null where it is not installed. */
export async function pgBouncerVersion(): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)('pgbouncer', ['--version'], { env: binaryPath })
    return /^PgBouncer (\S+)/m.exec(stdout)?.[1] ?? null
  } catch {
    return null
  }
}

// Distributions put it where only root's PATH leads.
const binaryPath = { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin` }
const sessionDatabase = 'bench_session'

export async function startPgBouncer(
  postgres: BenchPostgres,
  poolSize: number,
): Promise<PgBouncerRun> {
  const port = await freePort()
  if (port === null) throw new Error('no free loopback port')
  const settings = {
    pool_mode: 'transaction',
    default_pool_size: String(poolSize),
    max_client_conn: '1000',
    auth_type: 'scram-sha-256',
    so_reuseport: '0',
  }
  const upstream = `host=127.0.0.1 port=${postgres.port} dbname=${benchDatabase}`
  const usersFile = await writeFor(postgres, 'pgbouncer-users', usersText(postgres))
  const iniFile = await writeFor(
    postgres,
    'pgbouncer.ini',
    [
      '[databases]',
      `${benchDatabase} = ${upstream}`,
      `${sessionDatabase} = ${upstream} pool_mode=session`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      `auth_file = ${usersFile}`,
      ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
      '',
    ].join('\n'),
  )
  // It refuses to run as root, as Postgres does, so it runs as the same user.
  const service = new Service('pgbouncer', postgres.user.spawn('pgbouncer', [iniFile]))
  const transaction = { ...postgres.address(), port }
  const session = { ...transaction, database: sessionDatabase }
  await untilServing(service, () => checkLogin(transaction))
  return {
    service,
    target: { name: 'pgbouncer', pid: service.pid, transaction, session },
    settings,
  }
}

const usersText = (postgres: BenchPostgres): string =>
  [appRole, otherRole].map((role) => `"${role}" "${postgres.rolePassword}"\n`).join('')

async function writeFor(postgres: BenchPostgres, name: string, text: string): Promise<string> {
  const path = join(postgres.folder, name)
  await writeFile(path, text, { mode: 0o600 })
  await postgres.user.adopt(path)
  return path
}
