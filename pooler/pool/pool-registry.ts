// All pools of this process by key, the clients of each, and when a pool without clients goes.
import type { Clock } from '../../shared/clock.ts'
import { PoolerError } from '../../shared/errors.ts'
import { Roster, type RosterMember } from '../../shared/roster.ts'
import type { Secret } from '../../shared/secret.ts'
import type { PoolCounters } from '../metrics/counters.ts'
import type { Lane } from '../relay/lanes.ts'
import type { SchemaVersion } from '../relay/schema-version.ts'
import type { Refusal } from '../relay/server-source.ts'
import type { Pool } from './pool.ts'
import { type IsUsedElsewhere, type PoolGroup, PoolGroups } from './pool-groups.ts'
import { type PoolKey, poolKeyText } from './pool-key.ts'

export interface PoolClient extends RosterMember {
  /** The state that metrics count it under. */
  readonly state: string
}

export interface PoolEntry {
  readonly key: PoolKey
  readonly pool: Pool
  readonly clients: Pick<Roster<PoolClient>, 'size' | typeof Symbol.iterator>
}

/** A client's place in a pool. */
export interface PoolPlace {
  readonly pool: Pool
  /** Once, when the client is gone. */
  leave(): void
}

interface Entry extends PoolEntry {
  readonly text: string
  readonly clients: Roster<PoolClient>
  readonly group: PoolGroup
  /** Monotonic ms since when nobody is there. */
  emptySinceMs: number
}

/** What the servers of a pool are opened with besides its key. */
export interface Opening {
  /** Parameters of a direct client. */
  readonly startup: ReadonlyMap<string, string>
  /** The secret that `tokenName` of the key names; null: the project's own. */
  readonly secret: Secret<string> | null
}

export interface PoolRegistryOptions {
  readonly createPool: (key: PoolKey, opening: Opening, counters: PoolCounters) => Pool
  readonly poolsPerTenantMax: number
  readonly poolIdleTimeoutMs: number
  readonly isUsedElsewhere: IsUsedElsewhere
  /** Its first pool is there. */
  readonly onTenantEntered: (tenantRef: string) => void
  /** Its last one is gone. */
  readonly onTenantLeft: (tenantRef: string) => void
  readonly clock: Clock
}

export class PoolRegistry {
  readonly groups = new PoolGroups()
  readonly #options: PoolRegistryOptions
  readonly #byTenant = new Map<string, Map<string, Entry>>()
  #lastAlone = 0

  constructor(options: PoolRegistryOptions) {
    this.#options = options
  }

  *entries(): IterableIterator<PoolEntry> {
    for (const pools of this.#byTenant.values()) yield* pools.values()
  }

  entriesOf(tenantRef: string): Iterable<PoolEntry> {
    return this.#byTenant.get(tenantRef)?.values() ?? []
  }

  /** One for all pools of a project, for as long as it has any; null: it has none. */
  laneOf(tenantRef: string): Lane | null {
    for (const { pool } of this.entriesOf(tenantRef)) return pool.lane
    return null
  }

  /** One for all pools of a database, for as long as it has any; null: it has none. */
  schemaOf(tenantRef: string, database: string): SchemaVersion | null {
    for (const { key, pool } of this.entriesOf(tenantRef)) {
      if (key.database === database) return pool.schema
    }
    return null
  }

  /** The pool of this key, made if need be, with one more client. Throws EMAXPOOLS. */
  enter(key: PoolKey, client: PoolClient, secret: Secret<string> | null = null): PoolPlace {
    return this.#enter(key, poolKeyText(key), client, { startup: noStartup, secret })
  }

  /** A pool for this client alone; it goes with the client. Throws EMAXPOOLS. */
  enterAlone(key: PoolKey, client: PoolClient, opening: Opening): PoolPlace {
    return this.#enter(key, `${poolKeyText(key)}\0${++this.#lastAlone}`, client, opening)
  }

  #enter(key: PoolKey, text: string, client: PoolClient, opening: Opening): PoolPlace {
    const pools = this.#byTenant.get(key.tenantRef) ?? new Map<string, Entry>()
    let entry = pools.get(text)
    if (entry === undefined) {
      const limit = this.#options.poolsPerTenantMax
      // Direct clients are bounded by the limits of clients.
      if (key.mode !== 'direct' && countShared(pools) >= limit) {
        const unused = leastOf(pools)
        if (unused === null) {
          throw new PoolerError('EMAXPOOLS', { values: { limit, ref: key.tenantRef } })
        }
        void this.#close(unused, gone)
      }
      const group = this.groups.take(key)
      const pool = this.#options.createPool(key, opening, group.counted)
      entry = { key, text, pool, clients: new Roster(), group, emptySinceMs: 0 }
      group.entries.add(entry)
      pools.set(text, entry)
      if (!this.#byTenant.has(key.tenantRef)) {
        this.#byTenant.set(key.tenantRef, pools)
        this.#options.onTenantEntered(key.tenantRef)
      }
    }
    entry.clients.add(client)
    return { pool: entry.pool, leave: () => this.#leave(entry, client) }
  }

  #leave(entry: Entry, client: PoolClient): void {
    entry.clients.delete(client)
    entry.emptySinceMs = this.#options.clock.monotonicMs()
    // Servers that were opened with a token go with the last session that rests on it.
    const isOver = entry.key.mode === 'direct' || entry.key.tokenName !== undefined
    if (isOver && entry.clients.size === 0) void this.#close(entry, gone)
  }

