import { expect, test } from 'vitest'
import {
  DecisionTimes,
  PoolCounters,
  ProcessCounters,
  TenantCounters,
} from '../../../pooler/metrics/counters.ts'
import { MetricsText } from '../../../pooler/metrics/metrics-text.ts'
import { ProcessMetrics } from '../../../pooler/metrics/process-metrics.ts'
import type {
  BudgetSnapshot,
  PoolSnapshot,
  TenantSnapshot,
} from '../../../pooler/metrics/snapshot.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { type ParsedFamily, parsePrometheusText } from '../../support/prometheus-text.ts'

function poolOf(tenantRef: string, more: Partial<PoolSnapshot> = {}): PoolSnapshot {
  return {
    tenantRef,
    role: 'postgres',
    database: 'app',
    mode: 'transaction',
    clientsByState: { idle: 3, waiting: 1, joined: 2 },
    serversByState: { idle: 0, active: 2 },
    pinnedByReason: { listening: 1, 'advisory lock': 0 },
    serversMax: 15,
    waiters: 1,
    oldestWaiterMs: 1_250,
    backoffMs: 400,
    listeningClients: 3,
    listenedChannels: 2,
    listeningConnections: 1,
    counters: new PoolCounters(),
    ...more,
  }
}

function newMetrics() {
  const clock = new ManualClock()
  const pools: PoolSnapshot[] = []
  const budgets: BudgetSnapshot[] = []
  const tenants: TenantSnapshot[] = []
  const counters = new ProcessCounters()
  const text = new MetricsText({
    snapshot: () => ({
      pools,
      budgets,
      tenants,
      counters,
      connectionsBeforeLogin: 4,
      isDraining: false,
      tokenDecisions: new DecisionTimes(),
      liveSessions: 2,
      sealed: { password: { current: 7, previous: 2 } },
    }),
    processMetrics: new ProcessMetrics({ clock, version: '1.2.3' }),
  })
  const scrape = async () => parsePrometheusText(await text.render())
  const scrapeTenant = async (ref: string) => parsePrometheusText(await text.renderTenant(ref))
  return { clock, pools, budgets, tenants, counters, text, scrape, scrapeTenant }
}

function sampleOf(
  families: Map<string, ParsedFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''))
  return family?.samples.find(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )?.value
}

test('what is scraped keeps the rules of the format, with and without pools', async () => {
  const { pools, tenants, scrape } = newMetrics()
  const names = [...(await scrape()).keys()]
  expect(names.every((name) => name.startsWith('pooler_'))).toBe(true)
  pools.push(poolOf('a'), poolOf('b'), poolOf('a', { role: 'reader' }))
  tenants.push({ tenantRef: 'a', counters: new TenantCounters() })
  expect([...(await scrape()).keys()]).toEqual(names)
})

test('a project that bounds its servers shows what it has, and is alone in its own answer', async () => {
  const { budgets, scrape, scrapeTenant } = newMetrics()
  budgets.push({ tenantRef: 'a', limit: 20, used: 19, wanted: 3 })
  budgets.push({ tenantRef: 'b', limit: 5, used: 0, wanted: 0 })
  for (const families of [await scrape(), await scrapeTenant('a')]) {
    const of = (name: string) => sampleOf(families, name, { tenant: 'a' })
    expect(of('pooler_tenant_servers_max')).toBe(20)
    expect(of('pooler_tenant_servers')).toBe(19)
    expect(of('pooler_tenant_servers_wanted')).toBe(3)
  }
  expect((await scrapeTenant('a')).get('pooler_tenant_servers')?.samples).toHaveLength(1)
})

test('gauges are what the snapshot says now, in base units', async () => {
  const { pools, scrape } = newMetrics()
  pools.push(poolOf('a'))
  const families = await scrape()
  const labels = { tenant: 'a', role: 'postgres', database: 'app', mode: 'transaction' }
  expect(sampleOf(families, 'pooler_clients', { ...labels, state: 'idle' })).toBe(3)
  expect(sampleOf(families, 'pooler_servers', { ...labels, state: 'idle' })).toBe(0)
  expect(sampleOf(families, 'pooler_waiters', labels)).toBe(1)
  expect(sampleOf(families, 'pooler_oldest_waiter_seconds', labels)).toBe(1.25)
  expect(sampleOf(families, 'pooler_backoff_seconds', labels)).toBe(0.4)
  expect(sampleOf(families, 'pooler_servers_max', labels)).toBe(15)
  expect(sampleOf(families, 'pooler_connections_before_login')).toBe(4)
  expect(sampleOf(families, 'pooler_draining')).toBe(0)
})

