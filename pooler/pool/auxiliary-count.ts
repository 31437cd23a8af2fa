// Connections of ours beside the servers of pools, counted apart from them and bounded: those beyond
// a bound are refused, not queued.
import { PoolerError } from '../../shared/errors.ts'

export class AuxiliaryCount {
  readonly #processMax: number
  readonly #tenantMax: number
  #count = 0
  /** Projects that have some, by ref. */
  readonly #byTenant = new Map<string, number>()

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
    const own = this.#byTenant.get(ref) ?? 0
    if (this.#count >= this.#processMax || own >= this.#tenantMax) {
      const whose = own >= this.#tenantMax ? 'the project' : 'it'
      const reason = `${whose} has as many auxiliary connections as it may`
      throw new PoolerError('EMAXCONNPROCESS', { values: { reason } })
    }
    this.#count++
    this.#byTenant.set(ref, own + 1)
    try {
      return await use()
    } finally {
      this.#count--
      const left = (this.#byTenant.get(ref) ?? 1) - 1
      if (left === 0) this.#byTenant.delete(ref)
      else this.#byTenant.set(ref, left)
    }
  }
}
