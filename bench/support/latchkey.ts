// Latchkey as its users run it: a process with DATABASE_URL, and a project put in by the API.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { join, resolve } from 'node:path'
import { SignJWT } from 'jose'
import { freePort } from '../../pooler/embedded/free-port.ts'
import type { Address } from './address.ts'
import { makeCertificate } from './certificate.ts'
import { appRole, type BenchPostgres, benchDatabase, otherRole } from './postgres.ts'
import { Service, untilServing } from './service.ts'
import { checkLogin, type Target } from './target.ts'

export interface LatchkeyOptions {
  readonly name: string
  /** A checkout, so that two states of the code can be measured in one run. */
  readonly folder: string
  readonly poolSize: number
  readonly nodeArgs: readonly string[]
  /** Where it finds Postgres, or what stands in front of that. */
  readonly upstream: Address
  /** POOLER_WORKERS; 1 unless given. */
  readonly workers?: number
}

export interface LatchkeyRun {
  readonly service: Service
  readonly target: Target
  /** Where a client keeps its server. */
  readonly session: Address
  /** `http://…` of the API, `/metrics` and `/api`. */
  readonly apiUrl: string
  readonly settings: Readonly<Record<string, string>>
  /** A further project, for a database of its own; gives its address on the transaction port. */
  addProject(ref: string, database: string, poolSize?: number): Promise<Address>
  /** Switches temporary access on, with a member as the project's owner. */
  allowPeople(ref: string, owner: string): Promise<unknown>
  /** A call of the API with the operator's JWT, or with the token given. Throws unless it succeeds. */
  api(method: string, path: string, body: object, token?: string): Promise<unknown>
}

/** What `npm start` hands to Node in that checkout: `node …`. */
async function startArgumentsOf(folder: string): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  return String(scripts.start).split(' ').slice(1)
}

export const ownFolder = resolve(import.meta.dirname, '../..')
export const projectRef = 'bench'

export async function startLatchkey(
  postgres: BenchPostgres,
  options: LatchkeyOptions,
): Promise<LatchkeyRun> {
  const [apiPort, transactionPort, sessionPort] = await threePorts()
  const jwtSecret = randomBytes(32).toString('hex')
  const settings = {
    LOG_LEVEL: 'warn',
    LOG_FORMAT: 'json',
    PROXY_HOST: '127.0.0.1',
    CLIENTS_MAX: '20000',
    POOLER_WORKERS: String(options.workers ?? 1),
  }
  const certificate = await makeCertificate()
  const env = {
    ...settings,
    GLOBAL_DOWNSTREAM_CERT_PATH: await postgres.keep('latchkey.crt', certificate.cert),
    GLOBAL_DOWNSTREAM_KEY_PATH: await postgres.keep('latchkey.key', certificate.key),
    PATH: process.env.PATH ?? '',
    DATABASE_URL: postgres.metadataUrl,
    API_JWT_SECRET: jwtSecret,
    VAULT_ENC_KEY: vaultKey,
    PORT: String(apiPort),
    PROXY_PORT_TRANSACTION: String(transactionPort),
    PROXY_PORT_SESSION: String(sessionPort),
  }
  // setpriv (util-linux) ends it with this process, however this process ends.
  const start = [...options.nodeArgs, ...(await startArgumentsOf(options.folder))]
  const command = ['--pdeathsig', 'KILL', process.execPath, ...start]
  const child = spawn('setpriv', command, { env, cwd: options.folder, stdio: 'pipe' })
  const service = new Service(options.name, child)
  const apiUrl = `http://127.0.0.1:${apiPort}`
  const api: LatchkeyRun['api'] = async (method, path, body, token) =>
    callApi(`${apiUrl}${path}`, method, body, token ?? (await operatorJwt(jwtSecret)))
  const addProject = async (
    ref: string,
    database: string,
    poolSize = options.poolSize,
  ): Promise<Address> => {
    const { upstream } = options
    await putProject({ api, postgres, upstream, ref, database, poolSize })
    const user = `${appRole}.${ref}`
    const own = { host: '127.0.0.1', port: transactionPort, user }
    return { ...postgres.address(appRole, database), ...own }
  }
  const transaction = await untilServing(service, () => addProject(projectRef, benchDatabase))
  const session = { ...transaction, port: sessionPort }
  await untilServing(service, () => checkLogin(transaction))
  const hasWorkers = (options.workers ?? 1) > 1
  const { name } = options
  return {
    service,
    apiUrl,
    target: { name, pid: service.pid, hasWorkers, lacks: {}, transaction },
    session,
    settings: { ...settings, pool_size: String(options.poolSize) },
    addProject,
    allowPeople: (ref, owner) => {
      const { poolSize, upstream } = options
      const project = { api, postgres, upstream, ref, database: benchDatabase, poolSize }
      return putProject({ ...project, more: { use_jit: true, owner } })
    },
    api,
  }
}

/** One for all, because they share their metadata. */
const vaultKey = randomBytes(32).toString('hex')

async function threePorts(): Promise<[number, number, number]> {
  const ports = await Promise.all([freePort(), freePort(), freePort()])
  const [api, transaction, session] = ports
  if (api == null || transaction == null || session == null) throw new Error('no free ports')
  return [api, transaction, session]
}

interface NewProject {
  readonly api: LatchkeyRun['api']
  readonly postgres: BenchPostgres
  readonly upstream: Address
  readonly ref: string
  readonly database: string
  readonly poolSize: number
  /** Further fields of the tenant. */
  readonly more?: object
}

const operatorJwt = (secret: string): Promise<string> =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('5m')
    .sign(new TextEncoder().encode(secret))

async function putProject(project: NewProject): Promise<void> {
  const { api, postgres, upstream, ref, database, poolSize, more = {} } = project
  const users = [appRole, otherRole].map((role) => ({
    db_user: role,
    db_password: postgres.rolePassword,
    pool_size: poolSize,
  }))
  const tenant = {
    db_host: upstream.host,
    db_port: upstream.port,
    db_database: database,
    ip_version: isIPv6(upstream.host) ? 'v6' : 'v4',
    enforce_ssl: false,
    require_user: true,
    default_max_clients: 20_000,
    users,
    ...more,
  }
  await api('PUT', `/api/tenants/${ref}`, { tenant })
}

async function callApi(url: string, method: string, body: object, token: string): Promise<unknown> {
  const response = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`)
  return text === '' ? null : JSON.parse(text)
}
