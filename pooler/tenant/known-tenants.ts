// Rows of projects in memory: those used last, and beside them each one that is held, however many others
// are asked for: whoever works in a project has to hear of its changes.
import { LRUCache } from 'lru-cache'
import type { Tenant } from './tenant.ts'

export interface KnownTenant {
  readonly tenant: Tenant
  /** It has changed, and has not been read again. */
  isStale: boolean
}

export class KnownTenants {
  readonly #recent: LRUCache<string, KnownTenant>
  /** Not among the recent ones. undefined: held, and not known. */
  readonly #held = new Map<string, KnownTenant | undefined>()

  constructor(recentMax: number) {
    this.#recent = new LRUCache({ max: recentMax })
  }

  get(ref: string): KnownTenant | undefined {
    return this.#held.get(ref) ?? this.#recent.get(ref)
  }

  peek(ref: string): KnownTenant | undefined {
    return this.#held.get(ref) ?? this.#recent.peek(ref)
  }

  set(ref: string, known: KnownTenant): void {
    if (this.#held.has(ref)) this.#held.set(ref, known)
    else this.#recent.set(ref, known)
  }

  delete(ref: string): void {
    if (this.#held.has(ref)) this.#held.set(ref, undefined)
    else this.#recent.delete(ref)
  }

  /** Until it is released. */
  hold(ref: string): void {
    if (this.#held.has(ref)) return
    this.#held.set(ref, this.#recent.peek(ref))
    this.#recent.delete(ref)
  }

  release(ref: string): void {
    const known = this.#held.get(ref)
    this.#held.delete(ref)
    if (known !== undefined) this.#recent.set(ref, known)
  }

  *values(): IterableIterator<KnownTenant> {
    for (const known of this.#held.values()) if (known !== undefined) yield known
    yield* this.#recent.values()
  }
}
