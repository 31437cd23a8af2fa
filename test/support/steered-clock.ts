// The machine's own time, whose wall clock a test moves on: an end that is hours away while somebody logs
// in, however long that takes, is then in the past at once. Time limits go on as they are.
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { uniqueName } from './postgres.ts'

export class SteeredClock implements Clock {
  #aheadMs = 0
  #file: string | null = null
  readonly monotonicMs = systemClock.monotonicMs
  readonly after = systemClock.after
  readonly every = systemClock.every

  wallMs(): number {
    return systemClock.wallMs() + this.#aheadMs
  }

  /** To this moment, of those that are ahead. */
  moveTo(wallMs: number): void {
    this.#goAhead(Math.max(this.#aheadMs, wallMs - systemClock.wallMs()))
  }

  /** To the machine's own again. */
  reset(): void {
    this.#goAhead(0)
  }

  /** How far ahead it is, as steered-process.ts reads it in other processes; until `leaveFile`. */
  file(): string {
    this.#file ??= join(tmpdir(), uniqueName('latchkey_clock'))
    this.#goAhead(this.#aheadMs)
    return this.#file
  }

  leaveFile(): void {
    if (this.#file !== null) rmSync(this.#file, { force: true })
    this.#file = null
  }

  #goAhead(ms: number): void {
    this.#aheadMs = ms
    if (this.#file === null) return
    // Whoever reads finds the one number or the other.
    writeFileSync(`${this.#file}.new`, String(ms))
    renameSync(`${this.#file}.new`, this.#file)
  }
}
