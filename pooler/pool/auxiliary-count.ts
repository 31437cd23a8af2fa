// Connections of ours beside the servers of pools, counted apart from them and bounded: beyond a bound
// those that stop what a server does wait for their turn, and all others are refused.
import { PoolerError } from '../../shared/errors.ts'

/** Of one project: more than one for each of its servers are there only where nobody answers. */
const waitingMax = 2000

export class AuxiliaryCount {
  readonly #processMax: number
  readonly #tenantMax: number
  #count = 0
  /** Projects that have some, by ref. */
  readonly #byTenant = new Map<string, number>()
  /** Those that wait, by ref; the project whose turn it is comes first. None of them has room. */
  readonly #lines = new Map<string, (() => void)[]>()

  /** `tenantMax`: what one project may have of them, so that it does not take those of others. */
  constructor(processMax: number, tenantMax: number) {
    this.#processMax = processMax
    this.#tenantMax = tenantMax
  }

  get size(): number {
    return this.#count
  }

  /** Counts one connection for as long as `use` takes. Rejects with EMAXCONNPROCESS, or as `use` does. */
  async during<Result>(ref: string, use: () => Promise<Result>): Promise<Result> {
    if (!this.#hasRoom(ref)) throw this.#refusal(ref)
    this.#enter(ref)
    return await this.#counted(ref, use)
  }

  /** As `during`, but waits for room; rejects with EMAXCONNPROCESS where too many do. */
  async inTurn<Result>(ref: string, use: () => Promise<Result>): Promise<Result> {
    if (this.#hasRoom(ref)) return await this.during(ref, use)
    const line = this.#lines.get(ref) ?? []
    if (line.length >= waitingMax) throw this.#refusal(ref)
    this.#lines.set(ref, line)
    // Whoever leaves counts it in.
    await new Promise<void>((resolve) => line.push(resolve))
    return await this.#counted(ref, use)
  }

  #hasRoom(ref: string): boolean {
    return this.#count < this.#processMax && (this.#byTenant.get(ref) ?? 0) < this.#tenantMax
  }

  async #counted<Result>(ref: string, use: () => Promise<Result>): Promise<Result> {
    try {
      return await use()
    } finally {
      this.#leave(ref)
    }
  }

  #enter(ref: string): void {
    this.#count++
    this.#byTenant.set(ref, (this.#byTenant.get(ref) ?? 0) + 1)
  }

  #leave(ref: string): void {
    this.#count--
    const left = (this.#byTenant.get(ref) ?? 1) - 1
    if (left === 0) this.#byTenant.delete(ref)
    else this.#byTenant.set(ref, left)
    this.#beginNext()
  }

  /** Projects take turns. */
  #beginNext(): void {
    for (const [ref, line] of this.#lines) {
      if (!this.#hasRoom(ref)) continue
      this.#lines.delete(ref)
      const begin = line.shift()
      if (line.length > 0) this.#lines.set(ref, line)
      this.#enter(ref)
      begin?.()
      return
    }
  }

  #refusal(ref: string): PoolerError {
    const isOwn = (this.#byTenant.get(ref) ?? 0) >= this.#tenantMax
    const reason = `${isOwn ? 'the project' : 'it'} has as many auxiliary connections as it may`
    return new PoolerError('EMAXCONNPROCESS', { values: { reason } })
  }
}
