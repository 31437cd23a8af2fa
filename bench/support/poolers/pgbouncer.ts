import { linesOf, type Pooler } from './pooler.ts'

export const pgBouncer: Pooler = {
  name: 'pgbouncer',
  program: 'pgbouncer',
  setting: 'BENCH_PGBOUNCER',
  versionPattern: /^PgBouncer (\S+)/m,
  setup({ version, port, upstream, poolSize, roles, certificateFile, keyFile, file }) {
    const hasPrepared = hasPreparedIn(version)
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
    const ini = `[databases]
${upstream.database} = host=${upstream.host} port=${upstream.port} dbname=${upstream.database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_file = ${file('users')}
client_tls_cert_file = ${certificateFile}
client_tls_key_file = ${keyFile}
${linesOf(settings, (name, value) => `${name} = ${value}`)}
`
    // Verifiers, not passwords: from a password it would derive new keys at each login.
    const users = roles.map(({ name, verifier }) => `"${name}" "${verifier}"\n`).join('')
    return {
      files: { ini, users },
      args: [file('ini')],
      settings,
      lacks: hasPrepared ? {} : { prepared: 'has it in transaction mode from 1.21 on' },
    }
  },
}

export const hasPreparedIn = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 1 || minor >= 21
}
