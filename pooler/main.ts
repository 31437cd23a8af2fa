// Process edge: arguments, environment, signals, exit codes. Everything else is built in pooler.ts.
import { systemClock } from '../shared/clock.ts'
import { createLog, type Log } from '../shared/log.ts'
import type { ShutdownWay } from './admin-control-of.ts'
import { inheritedSockets } from './config/inherited-sockets.ts'
import { likelyTypos } from './config/likely-typos.ts'
import { ConfigError, loadConfig } from './config/load-config.ts'
import type { Config } from './config/settings.ts'
import { findDemoProject } from './embedded/demo-project.ts'
import { type DemoStart, startDemo } from './embedded/demo-start.ts'
import { findInstallation } from './embedded/installation.ts'
import { newDemoToken } from './embedded/new-token.ts'
import { startPage } from './embedded/start-page.ts'
import { runImport } from './import/import-command.ts'
import { openTenantStore } from './import/open-tenant-store.ts'
import { Pooler } from './pooler.ts'
import { startSuccessor, successorReady } from './succession.ts'
import { tellSupervisor } from './supervisor-notice.ts'
import { version } from './version.ts'

/** The settings or the command line cannot be used. */
const exitUsage = 2
const usage = `usage: node pooler/main.ts [command]

  (none)                                  starts the pooler
  token                                   a new token for the demo project of a running pooler
  import supavisor FILE [--dry-run]       tenants as Supavisor's API gives them, or one a line
  import pgbouncer FILE [--dry-run]       pgbouncer.ini, with its auth_file
  --version, --help
`

async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2)
  if (command === 'import') {
    await importProjects(rest)
    return
  }
  if (rest.length > 0 || !['token', '--version', '--help', undefined].includes(command)) failUsage()
  if (command === '--version') process.stdout.write(`latchkey ${version}\n`)
  else if (command === '--help') process.stdout.write(usage)
  else if (command === 'token') await printToken(loadConfig(process.env))
  else await serve()
}

async function printToken(config: Config): Promise<void> {
  const installation = await findInstallation(config.latchkeyHome)
  const url = `${config.apiTls ? 'https' : 'http'}://${config.apiHost}:${config.port}`
  process.stdout.write(`${await newDemoToken(installation, url)}\n`)
}

async function importProjects(args: readonly string[]): Promise<void> {
  const [kind, path, ...more] = args.filter((arg) => arg !== '--dry-run')
  const isKind = kind === 'supavisor' || kind === 'pgbouncer'
  if (!isKind || path === undefined || more.length > 0) failUsage()
  const isDryRun = args.includes('--dry-run')
  const config = loadConfig(process.env)
  const log = createLog({ level: 'warn', format: config.logFormat })
  const stores = await openTenantStore(config, log)
  try {
    process.stdout.write(await runImport({ kind, path, isDryRun }, stores.tenants))
  } finally {
    await stores.close()
  }
}

function failUsage(): never {
  process.stderr.write(usage)
  process.exit(exitUsage)
}

async function serve(): Promise<void> {
  let config = loadConfig(process.env)
  const log = createLog({ level: config.logLevel, format: config.logFormat })
  for (const { given, meant } of likelyTypos(process.env)) {
    log.warn({ given, meant }, 'a variable looks like a setting with a typo')
  }
  const running: Running = { pooler: null, demo: null, isStopping: false, hasSuccessor: false }
  catchFaults(log)
  catchSignals(running, log)
  try {
    if (config.databaseUrl === null) {
      running.demo = await startDemo(config, process.env, systemClock, log)
      config = loadConfig(running.demo.env)
    }
    const onShutdown = (how: ShutdownWay): void => end(running, (pooler) => pooler.shutDown(how))
    const inherited = inheritedSockets(process.env, process.pid)
    running.pooler = await Pooler.start({ config, log, onShutdown, inherited })
    if (running.demo !== null) await printStartPage(running.demo, running.pooler, config)
    log.info({ version }, 'ready')
    process.send?.(successorReady)
    await tellSupervisor(process.env, log, 'READY=1', `MAINPID=${process.pid}`)
  } catch (error) {
    await running.pooler?.stop()
    await running.demo?.postgres.stop()
    throw error
  }
}

