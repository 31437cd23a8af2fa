// Which refused clients have a line of their own in the log: all, unless they come in a flood. Of a flood
// a sample has one, and the rest is counted and told at the end of each window.
import type { Clock, Timer } from '../../shared/clock.ts'
import type { ErrorCode } from '../../shared/error-catalogue.ts'
import type { Log } from '../../shared/log.ts'

const windowMs = 10_000
/** Lines of one window: for one code, source and project, and in all. */
const linesOfKindMax = 20
const linesMax = 200
/** Sources that are counted apart for one code; the others are counted together. */
const sourcesMax = 100
/** Of these, those that are named at the end. */
const sourcesToldMax = 3

interface Unlogged {
  count: number
  readonly bySource: Map<string, number>
}

export class RefusalLog {
  readonly #clock: Clock
  readonly #log: Log
  /** Both empty outside of a window; bounded by `linesMax` and by the codes that there are. */
  readonly #lines = new Map<string, number>()
  readonly #unlogged = new Map<ErrorCode, Unlogged>()
  #lineCount = 0
  #window: Timer | null = null

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  /** `source` from sourceKey; `ref` only of a project that exists. False: it is counted here. */
  mayLog(code: ErrorCode, source: string, ref: string | null): boolean {
    // A bug of ours has its line, by which its report is found.
    if (code === 'EINTERNAL') return true
    this.#window ??= this.#clock.after(windowMs, () => this.#endWindow())
    const kind = JSON.stringify([code, source, ref])
    const lines = this.#lines.get(kind) ?? 0
    if (lines < linesOfKindMax && this.#lineCount < linesMax) {
      this.#lines.set(kind, lines + 1)
      this.#lineCount++
      return true
    }
    this.#count(code, source)
    return false
  }

  #count(code: ErrorCode, source: string): void {
    const unlogged = this.#unlogged.get(code) ?? { count: 0, bySource: new Map<string, number>() }
    this.#unlogged.set(code, unlogged)
    unlogged.count++
    const { bySource } = unlogged
    const ofSource = bySource.get(source)
    if (ofSource !== undefined) bySource.set(source, ofSource + 1)
    else if (bySource.size < sourcesMax) bySource.set(source, 1)
  }

  #endWindow(): void {
    this.#window = null
    for (const [code, { count, bySource }] of this.#unlogged) {
      const most = [...bySource].toSorted(([, one], [, other]) => other - one)
      const sources = Object.fromEntries(most.slice(0, sourcesToldMax))
      this.#log.warn(
        { code, count, sources },
        'more clients were refused than are logged one by one',
      )
    }
    this.#lines.clear()
    this.#unlogged.clear()
    this.#lineCount = 0
  }
}
