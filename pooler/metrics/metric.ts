import { bucketBoundsSeconds, type Histogram } from './histogram.ts'

export type Labels = Readonly<Record<string, string>>

export interface Sample {
  /** Where it is not the metric's own: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string
  readonly labels: Labels
  readonly value: number
}

/** One metric family: what stands under one HELP and TYPE, with its samples read on demand. */
export interface Metric {
  /** `pooler_`, base unit in the name, `_total` on counters and only there. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  samples(): Iterable<Sample>
}

/** Cumulative buckets, sum and count of one histogram, as the text format has them. */
export function* histogramSamples(
  name: string,
  labels: Labels,
  histogram: Histogram,
): Iterable<Sample> {
  let count = 0
  for (const [index, bound] of bucketBoundsSeconds.entries()) {
    count += histogram.counts[index]!
    yield { metricName: `${name}_bucket`, labels: { ...labels, le: String(bound) }, value: count }
  }
  count += histogram.counts[bucketBoundsSeconds.length]!
  yield { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count }
  yield { metricName: `${name}_sum`, labels, value: histogram.sumSeconds }
  yield { metricName: `${name}_count`, labels, value: count }
}
