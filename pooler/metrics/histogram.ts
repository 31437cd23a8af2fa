/**
 * Upper bounds in seconds: 100 µs, doubling up to 105 s, which spans a checkout without waiting and
 * the default pool_checkout_timeout. Doubling a decimal keeps it exact, so they print short.
 */
export const bucketBoundsSeconds: readonly number[] = Array.from(
  { length: 21 },
  (_bound, index) => 0.0001 * 2 ** index,
)

/** Durations in fixed buckets; observing one allocates nothing. */
export class Histogram {
  /** counts[i]: over bound i-1 up to and with bound i; the last: over all bounds. */
  readonly counts = new Float64Array(bucketBoundsSeconds.length + 1)
  sumSeconds = 0

  observeMs(ms: number): void {
    const seconds = ms / 1000
    let at = 0
    while (at < bucketBoundsSeconds.length && seconds > bucketBoundsSeconds[at]!) at += 1
    this.counts[at]! += 1
    this.sumSeconds += seconds
  }
}
