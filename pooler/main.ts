// Process edge: arguments, environment, signals, exit codes. Everything else is built in pooler.ts; with
// several workers this program is the process in front of them (workers/primary.ts), and each of them.
import './short-lived.ts'
import cluster from 'node:cluster'
import { systemClock } from '../shared/clock.ts'
import { createLog, type Log } from '../shared/log.ts'
import type { ShutdownWay } from './admin/admin-view.ts'
import { namesFromFiles, without } from './config/env-files.ts'
import { inheritedSockets } from './config/inherited-sockets.ts'
import { likelyTypos } from './config/likely-typos.ts'
import { loadConfig } from './config/load-config.ts'
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
import { Predecessor } from './predecessor.ts'
import {
  catchFaults,
  end,
  exitUsage,
  fail,
  nothingRuns,
  type Running,
  type Service,
} from './process-edge.ts'
import { startSuccessor } from './succession.ts'
import { tellSupervisor } from './supervisor-notice.ts'
import { runVault } from './vault-command.ts'
import { version } from './version.ts'
import { serveAsWorker } from './worker-main.ts'
import { Primary } from './workers/primary.ts'

/** A successor reads them anew. */
const settingsFromFiles = namesFromFiles(process.execArgv, process.env)

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
  running.predecessor = Predecessor.ofThisProcess(systemClock, () => {
    log.info({}, 'the process that started this one is gone before this one serves')
    end(running, (service) => service.stop())
  })
  try {
    if (config.databaseUrl === null) {
      running.demo = await startDemo(config, process.env, systemClock, log)
      config = loadConfig(running.demo.env)
    }
    running.service = await startService(running, config, log)
    if (running.demo !== null) await printStartPage(running.demo, running.service, config, log)
    log.info({ version, workers: config.poolerWorkers }, 'ready')
    running.predecessor?.serves()
    await tellSupervisor(process.env, log, 'READY=1', `MAINPID=${process.pid}`)
  } catch (error) {
    await running.service?.stop()
    await running.demo?.postgres.stop()
    throw error
  }
}

/** In this process, or, with several workers, in one behind it for each. */
function startService(running: Running, config: Config, log: Log): Promise<Service> {
  const onShutdown = (how: ShutdownWay): void => {
    void tellSupervisor(process.env, log, 'STOPPING=1')
    end(running, (service) => service.shutDown(how))
  }
  const count = config.poolerWorkers
  const cancelElsewhere = running.predecessor?.cancel
  if (count === 1) {
    const inherited = inheritedSockets(process.env, process.pid)
    return Pooler.start({ config, log, onShutdown, inherited, cancelElsewhere })
  }
  const env = running.demo?.env ?? process.env
  const program = import.meta.filename
  return Primary.start({
    count,
    env,
    program,
    clock: systemClock,
    log,
    cancelElsewhere,
    onShutdown,
    onSocketsLost: fail,
  })
}

async function printStartPage(
  demo: DemoStart,
  { ports }: Service,
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

function catchSignals(running: Running, log: Log): void {
  const onSignal = (signal: NodeJS.Signals): void => {
    if (running.isHandingOver) {
      // Its clients are finishing as they would for this signal.
      running.isHandingOver = false
      log.info({ signal }, 'finishing already; a second signal stops at once')
      return
    }
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
  const { service, demo, isStopping, starting } = running
  if (isStopping || starting !== null || service === null) return
  const { descriptors } = service
  if (demo !== null || descriptors === null) {
    const reason = demo !== null ? 'it embeds its Postgres' : 'the sockets cannot be handed on here'
    log.error({ reason }, 'this process cannot be replaced while it runs')
    return
  }
  const abort = new AbortController()
  running.starting = abort
  const args = [...process.execArgv, ...process.argv.slice(1)]
  try {
    const command = [process.execPath, ...args] as const
    const env = without(process.env, settingsFromFiles)
    const pid = await startSuccessor({
      descriptors,
      env,
      command,
      clock: systemClock,
      signal: abort.signal,
      cancel: service.cancel,
    })
    running.starting = null
    running.isHandingOver = true
    log.info({ successor: pid }, 'a new process serves; this one finishes')
    end(running, async () => {
      await service.handOver()
      await running.predecessor?.gone()
    })
  } catch (error) {
    running.starting = null
    if (abort.signal.aborted) log.info({}, 'the new process ends with this one')
    else log.error({ err: error }, 'the new process did not come up; this one goes on')
  }
}

main().catch(fail)
