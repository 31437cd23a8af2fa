// A Postgres of the run's own. Nothing of it outlives the run.
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeCluster } from '../../pooler/embedded/cluster.ts'
import { freePort } from '../../pooler/embedded/free-port.ts'
import { findServerBinaries } from '../../pooler/embedded/server-binaries.ts'
import { ServerProcess } from '../../pooler/embedded/server-process.ts'
import { ServerUser } from '../../pooler/embedded/server-user.ts'
import { decidingSettings, type PostgresSource } from './postgres-source.ts'

const superuser = 'bench_admin'

export async function startEmbedded(folder: string): Promise<PostgresSource> {
  const { postgres, initdb } = await findServerBinaries()
  const user = await ServerUser.find(postgres, folder)
  const dataDirectory = join(folder, 'data')
  const password = randomBytes(12).toString('hex')
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, password, { mode: 0o600 })
  await user.adopt(passwordFile)
  await makeCluster({ initdb, user, dataDirectory, superuser, passwordFile, isDurable: false })
  const port = await freePort()
  if (port === null) throw new Error('no free loopback port')
  const settings = {
    ...decidingSettings,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
  }
  const options = { postgres, user, dataDirectory, port, settings }
  let server = await ServerProcess.start(options)
  return {
    user,
    admin: { host: '127.0.0.1', port, user: superuser, password, database: 'postgres' },
    isGiven: false,
    pid: () => server.pid,
    async restart(mode) {
      await server.stop(mode)
      server = await ServerProcess.start(options)
    },
    stop: () => server.stop('immediate'),
  }
}
