// What every client connection is given: the parts of the process, built once in pooler.ts.
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { Roster } from '../../shared/roster.ts'
import type { ServerCertificates } from '../accept/server-certificates.ts'
import type { Authenticator } from '../auth/authenticate.ts'
import type { CancelKeys } from '../cancel/cancel-keys.ts'
import type { CancelRequests } from '../cancel/cancel-requests.ts'
import type { Config } from '../config/settings.ts'
import type { CounterBook } from '../metrics/counter-book.ts'
import type { PoolHolds } from '../pool/pool-holds.ts'
import type { PoolRegistry } from '../pool/pool-registry.ts'
import type { OpenTransport } from '../relay/transport.ts'
import type { TenantCache } from '../tenant/tenant-cache.ts'
import type { ClientConnection } from './client-connection.ts'
import type { ClientCounts } from './client-counts.ts'
import type { RefusalLog } from './refusal-log.ts'
import type { AdminServices } from './serve-admin.ts'
import type { StartupSettings } from './startup-settings.ts'

export interface ClientServices {
  readonly config: Config
  readonly version: string
  readonly clock: Clock
  readonly log: Log
  /** null: TLS is not offered. */
  readonly certificates: ServerCertificates | null
  readonly tenants: Pick<TenantCache, 'find'>
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  readonly clientCounts: ClientCounts
  readonly startupSettings: StartupSettings
  readonly pools: PoolRegistry
  readonly openTransport: OpenTransport
  readonly cancelKeys: CancelKeys
  readonly cancelRequests: CancelRequests
  readonly counters: CounterBook
  readonly refusalLog: RefusalLog
  readonly holds: PoolHolds
  /** null: there is no console. */
  readonly admin: () => AdminServices | null
  /** All client connections of this process, in whatever stage. */
  readonly connections: Roster<ClientConnection>
  /** Monotonic ms of the last coarse tick. */
  readonly ticker: { readonly nowMs: number }
  /** True from SIGTERM on: newcomers are told EDRAINING. */
  readonly isDraining: () => boolean
}
