// What the metrics tell of clients' state: who keeps a server and why, and what became of prepared
// statements.
import { afterEach, expect, test } from 'vitest'
import { DecisionTimes } from '../../pooler/metrics/counters.ts'
import { MetricsText } from '../../pooler/metrics/metrics-text.ts'
import { ProcessMetrics } from '../../pooler/metrics/process-metrics.ts'
import { metricsSnapshotOf } from '../../pooler/metrics-snapshot-of.ts'
import { systemClock } from '../../shared/clock.ts'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { parsePrometheusText } from '../support/prometheus-text.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

async function start(options: PooledPostgresOptions = {}): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...options })
}

async function say(client: RawClient, ...messages: Buffer[]): Promise<void> {
  await client.send(Buffer.concat(messages))
  await client.untilReady()
}

async function scrape() {
  const { plane, counters } = pooled.pooler
  const control = { tokenDecisions: new DecisionTimes(), liveSessions: 0, sealed: null }
  const text = new MetricsText({
    snapshot: () => metricsSnapshotOf(plane, counters, control),
    processMetrics: new ProcessMetrics({ clock: systemClock, version: 'test' }),
  })
  const families = parsePrometheusText(await text.render())
  return (name: string, reason?: string): number | undefined =>
    families.get(name)?.samples.find(({ labels }) => labels.reason === reason)?.value
}

test('a client that keeps its server is counted once and shown by its reason', async () => {
  await start()
  const client = await pooled.client('transaction')
  await say(client, raw.query('select 1'))
  const before = await scrape()
  expect(before('pooler_pinned_clients', 'advisory lock')).toBe(0)
  expect(before('pooler_pins_total', 'advisory lock')).toBe(0)
  await say(client, raw.query('select pg_advisory_lock(1)'))
  for (let turn = 0; turn < 3; turn++) await say(client, raw.query('select 1'))
  const during = await scrape()
  expect(during('pooler_pinned_clients', 'advisory lock')).toBe(1)
  expect(during('pooler_pins_total', 'advisory lock')).toBe(1)
  await say(client, raw.query('select pg_advisory_unlock(1)'))
  await eventually(async () => {
    expect((await scrape())('pooler_pinned_clients', 'advisory lock')).toBe(0)
  })
  expect((await scrape())('pooler_pins_total', 'advisory lock')).toBe(1)
})

test('prepared statements are counted as had, lacked, closed for others and made anew', async () => {
  await start({ config: { serverPreparedStatementsMax: 2 } })
  const [client, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await say(client, raw.query('create table t as select 1 as a'))
  const run = (statement: string) => [raw.bind({ statement }), raw.execute(), raw.sync()]
  await say(client, raw.parse('s', 'select * from t'), ...run('s'))
  await say(other, raw.parse('o', 'select * from t'), ...run('o'))
  const first = await scrape()
  expect(first('pooler_prepared_statement_misses_total')).toBe(1)
  // Its own Bind, and the other's Parse and Bind.
  expect(first('pooler_prepared_statement_hits_total')).toBe(3)
  await say(client, raw.query('alter table t add b int'))
  await say(other, ...run('o'))
  expect((await scrape())('pooler_prepared_statement_repairs_total')).toBe(1)
  expect((await scrape())('pooler_prepared_statement_evictions_total')).toBe(0)
  for (const text of ['select 2', 'select 3']) await say(client, raw.parse(text, text), raw.sync())
  expect((await scrape())('pooler_prepared_statement_evictions_total')).toBe(1)
})
