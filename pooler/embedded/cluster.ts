// Makes a data folder with initdb: SCRAM for every host connection, no system locale needed. It only
// appears under its name when it is whole.
import { mkdir, rename, rm } from 'node:fs/promises'
import type { ServerUser } from './server-user.ts'
import { StartError } from './start-error.ts'

export interface ClusterOptions {
  readonly initdb: string
  readonly user: ServerUser
  readonly dataDirectory: string
  readonly superuser: string
  /** Holds the password of the superuser; must be readable for the user that runs the server. */
  readonly passwordFile: string
  readonly isDurable: boolean
}

export async function makeCluster(options: ClusterOptions): Promise<void> {
  const unfinished = `${options.dataDirectory}.new`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  await options.user.adopt(unfinished)
  await runInitdb(options, unfinished)
  await rename(unfinished, options.dataDirectory)
}

async function runInitdb(options: ClusterOptions, dataDirectory: string): Promise<void> {
  const child = options.user.spawn(options.initdb, [
    `--pgdata=${dataDirectory}`,
    `--username=${options.superuser}`,
    `--pwfile=${options.passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
    ...(options.isDurable ? [] : ['--no-sync']),
  ])
  let errors = ''
  child.stdout?.resume()
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4_000)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code === 0) return
  const fault = errors.split('\n').findLast((line) => line.includes('error:')) ?? errors
  throw new StartError(`the embedded Postgres could not make its data folder: ${fault}`)
}
