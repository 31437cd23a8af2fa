// Processor time of a program over a turn, so that it can be counted from a moment that is known only
// afterwards: the first transaction, behind the logins.
import { treeCpuMs } from './cpu.ts'

/** /proc counts in steps of 10 ms. */
const samplePeriodMs = 20

export class CpuLog {
  readonly #pid: number
  readonly #samples: (readonly [atMs: number, cpuMs: number])[] = []
  readonly #timer: NodeJS.Timeout

  /** From now on to `stop`, with the program's children. */
  constructor(pid: number) {
    this.#pid = pid
    this.#sample()
    this.#timer = setInterval(() => this.#sample(), samplePeriodMs)
  }

  /** Used since `fromMs`, as performance.now() has it; undefined: since the start. */
  stop(fromMs: number | undefined): number {
    clearInterval(this.#timer)
    this.#sample()
    return (this.#samples.at(-1)?.[1] ?? 0) - cpuMsAt(this.#samples, fromMs ?? 0)
  }

  #sample(): void {
    this.#samples.push([performance.now(), treeCpuMs(this.#pid)])
  }
}

/** Between two samples as if it had been used evenly; before the first, that one's. */
export function cpuMsAt(
  samples: readonly (readonly [atMs: number, cpuMs: number])[],
  atMs: number,
): number {
  const next = samples.findIndex(([sampledMs]) => sampledMs >= atMs)
  const [beforeMs, before] = samples[next === -1 ? samples.length - 1 : Math.max(0, next - 1)] ?? [
    0, 0,
  ]
  const [afterMs, after] = samples[next] ?? [beforeMs, before]
  if (afterMs <= beforeMs || atMs <= beforeMs) return before
  return before + ((after - before) * (atMs - beforeMs)) / (afterMs - beforeMs)
}
