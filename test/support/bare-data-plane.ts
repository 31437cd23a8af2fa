// The data plane alone, in front of one upstream, letting everybody in: for tests of what happens
// behind the login. Ports are free ones of the system's choice.
import type { ServerCertificates } from '../../pooler/accept/server-certificates.ts'
import type { Authenticated, LoginQuestion } from '../../pooler/auth/authenticate.ts'
import { loadConfig } from '../../pooler/config/load-config.ts'
import type { Config } from '../../pooler/config/settings.ts'
import { DataPlane } from '../../pooler/data-plane.ts'
import { CounterBook } from '../../pooler/metrics/counter-book.ts'
import type { Tenant } from '../../pooler/tenant/tenant.ts'
import { systemClock } from '../../shared/clock.ts'
import { type Log, nullLog } from '../../shared/log.ts'
import { eventually } from './eventually.ts'
import { easeReads, openTransport } from './fast-io.ts'

export interface BareDataPlaneOptions {
  readonly tenant: Tenant
  readonly config?: Partial<Config>
  readonly log?: Log
  readonly certificates?: ServerCertificates
  /** Instead of letting everybody in as an application. */
  readonly authenticate?: (question: LoginQuestion) => Promise<Authenticated>
}

export class BareDataPlane {
  readonly plane: DataPlane
  readonly counters: CounterBook
  /** Refs of those that have pools. */
  readonly heldProjects = new Set<string>()
  tenant: Tenant

  constructor(options: BareDataPlaneOptions) {
    this.tenant = options.tenant
    this.counters = new CounterBook()
    this.plane = new DataPlane({
      config: {
        ...loadConfig({}),
        proxyHost: '127.0.0.1',
        proxyPortTransaction: 0,
        proxyPortSession: 0,
        ...options.config,
      },
      version: 'test',
      clock: systemClock,
      log: options.log ?? nullLog,
      certificates: options.certificates ?? null,
      globalCa: null,
      // Never the one of before: tests change it as they like.
      tenants: {
        find: async () => this.tenant,
        peek: () => this.tenant,
        version: Number.NaN,
        hold: (ref) => void this.heldProjects.add(ref),
        release: (ref) => void this.heldProjects.delete(ref),
      },
      authenticator: {
        authenticate:
          options.authenticate ??
          (async (_question: LoginQuestion) => ({ method: 'password', person: null })),
      },
      credentials: {
        forServer: (tenant, role) => {
          const password = tenant.roles.get(role)?.password ?? null
          return password === null ? null : { password }
        },
      },
      counters: this.counters,
      admin: () => null,
      inherited: {},
      openTransport,
      easeReads,
      workers: null,
    })
  }

  static async start(options: BareDataPlaneOptions): Promise<BareDataPlane> {
    const bare = new BareDataPlane(options)
    await bare.plane.start()
    return bare
  }

  get host(): string {
    return '127.0.0.1'
  }

  get transactionPort(): number {
    return this.plane.portOf('transaction') as number
  }

  get sessionPort(): number {
    return this.plane.portOf('session') as number
  }

  /** `role.ref`, as clients write it. */
  userOf(role: string): string {
    return `${role}.${this.tenant.ref}`
  }

  /** Clients that wait for a server. */
  async waiters(): Promise<number> {
    return [...this.plane.pools.entries()].reduce((sum, { pool }) => sum + pool.waiters, 0)
  }

  /** No clients, no server in anybody's hands, nobody waiting. */
  async settled(): Promise<void> {
    await eventually(() => {
      const entries = [...this.plane.pools.entries()]
      const clients = this.plane.connections.size
      const waiters = entries.reduce((sum, { pool }) => sum + pool.waiters, 0)
      const busy = entries
        .flatMap(({ pool }) => [...pool.servers])
        .filter((one) => one.state !== 'idle')
      if (clients + waiters + busy.length > 0) {
        throw new Error(`${clients} clients, ${waiters} waiters, ${busy.length} busy servers`)
      }
    })
  }

  async stop(): Promise<void> {
    await this.plane.stop()
  }
}
