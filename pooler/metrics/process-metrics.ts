// How this process itself is doing. Everything here is a counter, a histogram or a plain gauge, so
// that several scrapers do not disturb each other, as figures reset on reading would.
import { performance } from 'node:perf_hooks'
import type { Clock, Timer } from '../../shared/clock.ts'
import { Histogram } from './histogram.ts'
import { histogramSamples, type Metric, type Sample } from './metric.ts'

/** Ten samples a second find a stall of 100 ms nearly always and cost nothing measurable. */
const samplePeriodMs = 100

export interface ProcessMetricsOptions {
  readonly clock: Clock
  readonly version: string
}

export class ProcessMetrics {
  readonly #clock: Clock
  readonly #version: string
  readonly #startedAtMs: number
  readonly #startedMonotonicMs: number
  readonly #delays = new Histogram()
  readonly #sampler: Timer
  #lastSampleMs: number

  constructor({ clock, version }: ProcessMetricsOptions) {
    this.#clock = clock
    this.#version = version
    this.#startedAtMs = clock.wallMs()
    this.#startedMonotonicMs = clock.monotonicMs()
    this.#lastSampleMs = this.#startedMonotonicMs
    this.#sampler = clock.every(samplePeriodMs, () => this.#sample())
  }

  stop(): void {
    this.#sampler.cancel()
  }

  metrics(): Metric[] {
    return [
      one('gauge', 'pooler_build_info', 'Always 1; the labels tell the versions.', () => [
        { labels: { version: this.#version, node: process.versions.node }, value: 1 },
      ]),
      one('gauge', 'pooler_start_time_seconds', 'Start of this process, in Unix time.', () =>
        plain(this.#startedAtMs / 1000),
      ),
      one('gauge', 'pooler_uptime_seconds', 'Time since the start of this process.', () =>
        plain((this.#clock.monotonicMs() - this.#startedMonotonicMs) / 1000),
      ),
      one(
        'histogram',
        'pooler_event_loop_delay_seconds',
        'How much later than asked a timer ran, sampled ten times a second.',
        () => histogramSamples('pooler_event_loop_delay_seconds', {}, this.#delays),
      ),
      one('counter', 'pooler_event_loop_active_seconds_total', 'Time spent working.', () =>
        plain(performance.eventLoopUtilization().active / 1000),
      ),
      one('counter', 'pooler_cpu_seconds_total', 'Processor time, by mode.', cpuSamples),
      one('gauge', 'pooler_memory_bytes', 'Memory of this process, by kind.', memorySamples),
    ]
  }

  /** A timer that Node repeats is due one period after it last ran, however late that was. */
  #sample(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#delays.observeMs(Math.max(0, nowMs - this.#lastSampleMs - samplePeriodMs))
    this.#lastSampleMs = nowMs
  }
}

function one(
  type: Metric['type'],
  name: string,
  help: string,
  samples: () => Iterable<Sample>,
): Metric {
  return { type, name, help, samples }
}

const plain = (value: number): Sample[] => [{ labels: {}, value }]

function cpuSamples(): Sample[] {
  const { user, system } = process.cpuUsage()
  return [
    { labels: { mode: 'user' }, value: user / 1_000_000 },
    { labels: { mode: 'system' }, value: system / 1_000_000 },
  ]
}

function memorySamples(): Sample[] {
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
  return [
    { labels: { kind: 'resident' }, value: rss },
    { labels: { kind: 'heap_total' }, value: heapTotal },
    { labels: { kind: 'heap_used' }, value: heapUsed },
    { labels: { kind: 'external' }, value: external },
  ]
}
