// A tenant's database as one role sees it: opens servers for a pool, and the auxiliary connections
// that pools need beside them. Those are counted apart and bounded.
import type { Clock } from '../../shared/clock.ts'
import type { ScramSecret } from '../../shared/crypto/scram-client.ts'
import { cancelRequest, extendedQuery, sync } from '../../shared/protocol/frontend-messages.ts'
import { mutedSink } from '../relay/server-sink.ts'
import { openStreamTransport } from '../relay/stream-transport.ts'
import type { Tenant } from '../tenant/tenant.ts'
import { AuxiliaryCount } from './auxiliary-count.ts'
import type {
  CancelAddress,
  PlacedServer,
  PoolUpstream,
  ProbedServer,
  ProbeResult,
} from './pool-options.ts'
import { ServerConnection } from './server-connection.ts'
import { type ConversationResult, converse } from './server-conversation.ts'
import { type OpenedServer, openServer } from './server-login.ts'
import { isStillAt, reachedFrom, type ServerPlace } from './server-place.ts'
import { probeFailure, probeParameters, probeSql } from './server-probe.ts'
import { cancelMsMax } from './server-stop.ts'
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
  /** These credentials are a person's own token. */
  readonly isTokenPassed?: boolean
  /** Of auxiliary queries, where they are others. */
  readonly auxiliaryCredentials?: (() => ScramSecret | null) | undefined
  /** Further startup parameters of the servers that `open` opens; only a direct client has any. */
  readonly startup?: ReadonlyMap<string, string>
}

const auxiliaryQueryTimeoutMs = 5000
/** What has waited for longer to stop a server would stop something else. */
const turnMsMax = 10_000
/** For a moment each. One project's: an upstream that never answers must not take those of others. */
const auxiliary = new AuxiliaryCount(200, 25)
/** That listen for as long as anybody does: one for each pool whose clients listen. */
const listeners = new AuxiliaryCount(1000, 25)

export class Upstream implements PoolUpstream {
  readonly #options: UpstreamOptions

  constructor(options: UpstreamOptions) {
    this.#options = options
  }

  open(signal: AbortSignal): Promise<OpenedServer> {
    return openServer({
      ...this.#connectOptions(),
      signal,
      database: this.#options.database,
      credentials: this.#options.credentials(),
      isTokenPassed: this.#options.isTokenPassed ?? false,
      parameters: Object.fromEntries(this.#options.startup ?? []),
    })
  }

  async cancel({ place, processId, cancelSecret }: CancelAddress): Promise<void> {
    // Who asked for it waits no longer, and what the server does then may be another's.
    await this.#inTurn(cancelMsMax, () =>
      withUpstream(this.#connectOptions(place), async ({ socket }, signal) => {
        const closed = new Promise<void>((resolve) => {
          socket.once('close', () => resolve())
          signal.addEventListener('abort', () => resolve())
        })
        socket.resume()
        socket.write(cancelRequest(processId, cancelSecret))
        await closed
        socket.destroy()
      }),
    )
  }

  async terminate({ place, processId }: PlacedServer): Promise<void> {
    const sql = 'SELECT pg_catalog.pg_terminate_backend($1::int)'
    const ask = () => this.#ask(sql, [String(processId)], 'latchkey (terminate)', place)
    await this.#inTurn(turnMsMax, ask)
  }

  async probe(
    place: ServerPlace,
    servers: readonly ProbedServer[],
    idleMsMin: number,
  ): Promise<ProbeResult> {
    try {
      const parameters = probeParameters(servers, idleMsMin)
      const { rows } = await this.ask(probeSql, parameters, 'latchkey (probe)', place)
      return { kind: 'answered', idle: new Set(rows.map(([processId]) => Number(processId))) }
    } catch (error) {
      return probeFailure(error)
    }
  }

  /** One query on a connection of its own. Throws ServerOpenError, ConversationFailed, EMAXCONNPROCESS. */
  ask(
    sql: string,
    values: readonly string[],
    applicationName: string,
    place?: ServerPlace,
  ): Promise<ConversationResult> {
    const { ref } = this.#options.tenant()
    return auxiliary.during(ref, () => this.#ask(sql, values, applicationName, place))
  }

  listen(use: (server: ServerConnection) => Promise<void>, signal: AbortSignal): Promise<void> {
    // SQL_ASCII: names and payloads come and go as the server has them, unconverted.
    const parameters = { application_name: 'latchkey (listen)', client_encoding: 'SQL_ASCII' }
    const { tenant, credentials } = this.#options
    return listeners.during(tenant().ref, () =>
      this.#connected(parameters, credentials(), use, undefined, signal),
    )
  }

  /** To stop what a server does: however many have to be stopped at once, each gets its turn. */
  async #inTurn(msMax: number, stop: () => Promise<unknown>): Promise<void> {
    const { tenant, clock } = this.#options
    const dueMs = clock.monotonicMs() + msMax
    await auxiliary
      .inTurn(tenant().ref, async () => {
        if (clock.monotonicMs() < dueMs) await stop()
      })
      .catch(ignore)
  }

  #ask(
    sql: string,
    values: readonly string[],
    applicationName: string,
    place?: ServerPlace,
  ): Promise<ConversationResult> {
    const { clock, credentials, tenant } = this.#options
    const { auxiliaryCredentials = credentials } = this.#options
    const isThere = place === undefined || isStillAt(place, tenant())
    const secret = isThere ? auxiliaryCredentials() : place.credentials
    const parameters = { application_name: applicationName, search_path: 'pg_catalog' }
    const ask = (server: ServerConnection): Promise<ConversationResult> => {
      const bytes = Buffer.concat([extendedQuery(sql, values), sync()])
      return converse(server, { bytes, batch: 1 }, auxiliaryQueryTimeoutMs, clock)
    }
    return this.#connected(parameters, secret, ask, place)
  }

  /** A connection of its own for as long as `use` takes. */
  async #connected<Result>(
    parameters: Readonly<Record<string, string>>,
    secret: ScramSecret | null,
    use: (server: ServerConnection) => Promise<Result>,
    place?: ServerPlace,
    signal?: AbortSignal,
  ): Promise<Result> {
    const { clock, database } = this.#options
    const opened = await openServer({
      ...this.#connectOptions(place),
      signal,
      database,
      credentials: secret,
      parameters,
    })
    if (opened.rest.length > 0) opened.socket.unshift(opened.rest)
    const server = new ServerConnection({
      ...opened,
      openTransport: openStreamTransport,
      sink: mutedSink,
      clock,
      retireAtMs: Number.POSITIVE_INFINITY,
    })
    try {
      return await use(server)
    } finally {
      await server.close('retired')
    }
  }

  /** `place`: of a server that it is about; undefined: where the project is now. */
  #connectOptions(place?: ServerPlace) {
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
      tenant: place === undefined ? tenant() : reachedFrom(tenant(), place),
      ...(place !== undefined && { address: place.address }),
      role,
      connectTimeoutMs: serverConnectTimeoutMs,
      loginTimeoutMs: serverLoginTimeoutMs,
      globalCa,
      ...(addresses !== undefined && { addresses }),
      clock,
    }
  }
}

/** The upstream is gone or refuses: what was to be cancelled there will not be heard of again. */
const ignore = (): void => {}
