// The other poolers of this machine: looked for by name and by setting, and started. One that does not
// come up is reported and left out: a run of an hour is not lost over a line of its configuration.
import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { freePort } from '../../../pooler/embedded/free-port.ts'
import type { Address } from '../address.ts'
import { makeCertificate } from '../certificate.ts'
import type { BenchPostgres } from '../postgres.ts'
import { Service, untilServing } from '../service.ts'
import { checkLogin, type Target } from '../target.ts'
import { odyssey } from './odyssey.ts'
import { pgBouncer } from './pgbouncer.ts'
import { pgCat } from './pgcat.ts'
import { pgDog } from './pgdog.ts'
import { pgpool } from './pgpool.ts'
import type { Pooler } from './pooler.ts'

export const poolers: readonly Pooler[] = [pgBouncer, pgDog, pgCat, odyssey, pgpool]

export interface Found {
  readonly pooler: Pooler
  readonly file: string
  readonly version: string
}

export interface PoolerRun {
  readonly service: Service
  readonly target: Target
  readonly settings: Readonly<Record<string, string>>
}

export interface Start {
  readonly postgres: BenchPostgres
  readonly upstream: Address
  readonly poolSize: number
  readonly serversMax: number
}

const versionTimeoutMs = 10_000
const startTimeoutMs = 20_000
// Distributions put some where only root's PATH leads.
const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']

/** A file that was named and is not there is an error, because somebody wanted it measured. */
export async function findPoolers(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Found[]> {
  const found: Found[] = []
  for (const pooler of poolers) {
    const named = environment[pooler.setting] || null
    if (named !== null && !(await isProgram(named))) {
      throw new Error(`${pooler.setting} is ${named}, which is no program`)
    }
    const file = named ?? (await firstProgram(folders.map((it) => join(it, pooler.program))))
    if (file === null) continue
    found.push({ pooler, file, version: await versionOf(pooler, file) })
  }
  return found
}

/** Throws when it does not serve. */
export async function startPooler(
  { pooler, file, version }: Found,
  start: Start,
): Promise<PoolerRun> {
  const { postgres, upstream } = start
  const [port, otherPort] = [await freePort(), await freePort()]
  if (port === null || otherPort === null) throw new Error('no free loopback port')
  const nameOf = (name: string): string => `${pooler.name}-${name}`
  const certificate = await makeCertificate()
  const setup = pooler.setup({
    ...start,
    version,
    port,
    otherPort,
    folder: postgres.folder,
    roles: postgres.roles,
    certificateFile: await postgres.keep(nameOf('tls.crt'), certificate.cert),
    keyFile: await postgres.keep(nameOf('tls.key'), certificate.key),
    file: (name) => join(postgres.folder, nameOf(name)),
  })
  for (const [name, text] of Object.entries(setup.files)) await postgres.keep(nameOf(name), text)
  // Some refuse to run as root, as Postgres does, so all run as the same user.
  const service = new Service(pooler.name, postgres.user.spawn(file, setup.args), true)
  const transaction = { ...upstream, host: '127.0.0.1', port }
  try {
    await untilServing(service, () => checkLogin(transaction), startTimeoutMs)
  } catch (error) {
    await service.stop()
    throw error
  }
  const { lacks = {}, clientsMax, hasSharedMemory, settings } = setup
  const target = {
    name: pooler.name,
    pid: service.pid,
    lacks,
    transaction,
    ...(hasSharedMemory !== undefined && { hasSharedMemory }),
    ...(clientsMax !== undefined && { clientsMax }),
  }
  return { service, target, settings: { ...(version !== '' && { version }), ...settings } }
}

function versionOf({ versionPattern }: Pooler, file: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(file, ['--version'], { timeout: versionTimeoutMs }, (_error, stdout, stderr) => {
      resolve(versionPattern.exec(`${stdout}\n${stderr}`)?.[1] ?? '')
    })
  })
}

async function firstProgram(files: readonly string[]): Promise<string | null> {
  for (const file of files) if (await isProgram(file)) return file
  return null
}

const isProgram = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
