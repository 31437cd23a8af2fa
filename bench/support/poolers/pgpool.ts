// Pgpool-II is no pooler of transactions: each client has one of its processes, and that process a
// server, kept for the next client of the same role. It takes part as what people have in that place.
import { linesOf, type Pooler } from './pooler.ts'

/** What the scenarios with load need; the crowds of `idle` and `neighbours` are beyond it. */
const processesMax = 288

export const pgpool: Pooler = {
  name: 'pgpool',
  program: 'pgpool',
  setting: 'BENCH_PGPOOL',
  versionPattern: /version (\S+)/,
  setup({ port, otherPort, folder, upstream, roles, certificateFile, keyFile, serversMax, file }) {
    const clientsMax = Math.min(processesMax, serversMax)
    const settings = {
      backend_clustering_mode: 'raw',
      num_init_children: String(clientsMax),
      max_pool: '1',
      connection_cache: 'on',
      enable_pool_hba: 'on',
      ssl: 'on',
      log_connections: 'off',
      log_disconnections: 'off',
      log_min_messages: 'warning',
    }
    const places = {
      listen_addresses: '127.0.0.1',
      port: String(port),
      pcp_listen_addresses: '',
      pcp_port: String(otherPort),
      socket_dir: folder,
      pcp_socket_dir: folder,
      wd_ipc_socket_dir: folder,
      logdir: folder,
      pid_file_name: file('pid'),
      backend_hostname0: upstream.host,
      backend_port0: String(upstream.port),
      pool_passwd: file('passwords'),
      ssl_cert: certificateFile,
      ssl_key: keyFile,
    }
    const conf = linesOf({ ...places, ...settings }, (name, value) => `${name} = '${value}'`)
    return {
      files: {
        conf: `${conf}\n`,
        hba: 'host all all 127.0.0.1/32 scram-sha-256\n',
        // It logs in to Postgres itself, and for that has to know the password.
        passwords: roles.map(({ name, password }) => `${name}:TEXT${password}\n`).join(''),
        pcp: '',
      },
      // In the foreground, and without what an earlier one thought of its servers.
      args: ['-n', '-D', '-f', file('conf'), '-a', file('hba'), '-F', file('pcp')],
      settings: { ...settings, pools: 'sessions: a process and a server for each client' },
      clientsMax,
      hasSharedMemory: true,
    }
  },
}
