// By the documentation of PgCat (CONFIG.md and the example files of its repository).
import { linesOf, type Pooler } from './pooler.ts'

export const pgCat: Pooler = {
  name: 'pgcat',
  program: 'pgcat',
  setting: 'BENCH_PGCAT',
  versionPattern: /(\d+\.\d+\S*)/,
  setup({ port, upstream, poolSize, roles, certificateFile, keyFile, file }) {
    const general = {
      worker_threads: '1',
      log_client_connections: 'false',
      log_client_disconnections: 'false',
      // The queue of 256 clients before 20 servers is part of what is measured.
      connect_timeout: '60000',
    }
    const pool = {
      pool_mode: '"transaction"',
      prepared_statements_cache_size: '500',
      query_parser_enabled: 'false',
    }
    const pair = (name: string, value: string): string => `${name} = ${value}`
    const { database } = upstream
    const users = roles.map(
      ({ name, password }, index) => `[pools.${database}.users.${index}]
username = "${name}"
password = "${password}"
pool_size = ${poolSize}
`,
    )
    const config = `[general]
host = "127.0.0.1"
port = ${port}
enable_prometheus_exporter = false
admin_username = "console"
admin_password = "${roles[0]?.password}"
tls_certificate = "${certificateFile}"
tls_private_key = "${keyFile}"
${linesOf(general, pair)}

[pools.${database}]
${linesOf(pool, pair)}

${users.join('\n')}
[pools.${database}.shards.0]
servers = [["${upstream.host}", ${upstream.port}, "primary"]]
database = "${database}"
`
    return {
      files: { 'config.toml': config },
      args: [file('config.toml')],
      settings: { ...general, ...pool, pool_size: String(poolSize), clients: 'log in by MD5' },
      lacks: { scram: 'its clients log in by MD5' },
    }
  },
}
