// Composition root: builds the planes and the API, ties them together, starts, drains and stops
// them. Arguments, signals and exit codes are main.ts's.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Server as TlsServer } from 'node:https'
import type { FastifyInstance } from 'fastify'
import { type Clock, sleep, systemClock } from '../shared/clock.ts'
import type { Log } from '../shared/log.ts'
import { descriptorOf } from './accept/listener.ts'
import { ServerCertificates } from './accept/server-certificates.ts'
import type { ShutdownWay } from './admin/admin-view.ts'
import { type AdminServicesHere, adminServicesOf } from './admin-services-of.ts'
import { createApiServer } from './api/api-server.ts'
import { apiDepsOf } from './api-deps-of.ts'
import type { CancelElsewhere } from './cancel/cancel-requests.ts'
import type { InheritedSockets, SocketName } from './config/inherited-sockets.ts'
import type { Config } from './config/settings.ts'
import { ControlPlane } from './control-plane.ts'
import { DataPlane } from './data-plane.ts'
import { CounterBook } from './metrics/counter-book.ts'
import { MetricsText } from './metrics/metrics-text.ts'
import { ProcessMetrics } from './metrics/process-metrics.ts'
import { metricsSnapshotOf } from './metrics-snapshot-of.ts'
import { OtherWorkersLink } from './other-workers-link.ts'
import { UpstreamAddresses } from './pool/upstream-address.ts'
import { type OwnListener, UpstreamGuard } from './pool/upstream-guard.ts'
import { projectQueryOver } from './project-query.ts'
import { chooseTransport, type FastIoChoice } from './relay/fast-io.ts'
import { openDatabase } from './store/database.ts'
import { applyTenantChange } from './tenant-change.ts'
import { version } from './version.ts'
import type { WorkerLink } from './workers/worker-link.ts'
import type { OpenPorts } from './workers/worker-messages.ts'

export interface PoolerOptions {
  /** With DATABASE_URL and the secrets filled in. */
  readonly config: Config
  readonly log: Log
  readonly clock?: Clock
  /** Sockets that listen already, with which the process was started. */
  readonly inherited?: InheritedSockets
  /** SHUTDOWN at the console; without it, that command stops this pooler alone. */
  readonly onShutdown?: (how: ShutdownWay) => void
  /** Where this is one of several workers. */
  readonly link?: WorkerLink
  /** Where it is not: asked for keys of cancels that are not known here. */
  readonly cancelElsewhere?: CancelElsewhere | undefined
}

const drainCheckMs = 100
/** Between login and first query, or last query and goodbye, there is one round trip, and a busy machine. */
const restMs = 2_000

export class Pooler {
  readonly control: ControlPlane
  readonly data: DataPlane
  readonly #api: FastifyInstance
  readonly #options: PoolerOptions
  readonly #certificates: ServerCertificates | null
  readonly #clock: Clock
  readonly #processMetrics: ProcessMetrics
  readonly #admin: AdminServicesHere

