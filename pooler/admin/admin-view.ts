// What the console sees and does: registries of all workers behind plain rows. Never a socket, never
// a secret. Rows cross processes as JSON.
import type { HoldChange } from '../pool/pool-holds.ts'
import type { PoolKey } from '../pool/pool-key.ts'
import type { PoolTarget } from '../pool/pool-target.ts'
import type { StatsRow } from './stats-rates.ts'

export interface PoolRow extends PoolKey {
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

/** What is a process's own. */
export interface ProcessRow {
  readonly pid: number
  readonly startedAtMs: number
  /** By the names of process.memoryUsage(), in bytes. */
  readonly memory: Readonly<Record<string, number>>
  readonly isDraining: boolean
  readonly isPaused: boolean
  readonly clientsBeforeLogin: number
}

/** What one worker tells, each fact as rows. */
export interface AdminFacts {
  readonly pools: readonly PoolRow[]
  readonly clients: readonly ClientRow[]
  readonly servers: readonly ServerRow[]
  readonly totals: readonly PoolTotals[]
  readonly rates: readonly StatsRow[]
  /** Projects that it knows. */
  readonly tenants: readonly TenantRow[]
  readonly processes: readonly ProcessRow[]
}

export type FactName = keyof AdminFacts
/** A row of one worker; what cannot be summed says whose it is. */
export type OfWorker<Row> = Row & { readonly worker: number }

/** Those of all workers in one: sums where rows are the same thing. */
export interface AllFacts extends AdminFacts {
  readonly clients: readonly OfWorker<ClientRow>[]
  readonly servers: readonly OfWorker<ServerRow>[]
  readonly processes: readonly OfWorker<ProcessRow>[]
}

export interface SeenFacts {
  readonly facts: AllFacts
  /** Why they are not complete; null: they are. */
  readonly lack: string | null
}

export interface AdminView {
  readonly version: string
  settings(): readonly SettingRow[]
  /** Facts that are not asked for are empty. */
  read(names: readonly FactName[]): Promise<SeenFacts>
}

export type ShutdownWay = 'at once' | 'wait for clients' | 'wait for servers'

/** What each worker does by itself, and answers with yes or no. */
export type PoolAct =
  /** Servers are closed as they become free. */
  | { readonly kind: 'reconnect'; readonly target: PoolTarget }
  /** Clients and servers are ended at once. */
  | { readonly kind: 'kill'; readonly target: PoolTarget }
  /** Yes where that client was. */
  | { readonly kind: 'kill client'; readonly id: number }
  /** Yes when none of the meant pools has a server. */
  | { readonly kind: 'is empty'; readonly target: PoolTarget }
  /** Yes when none of them has a server from before `sinceMs` (wall time). */
  | { readonly kind: 'is replaced'; readonly target: PoolTarget; readonly sinceMs: number }

export interface AdminControl {
  isTenant(ref: string): Promise<boolean>
  /** Fulfilled when it holds in every worker. Throws EADMINCOMMAND. */
  hold(change: HoldChange): Promise<void>
  /** As far as this worker has been told. */
  isPaused(target: PoolTarget): boolean
  /** What every worker answered. Throws EADMINCOMMAND where one did not. */
  everywhere(act: PoolAct): Promise<readonly boolean[]>
  reload(): Promise<void>
  /** Drains: clients leave when they are at rest; or stops at once. */
  shutdown(how: ShutdownWay): void
}
