// Pools by what their figures stand under. Direct clients of one role have a pool each, and so have people
// by their token: whoever reads figures sees them as one. What was counted stays when the last pool has
// gone, for as long as one that nobody uses would: with several workers, nobody in any of them, for a part
// that goes from a sum looks to Prometheus as if all had been counted anew.
import { PoolCounters } from '../metrics/counters.ts'
import type { PoolKey } from './pool-key.ts'
import type { PoolEntry } from './pool-registry.ts'

/** Groups of a project without pools; beyond them the one that was used longest ago goes. */
const emptyGroupsMax = 100

/** Other workers have clients of this role. */
export type IsUsedElsewhere = (tenantRef: string, role: string) => boolean

export class PoolGroup {
  readonly key: Omit<PoolKey, 'tokenName'>
  readonly entries = new Set<PoolEntry>()
  /** What all its pools count with. */
  readonly counted = new PoolCounters()
  /** Monotonic ms when somebody was last known to be there. */
  usedMs = 0

  constructor({ tenantRef, role, database, mode }: PoolKey) {
    this.key = { tenantRef, role, database, mode }
  }

  /** With what clients did on servers that they still hold, which a server is asked for when it comes back. */
  get counters(): PoolCounters {
    let { transactions, queries } = this.counted
    for (const { pool } of this.entries) {
      for (const { state, tracker } of pool.servers) {
        if (state !== 'joined') continue
        transactions += tracker.transactions
        queries += tracker.queries
      }
    }
    return { ...this.counted, transactions, queries }
  }
}

export class PoolGroups {
  readonly #byTenant = new Map<string, Map<string, PoolGroup>>()

  of(tenantRef: string): Iterable<PoolGroup> {
    return this.#byTenant.get(tenantRef)?.values() ?? []
  }

  *all(): IterableIterator<PoolGroup> {
    for (const groups of this.#byTenant.values()) yield* groups.values()
  }

  /** Where a pool of this key is counted; made if need be. */
  take(key: PoolKey): PoolGroup {
    const groups = this.#byTenant.get(key.tenantRef) ?? new Map<string, PoolGroup>()
    const text = textOf(key)
    const known = groups.get(text)
    if (known !== undefined) return known
    makeRoom(groups)
    const group = new PoolGroup(key)
    groups.set(text, group)
    this.#byTenant.set(key.tenantRef, groups)
    return group
  }

  /** Those that nobody has used for `idleMs` go. */
  onTick(nowMs: number, idleMs: number, isUsedElsewhere: IsUsedElsewhere): void {
    for (const [ref, groups] of this.#byTenant) {
      for (const [text, group] of groups) {
        if (isUsedElsewhere(ref, group.key.role)) group.usedMs = nowMs
        else if (group.entries.size === 0 && nowMs - group.usedMs > idleMs) groups.delete(text)
      }
      if (groups.size === 0) this.#byTenant.delete(ref)
    }
  }

  forgetTenant(tenantRef: string): void {
    this.#byTenant.delete(tenantRef)
  }
}

function makeRoom(groups: Map<string, PoolGroup>): void {
  const empty = [...groups.values()].filter(({ entries }) => entries.size === 0)
  if (empty.length < emptyGroupsMax) return
  const oldest = empty.reduce((one, other) => (other.usedMs < one.usedMs ? other : one))
  groups.delete(textOf(oldest.key))
}

/** Of its project; NUL stands in no name. */
const textOf = ({ role, database, mode }: PoolKey): string => [role, database, mode].join('\0')
