// A tenant's database as one role sees it: opens servers for a pool, and the auxiliary connections
// that pools need beside them. Those are counted apart and bounded.
import type { Clock } from '../../shared/clock.ts'
import type { ScramSecret } from '../../shared/crypto/scram-client.ts'
import { PoolerError } from '../../shared/errors.ts'
import { cancelRequest, extendedQuery, sync } from '../../shared/protocol/frontend-messages.ts'
import { mutedSink } from '../relay/server-sink.ts'
import { openStreamTransport } from '../relay/stream-transport.ts'
import type { Tenant } from '../tenant/tenant.ts'
import type { CancelAddress, PoolUpstream, ProbedServer, ProbeResult } from './pool-options.ts'
import { ServerConnection } from './server-connection.ts'
import { type ConversationResult, converse } from './server-conversation.ts'
import { type OpenedServer, openServer } from './server-login.ts'
import { probeFailure, probeParameters, probeSql } from './server-probe.ts'
import type { UpstreamAddresses } from './upstream-address.ts'
import { withUpstream } from './upstream-socket.ts'

export interface UpstreamSettings {
  readonly serverConnectTimeoutMs: number
  readonly serverLoginTimeoutMs: number
  /** PEM of GLOBAL_UPSTREAM_CA_PATH. */
  readonly globalCa: string | null
  readonly addresses?: UpstreamAddresses | undefined
  readonly clock: Clock
}

export interface UpstreamOptions extends UpstreamSettings {
  /** Read anew at each use, so that a change of the tenant applies. */
  readonly tenant: () => Tenant
  readonly role: string
  readonly database: string
  readonly credentials: () => ScramSecret | null
  /** Further startup parameters of the servers that `open` opens; only a direct client has any. */
  readonly startup?: ReadonlyMap<string, string>
}

/** Auxiliary connections of one process at a time; those beyond it are refused, not queued. */
const auxiliaryMax = 200
/** Of these one project's: an upstream that never answers a cancel must not take those of others. */
const auxiliaryPerTenantMax = 25
const auxiliaryQueryTimeoutMs = 5000
let auxiliaryCount = 0
/** Projects that have some, by ref. */
const auxiliaryByTenant = new Map<string, number>()

export class Upstream implements PoolUpstream {
  readonly #options: UpstreamOptions

  constructor(options: UpstreamOptions) {
    this.#options = options
  }

  open(): Promise<OpenedServer> {
    return openServer({
      ...this.#connectOptions(),
      database: this.#options.database,
      credentials: this.#options.credentials(),
      parameters: Object.fromEntries(this.#options.startup ?? []),
    })
  }

  async cancel({ address, processId, cancelSecret }: CancelAddress): Promise<void> {
    await counted(this.#options.tenant().ref, () =>
      withUpstream({ ...this.#connectOptions(), address }, async ({ socket }, signal) => {
        const closed = new Promise<void>((resolve) => {
          socket.once('close', () => resolve())
          signal.addEventListener('abort', () => resolve())
        })
        socket.resume()
        socket.write(cancelRequest(processId, cancelSecret))
        await closed
        socket.destroy()
      }),
    ).catch(ignore)
  }

  async terminate(processId: number): Promise<void> {
    const sql = 'SELECT pg_catalog.pg_terminate_backend($1::int)'
    await this.ask(sql, [String(processId)], 'latchkey (terminate)').catch(ignore)
  }

  async probe(
    address: string,
    servers: readonly ProbedServer[],
    idleMsMin: number,
  ): Promise<ProbeResult> {
    try {
      const parameters = probeParameters(servers, idleMsMin)
      const { rows } = await this.ask(probeSql, parameters, 'latchkey (probe)', address)
      return { kind: 'answered', idle: new Set(rows.map(([processId]) => Number(processId))) }
    } catch (error) {
      return probeFailure(error)
    }
  }

  /** One query on a connection of its own. Throws ServerOpenError, ConversationFailed, EMAXCONNPROCESS. */
  ask(
    sql: string,
    parameters: readonly string[],
    applicationName: string,
    address?: string,
  ): Promise<ConversationResult> {
    return counted(this.#options.tenant().ref, async () => {
      const { clock, credentials, database } = this.#options
      const opened = await openServer({
        ...this.#connectOptions(),
        ...(address === undefined ? {} : { address }),
        database,
        credentials: credentials(),
        parameters: { application_name: applicationName, search_path: 'pg_catalog' },
      })
      const server = new ServerConnection({
        ...opened,
        openTransport: openStreamTransport,
        sink: mutedSink,
        clock,
        retireAtMs: Number.POSITIVE_INFINITY,
      })
      try {
        const bytes = Buffer.concat([extendedQuery(sql, parameters), sync()])
        return await converse(server, { bytes, batch: 1 }, auxiliaryQueryTimeoutMs, clock)
      } finally {
        await server.close('retired')
      }
    })
  }

  #connectOptions() {
    const {
      tenant,
      role,
      serverConnectTimeoutMs,
      serverLoginTimeoutMs,
      globalCa,
      clock,
      addresses,
    } = this.#options
    return {
      tenant: tenant(),
      role,
      connectTimeoutMs: serverConnectTimeoutMs,
      loginTimeoutMs: serverLoginTimeoutMs,
      globalCa,
      ...(addresses !== undefined && { addresses }),
      clock,
    }
  }
}

async function counted<Result>(ref: string, run: () => Promise<Result>): Promise<Result> {
  const own = auxiliaryByTenant.get(ref) ?? 0
  if (auxiliaryCount >= auxiliaryMax || own >= auxiliaryPerTenantMax) {
    const whose = own >= auxiliaryPerTenantMax ? 'the project' : 'it'
    const reason = `${whose} has as many auxiliary connections as it may`
    throw new PoolerError('EMAXCONNPROCESS', { values: { reason } })
  }
  auxiliaryCount++
  auxiliaryByTenant.set(ref, own + 1)
  try {
    return await run()
  } finally {
    auxiliaryCount--
    const left = (auxiliaryByTenant.get(ref) ?? 1) - 1
    if (left === 0) auxiliaryByTenant.delete(ref)
    else auxiliaryByTenant.set(ref, left)
  }
}

/** The upstream is gone or refuses: what was to be cancelled there will not be heard of again. */
const ignore = (): void => {}
