// What the console sees and does: registries of the process behind plain rows. Never a socket, never
// a secret.
import type { PoolTarget } from '../pool/pool-target.ts'

export interface PoolRow {
  readonly tenantRef: string
  readonly role: string
  readonly database: string
  readonly mode: 'transaction' | 'session' | 'direct'
  readonly clientsActive: number
  readonly clientsWaiting: number
  readonly serversActive: number
  readonly serversIdle: number
  /** A reset, a rollback or a check of ours runs on them. */
  readonly serversWorking: number
  readonly serversBeingCanceled: number
  /** Being opened, or not closed yet. */
  readonly serversLogin: number
  readonly size: number
  readonly oldestWaiterMs: number
  readonly backoffMs: number
  readonly isPaused: boolean
}

export interface ClientRow {
  readonly id: number
  readonly tenantRef: string | null
  readonly role: string | null
  readonly database: string | null
  readonly mode: string
  readonly state: string
  readonly address: string
  readonly port: number
  readonly isTls: boolean
  readonly applicationName: string
  readonly connectedAtMs: number
  readonly lastActiveAtMs: number | null
  /** user_id of a person with a token. */
  readonly person: string | null
  readonly serverId: number | null
  readonly pinnedBy: string | null
}

export interface ServerRow {
  readonly id: number
  readonly tenantRef: string
  readonly role: string
  readonly database: string
  readonly mode: string
  readonly state: string
  /** Where it was dialled. */
  readonly address: string
  readonly port: number
  readonly processId: number
  readonly openedAtMs: number
  readonly isClosing: boolean
  readonly preparedStatements: number
  readonly clientId: number | null
}

/** Since the pool was made. */
export interface PoolTotals {
  readonly tenantRef: string
  readonly role: string
  readonly database: string
  readonly mode: string
  readonly transactions: number
  readonly queries: number
  readonly bytesFromClients: number
  readonly bytesToClients: number
  /** Clients' waits for a server. */
  readonly waitMs: number
  readonly checkouts: number
}

export interface TenantRow {
  readonly ref: string
  readonly name: string
  readonly parentRef: string | null
  readonly host: string
  readonly port: number
  readonly database: string
  readonly poolSize: number
  readonly maxClients: number
  readonly clients: number
  readonly servers: number
  readonly hasTemporaryAccess: boolean
  readonly isBanned: boolean
  readonly isDisabled: boolean
  readonly isPaused: boolean
  readonly roles: readonly {
    readonly role: string
    readonly poolSize: number
    readonly maxClients: number
    readonly clients: number
  }[]
}

export interface SettingRow {
  readonly name: string
  /** A secret reads `[set]`. */
  readonly value: string | null
  readonly fallback: string | null
}

export interface AdminView {
  readonly version: string
  pools(): readonly PoolRow[]
  clients(): readonly ClientRow[]
  servers(): readonly ServerRow[]
  totals(): readonly PoolTotals[]
  /** Projects that this process knows. */
  tenants(): readonly TenantRow[]
  settings(): readonly SettingRow[]
  readonly isDraining: boolean
  readonly isPaused: boolean
  readonly clientsBeforeLogin: number
}

export type ShutdownWay = 'at once' | 'wait for clients' | 'wait for servers'

export interface AdminControl {
  isTenant(ref: string): Promise<boolean>
  pause(target: PoolTarget): void
  resume(target: PoolTarget): void
  /** True when none of the meant pools has a server. */
  isEmpty(target: PoolTarget): boolean
  /** True when none of them has a server from before `sinceMs` (wall time). */
  isReplaced(target: PoolTarget, sinceMs: number): boolean
  /** Servers are closed as they become free. */
  reconnect(target: PoolTarget): void
  /** Ends clients and servers at once. */
  kill(target: PoolTarget): Promise<void>
  killClient(id: number): boolean
  disable(ref: string): void
  enable(ref: string): void
  reload(): Promise<void>
  /** Drains: clients leave when they are at rest; or stops at once. */
  shutdown(how: ShutdownWay): void
}