interface Running {
  pooler: Pooler | null
  demo: DemoStart | null
  isStopping: boolean
  /** One is being started, or serves. */
  hasSuccessor: boolean
}

async function printStartPage(demo: DemoStart, pooler: Pooler, config: Config): Promise<void> {
  const { tenants, members, rules, tokens } = pooler.control
  const stores = { tenants, members, rules, tokens }
  const project = await findDemoProject(demo.installation, demo.postgres, stores)
  process.stdout.write(
    startPage(project, {
      host: '127.0.0.1',
      transactionPort: pooler.data.portOf('transaction') ?? config.proxyPortTransaction,
      sessionPort: pooler.data.portOf('session') ?? config.proxyPortSession,
      apiUrl: pooler.apiUrl,
      certificatePath: demo.certificatePath,
    }),
  )
}

function catchSignals(running: Running, log: Log): void {
  const onSignal = (signal: NodeJS.Signals): void => {
    if (running.isStopping) process.exit(1)
    log.info({ signal }, 'draining; a second signal stops at once')
    void tellSupervisor(process.env, log, 'STOPPING=1')
    end(running, (pooler) => pooler.drain())
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('SIGHUP', () => void reload(running, log))
  process.on('SIGUSR2', () => void succeed(running, log))
}

/** SIGHUP: certificates are read again; what cannot be used leaves the old ones in place. */
async function reload({ pooler }: Running, log: Log): Promise<void> {
  try {
    await pooler?.reload()
    log.info({}, 'certificates read again')
  } catch (error) {
    log.error({ err: error }, 'the certificates cannot be used; the old ones stay')
  }
}

/** SIGUSR2: a new process takes over the sockets, as for a new version; what cannot be changes nothing. */
async function succeed(running: Running, log: Log): Promise<void> {
  const { pooler, demo, isStopping, hasSuccessor } = running
  const descriptors = pooler?.descriptors ?? null
  if (isStopping || hasSuccessor || pooler === null) return
  if (demo !== null || descriptors === null) {
    const reason = demo === null ? 'the sockets cannot be handed on here' : 'it embeds its Postgres'
    log.error({ reason }, 'this process cannot be replaced while it runs')
    return
  }
  running.hasSuccessor = true
  const args = [...process.execArgv, ...process.argv.slice(1)]
  try {
    const command = [process.execPath, ...args] as const
    const pid = await startSuccessor({ descriptors, env: process.env, command, clock: systemClock })
    log.info({ successor: pid }, 'a new process serves; this one finishes')
    end(running, () => pooler.handOver())
  } catch (error) {
    running.hasSuccessor = false
    log.error({ err: error }, 'the new process did not come up; this one goes on')
  }
}

/** Stops in its own way and ends the process; a signal meanwhile ends it at once. */
function end(running: Running, stop: (pooler: Pooler) => Promise<void>): void {
  running.isStopping = true
  const { pooler, demo } = running
  const stopped = async (): Promise<void> => {
    if (pooler !== null) await stop(pooler)
    await demo?.postgres.stop()
  }
  stopped().then(() => process.exit(0), fail)
}

/** What nobody caught leaves the process in an unknown state: it says so and ends. */
function catchFaults(log: Log): void {
  const onFault = (error: unknown): void => {
    log.error({ err: error }, 'a fault that nobody caught; the process ends')
    setImmediate(() => process.exit(1))
  }
  process.on('uncaughtException', onFault)
  process.on('unhandledRejection', onFault)
}

/** One clear line for what a person can put right, with its causes. */
function fail(error: unknown): never {
  process.stderr.write(`${lineOf(error)}\n`)
  process.exit(error instanceof ConfigError ? exitUsage : 1)
}

function lineOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof TypeError) return error.stack ?? error.message
  const { cause } = error
  const isToldAlready = !(cause instanceof Error) || error.message.includes(cause.message)
  // Node's own texts go on with a list, as of the modules that required one.
  const [firstLine] = lineOf(cause).split('\n')
  return isToldAlready ? error.message : `${error.message}: ${firstLine}`
}

main().catch(fail)
