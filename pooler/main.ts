// Process edge: arguments, environment, signals, exit codes. Everything else is built in pooler.ts; with
// several workers this program is the process in front of them (workers/primary.ts), and each of them.
import cluster from 'node:cluster'
import { systemClock } from '../shared/clock.ts'
import { shareIds } from '../shared/ids.ts'
import { createLog, type Log } from '../shared/log.ts'
import type { ShutdownWay } from './admin/admin-view.ts'
import { inheritedSockets } from './config/inherited-sockets.ts'
import { likelyTypos } from './config/likely-typos.ts'
import { ConfigError, loadConfig } from './config/load-config.ts'
import type { Config } from './config/settings.ts'
import { findDemoProject } from './embedded/demo-project.ts'
import { type DemoStart, startDemo } from './embedded/demo-start.ts'
import { withDemoStores } from './embedded/demo-stores.ts'
import { findInstallation } from './embedded/installation.ts'
import { newDemoToken } from './embedded/new-token.ts'
import { startPage } from './embedded/start-page.ts'
import { runImport } from './import/import-command.ts'
import { openTenantStore } from './import/open-tenant-store.ts'
import { Pooler } from './pooler.ts'
import { startSuccessor, successorReady } from './succession.ts'
import { tellSupervisor } from './supervisor-notice.ts'
import { runVault } from './vault-command.ts'
import { version } from './version.ts'
import { Primary } from './workers/primary.ts'
import { WorkerLink } from './workers/worker-link.ts'

/** The settings or the command line cannot be used. */
const exitUsage = 2
const usage = `usage: node pooler/main.ts [command]

  (none)                                  starts the pooler
  token                                   a new token for the demo project of a running pooler
  import supavisor FILE [--dry-run]       tenants as Supavisor's API gives them, or one a line
  import pgbouncer FILE [--dry-run]       pgbouncer.ini, with its auth_file
  vault                                   under which key stored secrets lie; exit code 1: not all under VAULT_ENC_KEY
  vault forget                            removes those that no key opens
  --version, --help
`

async function main(): Promise<void> {
  if (cluster.isWorker) {
    await serveAsWorker()
    return
  }
  const [command, ...rest] = process.argv.slice(2)
  if (command === 'import') {
    await importProjects(rest)
    return
  }
  if (command === 'vault') {
    await showVault(rest)
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

async function showVault(args: readonly string[]): Promise<void> {
  const isForget = args[0] === 'forget'
  if (args.length > (isForget ? 1 : 0)) failUsage()
  const config = loadConfig(process.env)
  const log = createLog({ level: 'warn', format: config.logFormat })
  const { text, isSettled } = await runVault(isForget ? 'forget' : 'show', config, log)
  process.stdout.write(text)
  if (!isSettled) process.exitCode = 1
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
  const running = nothingRuns()
  catchFaults(log)
  catchSignals(running, log)
  try {
    if (config.databaseUrl === null) {
      running.demo = await startDemo(config, process.env, systemClock, log)
      config = loadConfig(running.demo.env)
    }
    running.service = await startService(running, config, log)
    if (running.demo !== null) await printStartPage(running.demo, running.service, config, log)
    log.info({ version, workers: config.poolerWorkers }, 'ready')
    process.send?.(successorReady)
    await tellSupervisor(process.env, log, 'READY=1', `MAINPID=${process.pid}`)
  } catch (error) {
    await running.service?.stop()
    await running.demo?.postgres.stop()
    throw error
  }
}

/** In this process, or, with several workers, in one behind it for each. */
function startService(running: Running, config: Config, log: Log): Promise<Pooler | Primary> {
  const onShutdown = (how: ShutdownWay): void => end(running, (service) => service.shutDown(how))
  const count = config.poolerWorkers
  if (count === 1) {
    const inherited = inheritedSockets(process.env, process.pid)
    return Pooler.start({ config, log, onShutdown, inherited })
  }
  const env = running.demo?.env ?? process.env
  const program = import.meta.filename
  return Primary.start({ count, env, program, clock: systemClock, log, onShutdown })
}

interface Running {
  service: Pooler | Primary | null
  demo: DemoStart | null
  isStopping: boolean
  /** One is being started, or serves. */
  hasSuccessor: boolean
}

const nothingRuns = (): Running => ({
  service: null,
  demo: null,
  isStopping: false,
  hasSuccessor: false,
})

async function printStartPage(
  demo: DemoStart,
  { ports }: Pooler | Primary,
  config: Config,
  log: Log,
): Promise<void> {
  const project = await withDemoStores(config, log, (stores) =>
    findDemoProject(demo.installation, demo.postgres, stores),
  )
  process.stdout.write(
    startPage(project, {
      host: '127.0.0.1',
      transactionPort: ports.transaction,
      sessionPort: ports.session,
      apiUrl: ports.apiUrl,
      certificatePath: demo.certificatePath,
    }),
  )
}

/**
 * One of several: settings come from the primary, and it says when to end. Signals that a terminal
 * sends to all are the primary's; when it is gone, what is left is to part from the clients.
 */
async function serveAsWorker(): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const) {
    process.on(signal, () => {})
  }
  // Else Node ends a worker in the very moment in which its primary is gone.
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true
  const running = nothingRuns()
  const link = await WorkerLink.open(systemClock, {
    onStop: (how) =>
      end(running, (service) => (how === 'drain' ? service.drain() : service.shutDown(how))),
    onPrimaryGone: () => {
      if (!running.isStopping) end(running, (service) => service.drain())
    },
  })
  try {
    const config = loadConfig(link.env)
    const { worker } = link.place
    shareIds(link.place)
    const log = createLog({ level: config.logLevel, format: config.logFormat }).child({ worker })
    catchFaults(log)
    const onShutdown = (how: ShutdownWay): void => link.shutDownAll(how)
    // Descriptors are the primary's, as the ports are.
    const inherited = inheritedSockets(link.env, process.ppid)
    const pooler = await Pooler.start({ config, log, onShutdown, inherited, link })
    running.service = pooler
    log.info({ slot: link.place.slot }, 'a worker serves')
    link.ready(pooler.ports)
  } catch (error) {
    await link.failed(lineOf(error))
    process.exit(1)
  }
}

