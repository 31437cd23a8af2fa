// Which of our prepared statements a server has: as confirmed, and as it will be when everything
// that has been sent succeeds. What is sent, and when, is prepared-statements.ts.
import { NameForecast } from './name-forecast.ts'
import { SlotForecast } from './slot-forecast.ts'

const there = {}
/** In place of a client's text: it is not known which one the unnamed statement has. */
const unknownText = {}

export class ServerStatements {
  readonly #names = new NameForecast<object>()
  /** The names that will be there, the least recently used first. */
  readonly #byUse = new Set<string>()
  #lastUsed = ''
  /** On the server in a form that must not be used any more: closed before they are made anew. */
  readonly #suspects = new Set<string>()
  /** Those with the columns that clients were told; as long as they are there Postgres holds them to that. */
  readonly #shapes = new Map<string, object>()
  readonly #unnamed = new SlotForecast<object>()

  get size(): number {
    return this.#names.size + this.#suspects.size
  }

  /** Those that can be used. */
  get count(): number {
    return this.#names.size
  }

  has(name: string): boolean {
    return this.#names.get(name) !== null
  }

  /** As NameForecast.isUncertain. */
  isUncertain(name: string, batch: number): boolean {
    return this.#names.isUncertain(name, batch)
  }

  /** The columns of what is there are those of this shape, or have been when Postgres made it. */
  isShapeSeen(name: string, shape: object): boolean {
    return this.#shapes.get(name) === shape
  }

  onShapeSeen(name: string, shape: object): void {
    if (this.has(name)) this.#shapes.set(name, shape)
  }

  /** One that is there is used. */
  touch(name: string): void {
    if (name === this.#lastUsed) return
    this.#lastUsed = name
    this.#byUse.delete(name)
    this.#byUse.add(name)
  }

  /** A message is on its way that makes or closes it. */
  expect(name: string, isThere: boolean, batch: number): void {
    this.#names.expect(name, isThere ? there : null, batch)
    this.#shapes.delete(name)
    if (isThere) this.touch(name)
    else this.#place(name)
  }

  confirm(name: string, isThere: boolean): void {
    this.#names.confirm(name, isThere ? there : null)
    this.#place(name)
  }

  /** What was expected of it will not come. */
  lapse(name: string): void {
    this.#names.lapse(name)
    this.#place(name)
  }

  /** It will not be closed; `wasSuspect`: as takeEvictable and takeSuspect had it. */
  lapseClose(name: string, wasSuspect: boolean): void {
    this.lapse(name)
    if (wasSuspect) this.keepSuspect(name)
  }

  /** As lapseClose, of the Close of a suspect that has not been sent. */
  keepSuspect(name: string): void {
    if (!this.#names.isConfirmed(name)) this.#suspects.add(name)
  }

  /** True once for each suspect: it has to be closed before it is made. */
  takeSuspect(name: string): boolean {
    return this.#suspects.delete(name)
  }

  /** A suspect, which counts no more. */
  takeAnySuspect(): string | null {
    for (const name of this.#suspects) {
      this.#suspects.delete(name)
      return name
    }
    return null
  }

  /** The one that was used longest ago; null: there is none. It counts until `expect` of its Close. */
  get leastUsed(): string | null {
    for (const name of this.#byUse) return name
    return null
  }

  /** It must not be used as it is there. */
  suspect(name: string): void {
    this.forget(name)
    this.#suspects.add(name)
  }

  suspectAll(): void {
    for (const name of this.#names.clear().keys()) {
      this.#suspects.add(name)
      this.#place(name)
    }
  }

  /** It is not there, whatever was thought. */
  forget(name: string): void {
    this.#names.set(name, null)
    this.#place(name)
  }

  /** DISCARD ALL or DEALLOCATE ALL: neither touches the unnamed statement. */
  clear(): void {
    for (const name of this.#names.clear().keys()) this.#place(name)
    this.#suspects.clear()
  }

  /** Whose text the unnamed statement will have; null: there will be none. */
  get unnamed(): object | null {
    return this.#unnamed.value
  }

  isUnnamedUncertain(batch: number): boolean {
    return this.#unnamed.isUncertain(batch)
  }

  expectUnnamed(text: object | null, batch: number): void {
    this.#unnamed.expect(text, batch)
  }

  confirmUnnamed(text: object | null): void {
    this.#unnamed.confirm(text)
  }

  lapseUnnamed(): void {
    this.#unnamed.lapse()
  }

  /** A message of ours has used the unnamed statement, or a Parse of it has failed. */
  spoilUnnamed(): void {
    this.#unnamed.set(unknownText)
  }

  /** Whether it will be there may have changed. */
  #place(name: string): void {
    if (this.has(name)) {
      const { size } = this.#byUse
      this.#byUse.add(name)
      // One that stays after all counts as used last: who was that is looked at anew.
      if (this.#byUse.size > size) this.#lastUsed = name
    } else {
      this.#shapes.delete(name)
      this.#byUse.delete(name)
      if (name === this.#lastUsed) this.#lastUsed = ''
    }
  }
}
