// What a pool is given. It knows no tenant's row and no secret: whoever builds it closes over them.
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { PoolCounters } from '../metrics/counters.ts'
import type { StatementOptions } from '../relay/client-statements.ts'
import type { Lane } from '../relay/lanes.ts'
import type { SchemaVersion } from '../relay/schema-version.ts'
import type { OpenTransport } from '../relay/transport.ts'
import type { Budget } from './budget.ts'
import type { ConnectBackoff } from './connect-backoff.ts'
import type { PoolKey } from './pool-key.ts'
import type { ServerConnection } from './server-connection.ts'
import type { OpenedServer } from './server-login.ts'
import type { ServerPlace } from './server-place.ts'

/** A server as others find it: a process id means nothing anywhere else. */
export interface PlacedServer {
  readonly place: ServerPlace
  readonly processId: number
}

/** What a cancel request needs: a server's own place, and its key. */
export interface CancelAddress extends PlacedServer {
  readonly cancelSecret: Buffer
}

/** A server as a probe looks for it. */
export interface ProbedServer {
  /** 0: it cannot be looked for. */
  readonly processId: number
  readonly ageMs: number
}

/** What a connection beside silent servers tells. */
export type ProbeResult =
  /** `idle`: process ids of those that have been idle for long, and now are terminated. */
  | { readonly kind: 'answered'; readonly idle: ReadonlySet<number> }
  /** Nobody answers at their address. */
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** Neither good nor bad: Postgres refused, or we have no connection to spare. */
  | { readonly kind: 'unknown' }

/** The place that a pool's servers come from. */
export interface PoolUpstream {
  /** Opens and logs in one server. Rejects with ServerOpenError, soon where `signal` aborts. */
  open(signal: AbortSignal): Promise<OpenedServer>
  /** Sends a cancel request; fulfilled when its connection has closed, never rejects. */
  cancel(server: CancelAddress): Promise<void>
  /** pg_terminate_backend over an auxiliary connection of the same role to its own place; never rejects. */
  terminate(server: PlacedServer): Promise<void>
  /** Looks at servers of ours over an auxiliary connection to their own place; never rejects. */
  probe(
    place: ServerPlace,
    servers: readonly ProbedServer[],
    idleMsMin: number,
  ): Promise<ProbeResult>
  /**
   * A connection for notifications, beside the pool's servers, for as long as `use` takes. Rejects with
   * ServerOpenError or EMAXCONNPROCESS, or as `use` does. `signal` ends the attempt, not the use.
   */
  listen(use: (server: ServerConnection) => Promise<void>, signal: AbortSignal): Promise<void>
}

/** Read anew at each use, so that a tenant's change applies to the next checkout. */
export interface PoolLimits {
  readonly size: number
  readonly checkoutTimeoutMs: number
}

export interface PoolTimes {
  readonly serverResetTimeoutMs: number
  readonly serverIdleTimeoutMs: number
  readonly serverLifetimeMs: number
  /** 0: never. */
  readonly queryWaitNotifyMs: number
  /** 0: never. */
  readonly serverSilenceProbeMs: number
}

export interface PoolOptions {
  readonly key: PoolKey
  readonly upstream: PoolUpstream
  readonly limits: () => PoolLimits
  /** Servers that are kept open as long as the pool is there; at most its size counts. */
  readonly minSize: () => number
  readonly times: PoolTimes
  /** Shared with other pools; a server is opened when each has room for it. */
  readonly budgets: readonly Budget[]
  readonly waitersMax: number
  /** Part of the servers that people with tokens may hold, 0 to 1; at least one server. */
  readonly peopleShare: number
  /** Of the upstream as it is now; shared by all its pools. */
  readonly upstreamBackoff: () => ConnectBackoff
  /**
   * Postgres took no new connection at this address, and may be shutting down: whoever has servers
   * there gives them up.
   */
  readonly onUpstreamClosing: (address: string) => void
  readonly openTransport: OpenTransport
  /** Of its project. */
  readonly lane: Lane
  /** Of its database. */
  readonly schema: SchemaVersion
  readonly counters: PoolCounters
  /** Prepared statements of this pool's clients. */
  readonly statements: StatementOptions
  readonly clock: Clock
  readonly log: Log
  readonly random: () => number
}
