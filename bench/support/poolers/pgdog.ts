// By the documentation of PgDog (docs.pgdog.dev, configuration of pgdog.toml and users.toml).
import { linesOf, type Pooler } from './pooler.ts'

export const pgDog: Pooler = {
  name: 'pgdog',
  program: 'pgdog',
  setting: 'BENCH_PGDOG',
  versionPattern: /v?(\d+\.\d+\S*)/,
  setup({ port, upstream, poolSize, roles, certificateFile, keyFile, file }) {
    const settings = {
      workers: '1',
      pooler_mode: '"transaction"',
      default_pool_size: String(poolSize),
      auth_type: '"scram"',
      prepared_statements: '"extended"',
      log_connections: 'false',
      log_disconnections: 'false',
      // The queue of 256 clients before 20 servers is part of what is measured.
      checkout_timeout: '60000',
    }
    const config = `[general]
host = "127.0.0.1"
port = ${port}
tls_certificate = "${certificateFile}"
tls_private_key = "${keyFile}"
tls_verify = "disabled"
${linesOf(settings, (name, value) => `${name} = ${value}`)}

[[databases]]
name = "${upstream.database}"
host = "${upstream.host}"
port = ${upstream.port}
`
    const users = roles.map(
      ({ name, password }) =>
        `[[users]]\nname = "${name}"\ndatabase = "${upstream.database}"\npassword = "${password}"\n`,
    )
    return {
      files: { 'config.toml': config, 'users.toml': users.join('\n') },
      args: [`--config=${file('config.toml')}`, `--users=${file('users.toml')}`],
      settings,
    }
  },
}
