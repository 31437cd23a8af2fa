// Which of our prepared statements a server has: as confirmed, and as it will be when everything
// that has been sent succeeds. What is sent, and when, is prepared-statements.ts.
import { NameForecast } from './name-forecast.ts'

const unnamed = ''
/** In place of a client's text: it is not known which one the unnamed statement has. */
const unknownText = {}

export class ServerStatements {
  /** Server-side name to the hold that used it last; the least recently used first. */
  readonly #names = new NameForecast<number>()
  /** On the server in a form that must not be used any more: closed before they are made anew. */
  readonly #suspects = new Set<string>()
  readonly #unnamed = new NameForecast<object>()
  /** Counts clients' holds of the server: what the present one has used is not evicted. */
  #hold = 0

  get size(): number {
    return this.#names.size + this.#suspects.size
  }

  beginHold(): void {
    this.#hold++
  }

  has(name: string): boolean {
    return this.#names.get(name) !== null
  }

  /** As NameForecast.isUncertain. */
  isUncertain(name: string, batch: number): boolean {
    return this.#names.isUncertain(name, batch)
  }

  /** The present hold uses it. */
  touch(name: string): void {
    this.#names.move(name, this.#hold)
  }

  /** A message is on its way that makes or closes it. */
  expect(name: string, isThere: boolean, batch: number): void {
    this.#names.expect(name, isThere ? this.#hold : null, batch)
  }

  confirm(name: string, isThere: boolean): void {
    this.#names.confirm(name, isThere ? this.#hold : null)
  }

  /** What was expected of it will not come. */
  lapse(name: string): void {
    this.#names.lapse(name)
  }

  /** It will not be closed: what must not be used is still there, and still must not be. */
  lapseClose(name: string): void {
    this.#names.lapse(name)
    this.keepSuspect(name)
  }

  /** As lapseClose, of a Close that has not been sent. */
  keepSuspect(name: string): void {
    if (!this.#names.isConfirmed(name)) this.#suspects.add(name)
  }

  /** A statement that may be closed: not used by the present hold. It counts no more. */
  takeEvictable(): string | null {
    for (const name of this.#suspects) {
      this.#suspects.delete(name)
      return name
    }
    for (const [name, hold] of this.#names.confirmed()) {
      if (hold === this.#hold) return null
      if (this.#names.isSettled(name)) return name
    }
    return null
  }

  /** It must not be used as it is there. */
  suspect(name: string): void {
    this.#names.set(name, null)
    this.#suspects.add(name)
  }

  suspectAll(): void {
    for (const name of this.#names.clear().keys()) this.#suspects.add(name)
  }

  /** It is not there, whatever was thought. */
  forget(name: string): void {
    this.#names.set(name, null)
  }

  /** True once for each suspect: it has to be closed before it is made. */
  takeSuspect(name: string): boolean {
    return this.#suspects.delete(name)
  }

  /** DISCARD ALL or DEALLOCATE ALL: neither touches the unnamed statement. */
  clear(): void {
    this.#names.clear()
    this.#suspects.clear()
  }

  /** Whose text the unnamed statement will have; null: there will be none. */
  get unnamed(): object | null {
    return this.#unnamed.get(unnamed)
  }

  isUnnamedUncertain(batch: number): boolean {
    return this.#unnamed.isUncertain(unnamed, batch)
  }

  expectUnnamed(text: object | null, batch: number): void {
    this.#unnamed.expect(unnamed, text, batch)
  }

  confirmUnnamed(text: object | null): void {
    this.#unnamed.confirm(unnamed, text)
  }

  lapseUnnamed(): void {
    this.#unnamed.lapse(unnamed)
  }

  /** A message of ours has used the unnamed statement, or a Parse of it has failed. */
  spoilUnnamed(): void {
    this.#unnamed.set(unnamed, unknownText)
  }
}
