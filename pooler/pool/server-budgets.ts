// The budgets that a pool's servers count in: its tenant's, and the process's.
import type { Clock } from '../../shared/clock.ts'
import { ServerBudget } from './server-budget.ts'

export class ServerBudgets {
  readonly #process: ServerBudget
  /** Of tenants that have pools. */
  readonly #byTenant = new Map<string, ServerBudget>()
  readonly #clock: Clock

  /** `processMax`: servers that there are open files for. */
  constructor(processMax: number, clock: Clock) {
    this.#process = new ServerBudget('open files of the pooler', () => processMax, clock)
    this.#clock = clock
  }

  /** `limit` is the tenant's own, read anew at each use. */
  of(tenantRef: string, limit: () => number): readonly ServerBudget[] {
    let budget = this.#byTenant.get(tenantRef)
    if (budget === undefined) {
      budget = new ServerBudget('max_server_connections of the project', limit, this.#clock)
      this.#byTenant.set(tenantRef, budget)
    }
    return [budget, this.#process]
  }

  /** The tenant's limit may have changed. */
  review(tenantRef: string): void {
    this.#byTenant.get(tenantRef)?.review()
  }

  /** Once a second. */
  onTick(): void {
    this.#process.review()
    for (const [ref, budget] of this.#byTenant) {
      if (budget.isUnused) this.#byTenant.delete(ref)
      else budget.review()
    }
  }
}