  private constructor(options: PoolerOptions, parts: Loaded) {
    const { config, log } = options
    const clock = options.clock ?? systemClock
    const counters = new CounterBook()
    this.#options = options
    this.#certificates = parts.certificates
    this.#clock = clock
    const ownListeners = () => this.#ownListeners()
    const guardFor = (allowedNetworks: readonly string[]) =>
      new UpstreamGuard({ allowedNetworks, ownListeners })
    const databaseGuard = guardFor(config.upstreamAllowedNetworks)
    const addresses = new UpstreamAddresses({ guard: databaseGuard, clock })
    const guardedAddresses = new UpstreamAddresses({ guard: guardFor([]), clock })
    const control = new ControlPlane({
      config,
      databaseUrl: parts.databaseUrl,
      vaultKey: parts.vaultKey,
      globalCa: parts.globalCa,
      addresses,
      clock,
      log,
      projectQuery: projectQueryOver(() => this.data),
      guardedAddresses,
    })
    this.control = control
    const others = options.link === undefined ? null : new OtherWorkersLink(options.link, clock)
    const data = new DataPlane({
      config,
      version,
      clock,
      log,
      certificates: parts.certificates,
      inherited: options.inherited ?? {},
      globalCa: parts.globalCa,
      addresses,
      tenants: control.tenantCache,
      authenticator: control.authenticator,
      credentials: control.credentials,
      counters,
      admin: () => this.#admin,
      openTransport: parts.fastIo.openTransport,
      easeReads: parts.fastIo.easeReads,
      workers: others,
      cancelElsewhere: options.cancelElsewhere,
    })
    this.data = data
    this.#admin = this.#adminServices(others)
    const changeDeps = { control, data, counters, clock }
    control.tenantCache.onChange((change) => applyTenantChange(change, changeDeps))
    control.credentials.onRenewed((ref, role) => data.pools.retireServersOf(ref, role))
    this.#processMetrics = new ProcessMetrics({ clock, version })
    const metricsText = new MetricsText({
      snapshot: () => metricsSnapshotOf(data, counters, control.snapshot),
      processMetrics: this.#processMetrics,
    })
    const { throttle, liveSessions } = control
    const operatorThrottle = this.#admin.login
    const reload = () => this.reload()
    others?.serve({ data, throttle, operatorThrottle, metricsText, liveSessions, reload })
    this.#api = createApiServer(
      apiDepsOf({
        config,
        control,
        data,
        addresses,
        metricsText,
        others,
        apiTls: config.apiTls ? parts.certificates : null,
        clock,
        log,
      }),
    )
  }

  /** Loads, migrates, listens. Rejects with an error whose message is for the operator. */
  static async start(options: PoolerOptions): Promise<Pooler> {
    const parts = await load(options)
    const pooler = new Pooler(options, parts)
    try {
      await pooler.control.start()
      await pooler.data.start()
      await pooler.#listenApi()
      pooler.control.keyReplacement.start()
    } catch (error) {
      await pooler.stop()
      throw error
    }
    return pooler
  }

  /** `http://…` of the API. */
  get apiUrl(): string {
    const { port } = this.#api.server.address() as { port: number }
    const { apiTls, apiHost } = this.#options.config
    const host = apiHost.includes(':') ? `[${apiHost}]` : apiHost
    return `${apiTls ? 'https' : 'http'}://${host}:${port}`
  }

  /** As they are open now; with port 0 nobody knew before. */
  get ports(): OpenPorts {
    const { proxyPortTransaction, proxyPortSession } = this.#options.config
    return {
      transaction: this.data.portOf('transaction') ?? proxyPortTransaction,
      session: this.data.portOf('session') ?? proxyPortSession,
      apiUrl: this.apiUrl,
    }
  }

  /** Lets transactions finish, tells the idle, stops. Fulfilled when everything is closed. */
  async drain(): Promise<void> {
    const { drainDelayMs, drainTimeoutMs } = this.#options.config
    this.data.announceDraining()
    if (drainDelayMs > 0) await sleep(this.#clock, drainDelayMs)
    this.data.beginDraining()
    this.data.stopAccepting()
    const deadlineMs = this.#clock.monotonicMs() + drainTimeoutMs
    while (this.data.connections.size > 0 && this.#clock.monotonicMs() < deadlineMs) {
      this.data.endIdleClients()
      await sleep(this.#clock, drainCheckMs)
    }
    await this.stop()
  }

  /**
   * Another process has our sockets and serves: those who are here finish what they do. Nobody is
   * refused; whoever comes now comes to the other one. Fulfilled when everything is closed.
   */
  async handOver(): Promise<void> {
    this.data.announceDraining()
    this.data.stopAccepting()
    this.#closeApiSocket()
    const startMs = this.#clock.monotonicMs()
    const { drainTimeoutMs } = this.#options.config
    for (;;) {
      const passedMs = this.#clock.monotonicMs() - startMs
      if (this.data.connections.size === 0 || passedMs >= drainTimeoutMs) break
      // Who is never at rest for so long is told between two transactions, while there is time.
      this.data.endRestedClients(passedMs < drainTimeoutMs / 2 ? restMs : 0)
      await sleep(this.#clock, drainCheckMs)
    }
    await this.stop()
  }

  /** Passed on by the successor, which does not know the key. */
  readonly cancel: CancelElsewhere = (processId, secret) =>
    this.data.cancelRequests.pass(processId, secret)

  /** What this process listens on; null before it listens, or where it cannot be told. */
  get descriptors(): Readonly<Record<SocketName, number>> | null {
    const transaction = this.data.descriptorOf('transaction')
    const session = this.data.descriptorOf('session')
    const api = descriptorOf(this.#api.server)
    if (transaction === null || session === null || api === null) return null
    return { transaction, session, api }
  }

  /** Ends as an operator asked. Fulfilled when everything is closed. */
  async shutDown(how: ShutdownWay): Promise<void> {
    if (how === 'wait for servers') {
      await this.drain()
      return
    }
    this.data.announceDraining()
    this.data.stopAccepting()
    while (how === 'wait for clients' && this.data.connections.size > 0) {
      await sleep(this.#clock, drainCheckMs)
    }
    await this.stop()
  }

  /** Reads the certificates again. Rejects and changes nothing when they are bad. */
  async reload(): Promise<void> {
    await this.#certificates?.reload()
    const { server } = this.#api
    // With a server name it asks each time; without one it shows what it was given.
    if (server instanceof TlsServer && this.#certificates !== null) {
      server.setSecureContext(this.#certificates.defaultPair)
    }
  }

  /** Requests under way are answered; fastify closes only what it opened itself. */
  #closeApiSocket(): void {
    const { server } = this.#api
    if (!server.listening) return
    server.close()
    server.closeIdleConnections()
  }

  async stop(): Promise<void> {
    await this.data.stop()
    this.#closeApiSocket()
    await this.#api.close()
    this.#processMetrics.stop()
    this.#admin.close()
    await this.control.stop()
  }

  #adminServices(others: OtherWorkersLink | null): AdminServicesHere {
    const { config, log, link, onShutdown } = this.#options
    return adminServicesOf({
      config,
      control: this.control,
      data: this.data,
      link: link ?? null,
      reload: async () => {
        await Promise.all([this.reload(), others?.reload()])
      },
      shutdown: onShutdown ?? ((how) => void this.shutDown(how)),
      clock: this.#clock,
      log,
    })
  }

  #ownListeners(): readonly OwnListener[] {
    const { apiHost, proxyHost } = this.#options.config
    const api = this.#api.server.address()
    const ports = [this.data.portOf('transaction'), this.data.portOf('session')]
    return [
      ...ports.flatMap((port) => (port === null ? [] : [{ host: proxyHost, port }])),
      ...(api !== null && typeof api === 'object' ? [{ host: apiHost, port: api.port }] : []),
    ]
  }

  /** fastify itself listens on ports and paths only. */
  async #listenApiOn(fd: number): Promise<void> {
    await this.#api.ready()
    const { server } = this.#api
    server.listen({ fd })
    await once(server, 'listening')
  }

  async #listenApi(): Promise<void> {
    const { apiHost, port, apiTls } = this.#options.config
    const inherited = this.#options.inherited?.api
    try {
      if (inherited === undefined) await this.#api.listen({ host: apiHost, port })
      else await this.#listenApiOn(inherited)
    } catch (cause) {
      const isTaken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
      if (!isTaken) throw cause
      const text = `port ${port} (PORT) on ${apiHost} is in use: stop what listens there, or set PORT to another port`
      throw new Error(text, { cause })
    }
    const isLoopback = apiHost === 'localhost' || apiHost === '::1' || apiHost.startsWith('127.')
    if (!apiTls && !isLoopback) {
      this.#options.log.warn({ apiHost }, 'the API is served without TLS beyond loopback')
    }
  }
}