function catchSignals(running: Running, log: Log): void {
  const onSignal = (signal: NodeJS.Signals): void => {
    if (running.isStopping) {
      if (running.service instanceof Primary) running.service.abort()
      process.exit(1)
    }
    log.info({ signal }, 'draining; a second signal stops at once')
    void tellSupervisor(process.env, log, 'STOPPING=1')
    end(running, (service) => service.drain())
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('SIGHUP', () => void reload(running, log))
  process.on('SIGUSR2', () => void succeed(running, log))
}

/** SIGHUP: certificates are read again; what cannot be used leaves the old ones in place. */
async function reload({ service }: Running, log: Log): Promise<void> {
  try {
    await service?.reload()
    log.info({}, 'certificates read again')
  } catch (error) {
    log.error({ err: error }, 'the certificates cannot be used; the old ones stay')
  }
}

/** SIGUSR2: a new process takes over the sockets, as for a new version; what cannot be changes nothing. */
async function succeed(running: Running, log: Log): Promise<void> {
  const { service, demo, isStopping, hasSuccessor } = running
  if (isStopping || hasSuccessor || service === null) return
  const descriptors = service instanceof Pooler ? service.descriptors : null
  if (demo !== null || descriptors === null || !(service instanceof Pooler)) {
    const reason =
      demo !== null
        ? 'it embeds its Postgres'
        : service instanceof Primary
          ? 'it has several workers'
          : 'the sockets cannot be handed on here'
    log.error({ reason }, 'this process cannot be replaced while it runs')
    return
  }
  running.hasSuccessor = true
  const args = [...process.execArgv, ...process.argv.slice(1)]
  try {
    const command = [process.execPath, ...args] as const
    const pid = await startSuccessor({ descriptors, env: process.env, command, clock: systemClock })
    log.info({ successor: pid }, 'a new process serves; this one finishes')
    end(running, () => service.handOver())
  } catch (error) {
    running.hasSuccessor = false
    log.error({ err: error }, 'the new process did not come up; this one goes on')
  }
}

/** Stops in its own way and ends the process; a signal meanwhile ends it at once. */
function end(running: Running, stop: (service: Pooler | Primary) => Promise<void>): void {
  running.isStopping = true
  const { service, demo } = running
  const stopped = async (): Promise<void> => {
    if (service !== null) await stop(service)
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
