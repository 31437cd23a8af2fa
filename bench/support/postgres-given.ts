// A Postgres that somebody gives us (BENCH_DATABASE_URL), on this machine or another. Its process is not
// ours: it is neither measured nor restarted.
import { lookup } from 'node:dns/promises'
import { ServerUser } from '../../pooler/embedded/server-user.ts'
import type { PostgresSource } from './postgres-source.ts'

const setting = 'BENCH_DATABASE_URL'

/** `url` says who may make databases and roles there. */
export async function useGiven(url: string, folder: string): Promise<PostgresSource> {
  const parts = URL.parse(url)
  if (parts === null || !/^postgres(ql)?:$/.test(parts.protocol) || parts.hostname === '') {
    throw new Error(`${setting} is not a URL like postgresql://user:password@host:5432/postgres`)
  }
  // Resolved once, so that no name server is in the figures.
  const { address: host } = await lookup(parts.hostname.replace(/^\[(.*)\]$/, '$1')).catch(() => {
    throw new Error(`${setting}: there is no host ${parts.hostname}`)
  })
  return {
    // Any program of Postgres tells whom we can run programs as; that of the clients is here.
    user: await ServerUser.find('pgbench', folder),
    admin: {
      host,
      port: Number(parts.port || 5432),
      user: decodeURIComponent(parts.username) || 'postgres',
      password: decodeURIComponent(parts.password),
      database: decodeURIComponent(parts.pathname.slice(1)) || 'postgres',
    },
    isGiven: true,
    pid: () => null,
    restart: null,
    stop: async () => {},
  }
}