interface Loaded {
  readonly databaseUrl: string
  readonly vaultKey: NonNullable<Config['vaultEncKey']>
  readonly globalCa: string | null
  readonly certificates: ServerCertificates | null
  readonly fastIo: FastIoChoice
}

/** Files and metadata that everything else is built on. */
async function load({ config, log }: PoolerOptions): Promise<Loaded> {
  const { databaseUrl, vaultEncKey } = config
  if (databaseUrl === null || vaultEncKey === null) {
    throw new Error('DATABASE_URL and VAULT_ENC_KEY are missing')
  }
  const caPath = config.globalUpstreamCaPath
  const globalCa = caPath === null ? null : await readFile(caPath, 'utf8')
  const certPath = config.globalDownstreamCertPath
  const keyPath = config.globalDownstreamKeyPath
  const hasPair = certPath !== null && keyPath !== null
  const certificates = hasPair ? await ServerCertificates.load({ certPath, keyPath }) : null
  if (config.apiTls && !hasPair) {
    throw new Error('API_TLS needs GLOBAL_DOWNSTREAM_CERT_PATH and GLOBAL_DOWNSTREAM_KEY_PATH')
  }
  const url = databaseUrl.reveal()
  const database = openDatabase(url, log)
  try {
    await database.migrate()
  } finally {
    await database.close()
  }
  const fastIo = await chooseTransport(config.poolerFastIo)
  const { whyNot } = fastIo
  if (whyNot !== null) log.info({ whyNot }, "fast I/O is off: sockets go through Node's streams")
  return { databaseUrl: url, vaultKey: vaultEncKey, globalCa, certificates, fastIo }
}
