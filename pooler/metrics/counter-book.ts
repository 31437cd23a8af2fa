// Where errors and refusals are counted: with the project, once it is known to exist, else with the
// process, so that names that were merely asked for make no series.
import { ProcessCounters, TenantCounters } from './counters.ts'

export class CounterBook {
  readonly process = new ProcessCounters()
  readonly #tenants = new Map<string, TenantCounters>()

  /** `ref` of a project that exists; null: none is known. */
  of(ref: string | null): TenantCounters {
    if (ref === null) return this.process
    const known = this.#tenants.get(ref)
    if (known !== undefined) return known
    const counters = new TenantCounters()
    this.#tenants.set(ref, counters)
    return counters
  }

  entries(): IterableIterator<[ref: string, counters: TenantCounters]> {
    return this.#tenants.entries()
  }

  /** The project is gone: so are its series. */
  forget(ref: string): void {
    this.#tenants.delete(ref)
  }
}
