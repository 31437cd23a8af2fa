// Averages over the last whole period, from totals that only grow; PgBouncer's `stats_period`.
import type { PoolTotals } from './admin-view.ts'

export const statsPeriodMs = 60_000

type Sums = Pick<
  PoolTotals,
  'transactions' | 'queries' | 'bytesFromClients' | 'bytesToClients' | 'waitMs' | 'checkouts'
>

export interface StatsRow extends Sums {
  readonly tenantRef: string
}

const none: Sums = {
  transactions: 0,
  queries: 0,
  bytesFromClients: 0,
  bytesToClients: 0,
  waitMs: 0,
  checkouts: 0,
}
export const noRates = none
const fields = Object.keys(none) as (keyof Sums)[]

/** The pools of each project together. */
export function sumByTenant(totals: readonly PoolTotals[]): StatsRow[] {
  const byTenant = new Map<string, StatsRow>()
  for (const one of totals) {
    const before = byTenant.get(one.tenantRef) ?? { ...none, tenantRef: one.tenantRef }
    const sums = Object.fromEntries(fields.map((field) => [field, before[field] + one[field]]))
    byTenant.set(one.tenantRef, { ...before, ...sums })
  }
  return [...byTenant.values()]
}

/** Two workers' rates of one project: a wait is of one checkout, so it weighs as they do. */
export function sumRates(one: StatsRow, other: StatsRow): StatsRow {
  const checkouts = one.checkouts + other.checkouts
  const waited = one.waitMs * one.checkouts + other.waitMs * other.checkouts
  return {
    tenantRef: one.tenantRef,
    transactions: one.transactions + other.transactions,
    queries: one.queries + other.queries,
    bytesFromClients: one.bytesFromClients + other.bytesFromClients,
    bytesToClients: one.bytesToClients + other.bytesToClients,
    waitMs: checkouts === 0 ? 0 : waited / checkouts,
    checkouts,
  }
}

export class StatsRates {
  readonly #totals: () => readonly PoolTotals[]
  #before: ReadonlyMap<string, StatsRow>
  #sampledMs: number
  #rates: ReadonlyMap<string, StatsRow> = new Map()

  constructor(totals: () => readonly PoolTotals[], nowMs: number) {
    this.#totals = totals
    this.#before = this.#read()
    this.#sampledMs = nowMs
  }

  /** Once a period. */
  sample(nowMs: number): void {
    const now = this.#read()
    const seconds = Math.max(0.001, (nowMs - this.#sampledMs) / 1000)
    const rates = new Map<string, StatsRow>()
    for (const [ref, row] of now) {
      const before = this.#before.get(ref) ?? none
      // A pool that went took its part of the sum with it.
      const grown = (field: keyof Sums): number => Math.max(0, row[field] - before[field])
      const perSecond = Object.fromEntries(
        fields.map((field) => [field, Math.round(grown(field) / seconds)]),
      )
      const waitMs = grown('checkouts') === 0 ? 0 : grown('waitMs') / grown('checkouts')
      rates.set(ref, { ...row, ...perSecond, waitMs })
    }
    this.#rates = rates
    this.#before = now
    this.#sampledMs = nowMs
  }

  /** Per second; `waitMs` for each checkout. Without projects that are new in this period. */
  get all(): readonly StatsRow[] {
    return [...this.#rates.values()]
  }

  #read(): ReadonlyMap<string, StatsRow> {
    return new Map(sumByTenant(this.#totals()).map((row) => [row.tenantRef, row]))
  }
}
