// By the documentation of Odyssey (docs/configuration of its repository).
import { linesOf, type Pooler } from './pooler.ts'

export const odyssey: Pooler = {
  name: 'odyssey',
  program: 'odyssey',
  setting: 'BENCH_ODYSSEY',
  versionPattern: /(\d+\.\d+\S*)/,
  setup({ port, folder, upstream, poolSize, roles, certificateFile, keyFile, file }) {
    const general = {
      workers: '1',
      resolvers: '1',
      log_session: 'no',
      log_query: 'no',
      log_stats: 'no',
    }
    const pool = {
      pool: '"transaction"',
      pool_size: String(poolSize),
      // It waits for a server as long as it takes.
      pool_timeout: '0',
      pool_discard: 'no',
      pool_reserve_prepared_statement: 'yes',
      authentication: '"scram-sha-256"',
    }
    const pair = (name: string, value: string): string => `${name} ${value}`
    const users = roles.map(
      ({ name, password, verifier }) => `  user "${name}" {
    storage "postgres"
    storage_user "${name}"
    storage_password "${password}"
    password "${verifier}"
${linesOf(pool, (setting, value) => `    ${pair(setting, value)}`)}
  }`,
    )
    const conf = `daemonize no
locks_dir "${folder}"
log_format "%l %m\\n"
log_to_stdout yes
${linesOf(general, pair)}

listen {
  host "127.0.0.1"
  port ${port}
  tls "allow"
  tls_cert_file "${certificateFile}"
  tls_key_file "${keyFile}"
}

storage "postgres" {
  type "remote"
  host "${upstream.host}"
  port ${upstream.port}
}

database "${upstream.database}" {
${users.join('\n')}
}
`
    return { files: { conf }, args: [file('conf')], settings: { ...general, ...pool } }
  },
}
