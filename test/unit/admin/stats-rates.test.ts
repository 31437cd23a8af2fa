import { expect, test } from 'vitest'
import type { PoolTotals } from '../../../pooler/admin/admin-view.ts'
import { StatsRates, sumByTenant, sumRates } from '../../../pooler/admin/stats-rates.ts'

const totals = (tenantRef: string, factor: number): PoolTotals => ({
  tenantRef,
  role: 'app',
  database: 'db',
  mode: 'transaction',
  transactions: 600 * factor,
  queries: 1200 * factor,
  bytesFromClients: 6000 * factor,
  bytesToClients: 60_000 * factor,
  waitMs: 300 * factor,
  checkouts: 600 * factor,
})

const of = (rates: StatsRates, ref: string) => rates.all.find((one) => one.tenantRef === ref)

test('the pools of a project are one row', () => {
  const rows = sumByTenant([totals('shop', 1), totals('shop', 2), totals('bank', 5)])
  expect(rows).toMatchObject([
    { tenantRef: 'shop', transactions: 1800 },
    { tenantRef: 'bank', transactions: 3000 },
  ])
})

test('averages are those of the last whole period, waits of one checkout', () => {
  let now = [totals('shop', 1)]
  const rates = new StatsRates(() => now, 0)
  expect(rates.all).toEqual([])
  now = [totals('shop', 2), totals('bank', 1)]
  rates.sample(60_000)
  expect(of(rates, 'shop')).toMatchObject({ transactions: 10, queries: 20, bytesToClients: 1000 })
  expect(of(rates, 'shop')?.waitMs).toBe(0.5)
  expect(of(rates, 'bank')?.transactions).toBe(10)
  rates.sample(120_000)
  expect(of(rates, 'shop')).toMatchObject({ transactions: 0, waitMs: 0 })
})

test('a pool that went makes no average negative', () => {
  let now = [totals('shop', 3), totals('shop', 2)]
  const rates = new StatsRates(() => now, 0)
  now = [totals('shop', 3)]
  rates.sample(60_000)
  expect(of(rates, 'shop')).toMatchObject({ transactions: 0, bytesFromClients: 0 })
})

test('rates of two workers are one, waits weighed by the checkouts that waited', () => {
  const rate = (checkouts: number, waitMs: number) => ({ ...totals('shop', 1), checkouts, waitMs })
  expect(sumRates(rate(10, 1), rate(30, 5))).toMatchObject({
    checkouts: 40,
    waitMs: 4,
    queries: 2400,
  })
  expect(sumRates(rate(0, 0), rate(0, 0)).waitMs).toBe(0)
})
