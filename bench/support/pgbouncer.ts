// PgBouncer as the yardstick: transaction mode, the same pool size, SCRAM on both sides, no TLS.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { freePort } from '../../pooler/embedded/free-port.ts'
import { makeCertificate } from './certificate.ts'
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

/** From 1.21 on. */
export const hasPreparedIn = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 1 || minor >= 21
}

// Distributions put it where only root's PATH leads.
const binaryPath = { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin` }
const sessionDatabase = 'bench_session'

export async function startPgBouncer(
  postgres: BenchPostgres,
  poolSize: number,
  hasPrepared: boolean,
  upstreamPort: number,
): Promise<PgBouncerRun> {
  const port = await freePort()
  if (port === null) throw new Error('no free loopback port')
  const settings = {
    pool_mode: 'transaction',
    default_pool_size: String(poolSize),
    max_client_conn: '20000',
    auth_type: 'scram-sha-256',
    so_reuseport: '0',
    ...(hasPrepared && { max_prepared_statements: '500' }),
    client_tls_sslmode: 'allow',
    log_connections: '0',
    log_disconnections: '0',
  }
  const upstream = `host=127.0.0.1 port=${upstreamPort} dbname=${benchDatabase}`
  const certificate = await makeCertificate()
  const usersFile = await postgres.keep('pgbouncer-users', await usersText(postgres))
  const iniFile = await postgres.keep(
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
      `client_tls_cert_file = ${await postgres.keep('pgbouncer.crt', certificate.cert)}`,
      `client_tls_key_file = ${await postgres.keep('pgbouncer.key', certificate.key)}`,
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
    target: { name: 'pgbouncer', pid: service.pid, hasPrepared, transaction, session },
    settings,
  }
}

/** Verifiers, not passwords: from a password it would derive new keys at each login. */
async function usersText(postgres: BenchPostgres): Promise<string> {
  const rows = await postgres.query(
    'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY ($1)',
    [[appRole, otherRole]],
  )
  return rows.map(({ rolname, rolpassword }) => `"${rolname}" "${rolpassword}"\n`).join('')
}
