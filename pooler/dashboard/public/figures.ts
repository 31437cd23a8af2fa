// From totals that the server sends every two seconds to what is drawn: rates, and how long clients
// waited for a server. Pure.

export interface Figures {
  readonly at: number
  readonly clients: number
  readonly waiting: number
  readonly oldestWaitMs: number
  readonly serversBusy: number
  readonly servers: number
  readonly serversMax: number
  readonly transactions: number
  readonly queries: number
  readonly bytesFromClients: number
  readonly bytesToClients: number
  readonly checkouts: readonly number[]
}

/** Five minutes at one each two seconds. */
export const samplesMax = 150

export function withSample(samples: readonly Figures[], next: Figures): readonly Figures[] {
  return [...samples, next].slice(-samplesMax)
}

/** Per second between each two samples; a total that shrank (a pool went) counts as nothing. */
export function rates(
  samples: readonly Figures[],
  of: (figures: Figures) => number,
): readonly number[] {
  return samples.slice(1).map((now, at) => {
    const before = samples[at]!
    const seconds = (now.at - before.at) / 1000
    return seconds <= 0 ? 0 : Math.max(0, of(now) - of(before)) / seconds
  })
}

/** As metrics/histogram.ts has its buckets: 100 µs, doubling. */
const boundSeconds = (bucket: number): number => 0.0001 * 2 ** bucket

/** Upper bound of the bucket that the quantile lies in, between two samples; null: nothing waited. */
export function checkoutQuantile(before: Figures, now: Figures, quantile: number): number | null {
  const counts = now.checkouts.map((count, at) => Math.max(0, count - (before.checkouts[at] ?? 0)))
  const all = counts.reduce((sum, count) => sum + count, 0)
  if (all === 0) return null
  let seen = 0
  for (const [bucket, count] of counts.entries()) {
    seen += count
    if (seen >= all * quantile) return boundSeconds(Math.min(bucket, counts.length - 2))
  }
  return boundSeconds(counts.length - 2)
}

export function latencies(samples: readonly Figures[], quantile: number): readonly number[] {
  return samples.slice(1).map((now, at) => checkoutQuantile(samples[at]!, now, quantile) ?? 0)
}

/** Points of an SVG polyline over a box; the highest value, or `least`, reaches the top. */
export function linePoints(
  values: readonly number[],
  { width, height, least }: { width: number; height: number; least: number },
): string {
  const highest = Math.max(least, ...values)
  const step = values.length < 2 ? 0 : width / (samplesMax - 1)
  const start = width - step * (values.length - 1)
  return values
    .map((value, at) => {
      const y = height - (value / highest) * height
      return `${(start + at * step).toFixed(1)},${y.toFixed(1)}`
    })
    .join(' ')
}
