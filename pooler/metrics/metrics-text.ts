// The text that Prometheus scrapes. Each scrape looks at the process afresh, so that the series of
// what is gone are gone, and nothing of one project can stay behind in another's answer.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Metric as PrometheusMetric, Registry } from 'prom-client'
import { loginMetrics } from './login-metrics.ts'
import type { Metric, Sample } from './metric.ts'
import { budgetMetrics, poolMetrics, tenantMetrics } from './pool-metrics.ts'
import type { ProcessMetrics } from './process-metrics.ts'
import type { MetricsSnapshot, TenantSnapshot } from './snapshot.ts'

export const metricsContentType = Registry.PROMETHEUS_CONTENT_TYPE

export interface MetricsTextOptions {
  readonly snapshot: () => MetricsSnapshot
  readonly processMetrics: ProcessMetrics
}

export class MetricsText {
  readonly #snapshot: () => MetricsSnapshot
  readonly #processMetrics: ProcessMetrics

  constructor({ snapshot, processMetrics }: MetricsTextOptions) {
    this.#snapshot = snapshot
    this.#processMetrics = processMetrics
  }

  /** The whole process. Errors and refusals without a known project stand under tenant `other`. */
  render(): Promise<string> {
    const snapshot = this.#snapshot()
    const rest: TenantSnapshot = { tenantRef: 'other', counters: snapshot.counters }
    return textOf([
      ...poolMetrics([...snapshot.pools]),
      ...budgetMetrics([...snapshot.budgets]),
      ...tenantMetrics([...snapshot.tenants, rest]),
      ...loginMetrics(snapshot),
      ...this.#processMetrics.metrics(),
    ])
  }

  /** One project's pools and counts, and nothing else; no samples when it has none. */
  renderTenant(ref: string): Promise<string> {
    const snapshot = this.#snapshot()
    return textOf([
      ...poolMetrics([...snapshot.pools].filter((pool) => pool.tenantRef === ref)),
      ...budgetMetrics([...snapshot.budgets].filter((budget) => budget.tenantRef === ref)),
      ...tenantMetrics([...snapshot.tenants].filter((tenant) => tenant.tenantRef === ref)),
    ])
  }
}

/** Takes a few milliseconds to write; with a turn between, a scrape of any size holds nobody up. */
const samplesPerTurn = 500

async function textOf(metrics: readonly Metric[]): Promise<string> {
  let text = ''
  for (const metric of metrics) {
    let isHead = true
    for (const samples of batches(metric.samples())) {
      const part = await format(metric, samples)
      text += isHead ? part : withoutHead(part)
      isHead = false
      await nextTurn()
    }
  }
  return text
}

/** At least one batch, so that a family without samples still has its HELP and TYPE. */
function* batches(samples: Iterable<Sample>): Iterable<Sample[]> {
  let batch: Sample[] = []
  for (const sample of samples) {
    if (batch.length === samplesPerTurn) {
      yield batch
      batch = []
    }
    batch.push(sample)
  }
  yield batch
}

/** Of a metric prom-client's registry uses name, help, type and get; ours have no more than these. */
function format({ name, help, type }: Metric, values: readonly Sample[]): Promise<string> {
  const registry = new Registry()
  const family = { name, help, type, get: async () => ({ name, help, type, values }) }
  registry.registerMetric(family as unknown as PrometheusMetric<string>)
  return registry.metrics()
}

/** HELP and TYPE stand once for a family; neither holds a line break of its own. */
function withoutHead(part: string): string {
  return part.slice(part.indexOf('\n', part.indexOf('\n') + 1) + 1)
}
