// A Postgres older than temporary access asks for, from Debian's package: what a project's database
// says of itself is tested on a real one.
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../pooler/embedded/free-port.ts'
import { ServerProcess } from '../../pooler/embedded/server-process.ts'
import { ServerUser } from '../../pooler/embedded/server-user.ts'
import { PostgresAccess } from './postgres.ts'

const folderOf15 = '/usr/lib/postgresql/15/bin'

export const hasPostgres15 = existsSync(join(folderOf15, 'postgres'))

export class OldPostgres extends PostgresAccess {
  readonly #server: ServerProcess
  readonly #folder: string

  private constructor(url: string, server: ServerProcess, folder: string) {
    super(url)
    this.#server = server
    this.#folder = folder
  }

  static async start(): Promise<OldPostgres> {
    const postgres = join(folderOf15, 'postgres')
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-postgres-15-'))
    try {
      const user = await ServerUser.find(postgres, folder)
      const dataDirectory = join(folder, 'data')
      await mkdir(dataDirectory, { mode: 0o700 })
      await user.adopt(dataDirectory)
      const passwordFile = join(folder, 'password')
      await writeFile(passwordFile, 'of postgres 15', { mode: 0o600 })
      await chmod(passwordFile, 0o600)
      await user.adopt(passwordFile)
      await runToEnd(user, join(folderOf15, 'initdb'), [
        `--pgdata=${dataDirectory}`,
        '--username=latchkey_test',
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--no-sync',
      ])
      const port = (await freePort()) ?? 0
      const settings = {
        listen_addresses: '127.0.0.1',
        unix_socket_directories: '',
        fsync: 'off',
        shared_buffers: '16MB',
      }
      const server = await ServerProcess.start({ postgres, user, dataDirectory, port, settings })
      const url = `postgresql://latchkey_test:of%20postgres%2015@127.0.0.1:${port}/postgres`
      return new OldPostgres(url, server, folder)
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  async stop(): Promise<void> {
    await this.#server.stop('fast')
    await rm(this.#folder, { recursive: true, force: true })
  }
}

async function runToEnd(user: ServerUser, file: string, args: readonly string[]): Promise<void> {
  const child = user.spawn(file, args)
  child.stdout?.resume()
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`${file} failed: ${errors}`)
}