  /** Once a second: closes pools that nobody has used for long. */
  onTick(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const entry of this.entries() as IterableIterator<Entry>) {
      entry.pool.onTick(nowMs)
      if (entry.clients.size > 0) continue
      if (nowMs - entry.emptySinceMs > this.#options.poolIdleTimeoutMs)
        void this.#close(entry, gone)
    }
    const { poolIdleTimeoutMs, isUsedElsewhere } = this.#options
    this.groups.onTick(nowMs, poolIdleTimeoutMs, isUsedElsewhere)
  }

  /** Servers of this tenant, or of one role of it, are replaced as they become free. */
  retireServersOf(tenantRef: string, role: string | null = null): void {
    for (const { key, pool } of this.entriesOf(tenantRef)) {
      if (role === null || key.role === role) pool.retireServers()
    }
  }

  /** Closes a tenant's pools; whoever waits in them is told `refusal`. */
  async closeTenant(tenantRef: string, refusal: Refusal): Promise<void> {
    const pools = this.#byTenant.get(tenantRef)
    if (pools !== undefined) {
      const closed = [...pools.values()].map((entry) => this.#close(entry, refusal))
      this.groups.forgetTenant(tenantRef)
      await Promise.all(closed)
    }
  }

  async close(refusal: Refusal): Promise<void> {
    await Promise.all([...this.#byTenant.keys()].map((ref) => this.closeTenant(ref, refusal)))
  }

  async #close(entry: Entry, refusal: Refusal): Promise<void> {
    const pools = this.#byTenant.get(entry.key.tenantRef)
    // Another one may stand in its place already.
    if (pools?.get(entry.text) === entry) pools.delete(entry.text)
    if (pools?.size === 0) {
      this.#byTenant.delete(entry.key.tenantRef)
      this.#options.onTenantLeft(entry.key.tenantRef)
    }
    entry.group.entries.delete(entry)
    entry.group.usedMs = Math.max(entry.group.usedMs, entry.emptySinceMs)
    await entry.pool.close(refusal)
  }
}

const noStartup: ReadonlyMap<string, string> = new Map()

function countShared(pools: ReadonlyMap<string, Entry>): number {
  let shared = 0
  for (const { key } of pools.values()) if (key.mode !== 'direct') shared++
  return shared
}

/** The pool that is missed least: of those that nobody is in, one without servers, else empty for longest. */
function leastOf(pools: ReadonlyMap<string, Entry>): Entry | null {
  let least: Entry | null = null
  for (const entry of pools.values()) {
    if (entry.clients.size > 0 || entry.key.mode === 'direct') continue
    if (least === null || isLess(entry, least)) least = entry
  }
  return least
}

function isLess(one: Entry, other: Entry): boolean {
  if (one.pool.isEmpty !== other.pool.isEmpty) return one.pool.isEmpty
  return one.emptySinceMs < other.emptySinceMs
}

const gone = new PoolerError('ETERMINATED', { values: { reason: 'the pool was not used' } })
