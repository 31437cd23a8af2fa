// The Postgres that `npm start` brings along: found or made below an installation's folder, reachable
// from loopback with SCRAM only, ended with us. What is inside it is demo-project.ts's business.
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Log } from '../../shared/log.ts'
import { makeCluster } from './cluster.ts'
import { FolderLock } from './folder-lock.ts'
import { freePort } from './free-port.ts'
import { clearLeftServer } from './left-server.ts'
import { openPrivateFolder, readPrivateFile, writePrivateFile } from './private-folder.ts'
import { findServerBinaries, type ServerBinaries } from './server-binaries.ts'
import { ServerProcess } from './server-process.ts'
import { ServerUser } from './server-user.ts'
import { StartError } from './start-error.ts'

export interface EmbeddedPostgresOptions {
  /** LATCHKEY_HOME. */
  readonly home: string
  /** Missing: the port of the last start if it is still free, else any free one. */
  readonly port?: number
  readonly log: Log
}

export const embeddedSuperuser = 'latchkey_admin'

const portAttempts = 5
const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '' }

export class EmbeddedPostgres {
  readonly host = '127.0.0.1'
  readonly port: number
  /** Resolves when the server has ended, for whatever reason. */
  readonly exited: Promise<void>
  readonly #password: string
  readonly #server: ServerProcess
  readonly #lock: FolderLock

  private constructor(server: ServerProcess, password: string, lock: FolderLock) {
    this.port = server.port
    this.exited = server.exited
    this.#server = server
    this.#password = password
    this.#lock = lock
  }

  /** Throws StartError, one line, for everything that a person can put right. */
  static async start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
    const home = resolve(options.home)
    const binaries = await findServerBinaries()
    await openPrivateFolder(home)
    const lock = await FolderLock.take(home)
    try {
      const { server, password } = await startServer(home, binaries, options)
      return new EmbeddedPostgres(server, password, lock)
    } catch (error) {
      await lock.release()
      if (error instanceof StartError || !isFileFault(error)) throw error
      throw new StartError(
        `the embedded Postgres cannot be started here (${error.message}): set LATCHKEY_HOME, or start as an ordinary user`,
        error,
      )
    }
  }

  /** For the superuser `latchkey_admin`. Holds the password: not for a log. */
  url(database: string): string {
    return `postgresql://${embeddedSuperuser}:${this.#password}@${this.host}:${this.port}/${encodeURIComponent(database)}`
  }

  /** Ends every session, writes a checkpoint and resolves when no process is left. Safe to call again. */
  async stop(): Promise<void> {
    await this.#server.stop()
    await this.#lock.release()
  }
}

/** A full disk, a folder of another user, a system call that a container does not allow. */
function isFileFault(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}

async function startServer(
  home: string,
  { postgres, initdb }: ServerBinaries,
  { port, log }: EmbeddedPostgresOptions,
): Promise<{ server: ServerProcess; password: string }> {
  const folder = join(home, 'postgres')
  const dataDirectory = join(folder, 'data')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const user = await findUser(postgres, home, folder)
  const passwordFile = join(folder, 'password')
  const version = await clusterVersion(dataDirectory)
  if (version === null) {
    log.info({ folder }, 'making the data folder of the embedded Postgres')
    await writePrivateFile(passwordFile, randomBytes(24).toString('hex'))
    await user.adopt(passwordFile)
    const superuser = embeddedSuperuser
    await makeCluster({ initdb, user, dataDirectory, superuser, passwordFile, isDurable: true })
  } else if (version !== user.majorVersion) {
    throw new StartError(
      `${dataDirectory} was made by Postgres ${version}, and this is Postgres ${user.majorVersion}: move it away, or set LATCHKEY_HOME to another folder`,
    )
  }
  const password = await readPrivateFile(passwordFile)
  if (password === null) {
    throw new StartError(`${passwordFile} is missing: restore it, or move ${folder} away`)
  }
  if ((await clearLeftServer(dataDirectory)) === 'stopped') {
    log.warn({ folder }, 'an embedded Postgres that was left running was stopped')
  }
  const onLogLine = (line: string): void => log.debug({ source: 'postgres' }, line)
  const start = (onPort: number): Promise<ServerProcess> =>
    ServerProcess.start({ postgres, user, dataDirectory, port: onPort, settings, onLogLine })
  const server = await startOnPort(start, join(home, 'postgres-port'), port)
  return { server, password }
}

/**
 * Where root may neither keep CAP_DAC_OVERRIDE nor pass it on, the server's user must be able to go
 * through the installation's folder. Its group may then do that and no more: not list, not read.
 */
async function findUser(postgres: string, home: string, folder: string): Promise<ServerUser> {
  try {
    return await ServerUser.find(postgres, folder)
  } catch (error) {
    const identity = await ServerUser.identityFor(folder)
    if (identity === null) throw error
    await chown(home, 0, identity.gid)
    await chmod(home, 0o710)
    try {
      return await ServerUser.find(postgres, folder)
    } catch {
      await chmod(home, 0o700)
      throw error
    }
  }
}

/** The major version that made the data; null when there are none yet. */
async function clusterVersion(dataDirectory: string): Promise<number | null> {
  const version = await readPrivateFile(join(dataDirectory, 'PG_VERSION'))
  if (version !== null) return Number(version)
  const names = await readdir(dataDirectory).catch(() => [])
  if (names.length === 0) return null
  throw new StartError(`${dataDirectory} holds no Postgres data, but other files: move it away`)
}

async function startOnPort(
  start: (port: number) => Promise<ServerProcess>,
  portFile: string,
  fixedPort: number | undefined,
): Promise<ServerProcess> {
  if (fixedPort !== undefined) {
    if ((await freePort(fixedPort)) !== null) return start(fixedPort)
    throw new StartError(
      `port ${fixedPort} for the embedded Postgres is in use: choose another one`,
    )
  }
  const lastPort = Number(await readPrivateFile(portFile))
  for (let attempt = 1; ; attempt++) {
    const isLastWanted = attempt === 1 && Number.isInteger(lastPort) && lastPort > 0
    const port = (isLastWanted ? await freePort(lastPort) : null) ?? (await freePort())
    if (port === null) throw new StartError('no loopback port is free for the embedded Postgres')
    try {
      await writePrivateFile(portFile, String(port))
      return await start(port)
    } catch (error) {
      // Another program may have been faster; anything else would fail again.
      if (attempt === portAttempts || (await freePort(port)) !== null) throw error
    }
  }
}