test('counters grow from one scrape to the next and scraping resets nothing', async () => {
  const { pools, scrape } = newMetrics()
  const pool = poolOf('a')
  pools.push(pool)
  pool.counters.transactions = 7
  pool.counters.bytesFromClients = 100
  pool.counters.serversClosedByReason.count('idle')
  pool.counters.checkouts.observeMs(0.15)
  pool.counters.checkouts.observeMs(200_000)
  await scrape()
  pool.counters.transactions += 1
  const families = await scrape()
  expect(sampleOf(families, 'pooler_transactions_total')).toBe(8)
  expect(sampleOf(families, 'pooler_client_received_bytes_total')).toBe(100)
  expect(sampleOf(families, 'pooler_servers_closed_total', { reason: 'idle' })).toBe(1)
  expect(sampleOf(families, 'pooler_checkout_seconds_count')).toBe(2)
  expect(sampleOf(families, 'pooler_checkout_seconds_bucket', { le: '0.0002' })).toBe(1)
  expect(sampleOf(families, 'pooler_checkout_seconds_bucket', { le: '104.8576' })).toBe(1)
  expect(sampleOf(families, 'pooler_checkout_seconds_sum')).toBeCloseTo(200.00015, 8)
})

test('logins, errors and refusals are counted by method, code and reason', async () => {
  const { tenants, counters, scrape } = newMetrics()
  const tenant = new TenantCounters()
  tenants.push({ tenantRef: 'a', counters: tenant })
  tenant.errors.count('ECHECKOUTTIMEOUT')
  tenant.refusals.count('token_expired')
  counters.errors.count('ENOTFOUND', 3)
  counters.logins.token.observeMs(20)
  const families = await scrape()
  const errors = 'pooler_errors_total'
  expect(sampleOf(families, errors, { tenant: 'a', code: 'ECHECKOUTTIMEOUT' })).toBe(1)
  expect(sampleOf(families, errors, { tenant: 'other', code: 'ENOTFOUND' })).toBe(3)
  expect(sampleOf(families, 'pooler_refusals_total', { reason: 'token_expired' })).toBe(1)
  expect(sampleOf(families, 'pooler_login_seconds_count', { method: 'token' })).toBe(1)
})

test('the series of a tenant that is gone are gone', async () => {
  const { pools, text } = newMetrics()
  pools.push(poolOf('gone'), poolOf('here'))
  expect(await text.render()).toContain('tenant="gone"')
  pools.shift()
  expect(await text.render()).not.toContain('gone')
})

test("one tenant's text holds nothing of another's, nor of the process", async () => {
  const { pools, tenants, counters, scrapeTenant } = newMetrics()
  pools.push(poolOf('a'), poolOf('b'))
  for (const tenantRef of ['a', 'b']) tenants.push({ tenantRef, counters: new TenantCounters() })
  for (const { counters: each } of tenants) each.errors.count('EUPSTREAM')
  counters.errors.count('EINTERNAL')
  const families = await scrapeTenant('a')
  const samples = [...families.values()].flatMap((family) => family.samples)
  expect(samples.length).toBeGreaterThan(30)
  expect(new Set(samples.map((sample) => sample.labels.tenant))).toEqual(new Set(['a']))
})

test("two tenants' texts asked for at once do not mix", async () => {
  const { pools, text } = newMetrics()
  for (let index = 0; index < 50; index += 1) pools.push(poolOf(`t${index}`))
  const texts = await Promise.all(['t1', 't2', 't3'].map((ref) => text.renderTenant(ref)))
  for (const [index, each] of texts.entries()) {
    expect(new Set(each.match(/tenant="[^"]*"/g))).toEqual(new Set([`tenant="t${index + 1}"`]))
  }
})

test('an unknown tenant has families without samples', async () => {
  const { pools, scrapeTenant } = newMetrics()
  pools.push(poolOf('a'))
  const samples = [...(await scrapeTenant('b')).values()].flatMap((family) => family.samples)
  expect(samples).toEqual([])
})

test('a role or database of any characters stays inside its label', async () => {
  const { pools, scrape } = newMetrics()
  const role = 'a"} 1\npooler_forged_total{x="\\'
  pools.push(poolOf('a', { role }))
  const families = await scrape()
  expect(families.has('pooler_forged_total')).toBe(false)
  expect(sampleOf(families, 'pooler_servers_max', { role })).toBe(15)
})

test('a family of more samples than one turn takes has its head once and all samples', async () => {
  const { pools, scrape } = newMetrics()
  for (let index = 0; index < 300; index += 1) pools.push(poolOf(`t${index}`))
  const families = await scrape()
  expect(families.get('pooler_clients')?.samples).toHaveLength(900)
  expect(families.get('pooler_checkout_seconds')?.samples).toHaveLength(300 * 24)
})

test('the process tells its version, uptime, memory and how late its timers run', async () => {
  const { clock, scrape } = newMetrics()
  clock.advance(1_000)
  clock.stall(350)
  const families = await scrape()
  expect(sampleOf(families, 'pooler_build_info', { version: '1.2.3' })).toBe(1)
  expect(sampleOf(families, 'pooler_uptime_seconds')).toBe(1.35)
  expect(sampleOf(families, 'pooler_start_time_seconds')).toBe(Date.UTC(2026, 0, 1) / 1000)
  expect(sampleOf(families, 'pooler_memory_bytes', { kind: 'resident' })).toBeGreaterThan(1_000_000)
  expect(sampleOf(families, 'pooler_event_loop_delay_seconds_bucket', { le: '0.2048' })).toBe(12)
  expect(sampleOf(families, 'pooler_event_loop_delay_seconds_count')).toBe(13)
})
