// The budgets that a pool's servers count in: its tenant's, and the process's. Where workers share a
// pool, its size is a budget too.
import type { Clock } from '../../shared/clock.ts'
import type { Budget, BudgetFigures } from './budget.ts'
import { type PoolKey, poolKeyText } from './pool-key.ts'
import { ServerBudget } from './server-budget.ts'

/** `limit` is read anew at each use; Infinity: none. */
export type NewBudget = (key: string, name: string, limit: () => number) => Budget

export interface BudgetLimits {
  readonly pool: () => number
  readonly tenant: () => number
}

export class ServerBudgets {
  readonly #process: ServerBudget
  /** Of tenants that have pools, by ref, and of pools, by the text of their key. */
  readonly #byKey = new Map<string, Budget>()
  readonly #clock: Clock
  readonly #newShared: NewBudget | null

  /** `processMax`: servers that there are open files for. `newShared`: null when no other process shares them. */
  constructor(processMax: number, clock: Clock, newShared: NewBudget | null = null) {
    this.#process = new ServerBudget('open files of the pooler', () => processMax, clock)
    this.#clock = clock
    this.#newShared = newShared
  }

  of(key: PoolKey, limits: BudgetLimits): readonly Budget[] {
    const tenantName = 'max_server_connections of the project'
    const tenant = this.#budget(key.tenantRef, tenantName, limits.tenant)
    // A pool alone counts its own slots, and a direct one is its client's alone.
    if (this.#newShared === null || key.mode === 'direct') return [tenant, this.#process]
    const pool = this.#budget(poolKeyText(key), 'pool_size', limits.pool)
    return [pool, tenant, this.#process]
  }

  /** Of tenants that have pools. */
  *tenants(): IterableIterator<{ readonly tenantRef: string } & BudgetFigures> {
    for (const [key, { figures }] of this.#byKey) {
      if (!key.includes('\0')) yield { tenantRef: key, ...figures }
    }
  }

  /** The tenant's limits may have changed. */
  review(tenantRef: string): void {
    for (const [key, budget] of this.#byKey) {
      if (key === tenantRef || key.startsWith(`${tenantRef}\0`)) budget.review()
    }
  }

  /** Once a second. */
  onTick(): void {
    this.#process.review()
    for (const [key, budget] of this.#byKey) {
      if (budget.isUnused) {
        this.#byKey.delete(key)
        budget.close()
      } else budget.review()
    }
  }

  #budget(key: string, name: string, limit: () => number): Budget {
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const budget = this.#newShared?.(key, name, limit) ?? new ServerBudget(name, limit, this.#clock)
    this.#byKey.set(key, budget)
    return budget
  }
}
