// Projects as the data plane finds them: looked up once, kept until a change is announced, and used
// further while the metadata cannot be reached. Tells its followers what a project has become.
import { LRUCache } from 'lru-cache'
import { type Clock, sleep } from '../../shared/clock.ts'
import { PoolerError } from '../../shared/errors.ts'
import type { Log } from '../../shared/log.ts'
import { tenantMissesMax, tenantsKnownMax } from '../config/limits.ts'
import type { Change, Changes } from '../store/change-feed.ts'
import type { TenantStore } from '../store/tenants.ts'
import { GuessThrottle } from './guess-throttle.ts'
import { type KnownTenant, KnownTenants } from './known-tenants.ts'
import type { Tenant } from './tenant.ts'

export type TenantKey = { readonly ref: string } | { readonly sniHostname: string }

export interface TenantChange {
  readonly ref: string
  /** As it was known here; null: it was not. */
  readonly before: Tenant | null
  /** null: it is gone. */
  readonly after: Tenant | null
}

export interface TenantCacheOptions {
  readonly tenants: Pick<TenantStore, 'findByRefs' | 'findBySniHostname'>
  readonly changes: Changes
  readonly clock: Clock
  readonly log: Log
  readonly entriesMax?: number
}

const missMs = 5000
/** Of one look-up, while announcements keep coming. */
const looksMax = 5
/** Of all that is known, read again together. */
const rereadBatch = 200
const rereadRetryMs = 250

export class TenantCache {
  /** Grows whenever `peek` may have another answer for any project; but for what is only forgotten. */
  version = 0
  readonly #options: TenantCacheOptions
  readonly #known: KnownTenants
  /** Lower case server name to ref. */
  readonly #refsByName: LRUCache<string, string>
  readonly #misses = new LRUCache<string, number>({ max: tenantMissesMax })
  /** Bounded by the logins that wait for one. */
  readonly #flights = new Map<string, Promise<Tenant | null>>()
  readonly #guesses: GuessThrottle
  readonly #listeners = new Set<(change: TenantChange) => void>()
  /** Projects announced as changed and not read again yet, each as it was known before. */
  readonly #announced = new Map<string, Tenant | null>()
  #isRereading = false
  /** Grows with each announcement: a look-up from before one is not remembered after it. */
  #era = 0

  constructor(options: TenantCacheOptions) {
    this.#options = options
    this.#guesses = new GuessThrottle(options.clock)
    const max = options.entriesMax ?? tenantsKnownMax
    this.#known = new KnownTenants(max)
    this.#refsByName = new LRUCache({ max })
    options.changes.onChange((change) => this.#onChange(change))
  }

  /**
   * `source`, from sourceKey: where somebody asks from whom nobody knows yet; null: it is no stranger.
   * Throws EAUTHPROVIDER when the project is not known here and the metadata cannot be asked,
   * EUNKNOWNPROJECTS when they are not asked again for this source.
   */
  find(key: TenantKey, source: string | null = null): Promise<Tenant | null> {
    return this.#find(key, true, source)
  }

  /** The same, but throws as well when what is known has changed and cannot be read again. */
  findFresh(ref: string): Promise<Tenant | null> {
    return this.#find({ ref }, false, null)
  }

  /** All that are known right now. */
  *entries(): IterableIterator<Tenant> {
    for (const { tenant } of this.#known.values()) yield tenant
  }

  /** What is known right now, without asking. */
  peek(ref: string): Tenant | null {
    return this.#known.peek(ref)?.tenant ?? null
  }

  /** It has clients or servers: its row is kept, and kept right, until `release`. */
  hold(ref: string): void {
    this.#known.hold(ref)
  }

  release(ref: string): void {
    this.#known.release(ref)
  }

  /**
   * Calls with what each changed project has become, in the turn in which it is known here as such; also for
   * projects that were not known here. Returns what takes the listener away.
   */
  onChange(listener: (change: TenantChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #find(key: TenantKey, mayBeStale: boolean, source: string | null): Promise<Tenant | null> {
    const known = 'ref' in key ? this.#known.get(key.ref) : this.#knownByName(key.sniHostname)
    if (known !== undefined && !known.isStale) return known.tenant
    const name = 'ref' in key ? `ref ${key.ref}` : `name ${key.sniHostname.toLowerCase()}`
    const missUntilMs = this.#misses.get(name)
    if (missUntilMs !== undefined && this.#options.clock.monotonicMs() < missUntilMs) return null
    const flight = this.#flights.get(name)
    const guesser = known === undefined && flight === undefined ? source : null
    if (guesser !== null) this.#guesses.check(guesser)
    try {
      const tenant = await (flight ?? this.#look(name, key))
      if (tenant === null && guesser !== null) this.#guesses.onMiss(guesser)
      return tenant
    } catch (error) {
      if (known !== undefined && mayBeStale) return known.tenant
      throw new PoolerError('EAUTHPROVIDER', { cause: error })
    }
  }

  #knownByName(name: string): KnownTenant | undefined {
    const ref = this.#refsByName.get(name.toLowerCase())
    const known = ref === undefined ? undefined : this.#known.get(ref)
    // The name may be an old one, from before the project was forgotten and found again.
    return known?.tenant.sniHostname === name.toLowerCase() ? known : undefined
  }

  async #look(name: string, key: TenantKey): Promise<Tenant | null> {
    const flight = this.#lookUp(name, key)
    this.#flights.set(name, flight)
    try {
      return await flight
    } finally {
      if (this.#flights.get(name) === flight) this.#flights.delete(name)
    }
  }

  /** Again where something was announced meanwhile: only what is remembered hears of later changes. */
  async #lookUp(name: string, key: TenantKey): Promise<Tenant | null> {
    for (let attempt = 1; ; attempt++) {
      const era = this.#era
      const tenant = await this.#ask(key)
      if (era === this.#era) this.#remember(name, tenant)
      if (era === this.#era || attempt === looksMax) return tenant
    }
  }

  async #ask(key: TenantKey): Promise<Tenant | null> {
    if ('sniHostname' in key) return this.#options.tenants.findBySniHostname(key.sniHostname)
    const [tenant] = await this.#options.tenants.findByRefs([key.ref])
    return tenant ?? null
  }

  #remember(name: string, tenant: Tenant | null): void {
    if (tenant === null) {
      this.#misses.set(name, this.#options.clock.monotonicMs() + missMs)
      return
    }
    const before = this.#known.peek(tenant.ref)?.tenant ?? null
    this.#known.set(tenant.ref, { tenant, isStale: false })
    this.version++
    if (tenant.sniHostname !== null) this.#refsByName.set(tenant.sniHostname, tenant.ref)
    // Found by a look-up before the change was read again, and used from here on.
    if (before !== null && !isSame(before, tenant))
      this.#tell({ ref: tenant.ref, before, after: tenant })
  }

  #onChange(change: Change): void {
    if (change.kind === 'tenant') this.#outdate([change.ref])
    else if (change.kind === 'reread-all') this.#outdate([...this.entries()].map(({ ref }) => ref))
  }

  #outdate(refs: readonly string[]): void {
    this.#era += 1
    this.#flights.clear()
    // A new project may have any of these names.
    this.#misses.clear()
    for (const ref of refs) {
      const entry = this.#known.peek(ref)
      if (entry !== undefined) entry.isStale = true
      if (!this.#announced.has(ref)) this.#announced.set(ref, entry?.tenant ?? null)
    }
    if (!this.#isRereading) void this.#reread()
  }

  /** Reads what was announced until nothing is left, however long the metadata are away. */
  async #reread(): Promise<void> {
    this.#isRereading = true
    let batchMax = rereadBatch
    while (this.#announced.size > 0) {
      const batch = [...this.#announced].slice(0, batchMax)
      const refs = batch.map(([ref]) => ref)
      for (const ref of refs) this.#announced.delete(ref)
      try {
        const tenants = await this.#options.tenants.findByRefs(refs)
        const byRef = new Map(tenants.map((tenant) => [tenant.ref, tenant]))
        for (const [ref, before] of batch) this.#settle(ref, before, byRef.get(ref) ?? null)
      } catch (error) {
        // One project that cannot be read, as its seal is broken, must not hide the others.
        batchMax = 1
        for (const [ref, before] of batch) this.#announced.set(ref, before)
        this.#options.log.warn({ err: error }, 'changed projects could not be read again yet')
        await sleep(this.#options.clock, rereadRetryMs)
      }
    }
    this.#isRereading = false
  }

  #settle(ref: string, before: Tenant | null, after: Tenant | null): void {
    if (this.#announced.has(ref)) {
      // Announced again while it was read: the next round has the newer state.
      this.#announced.set(ref, before)
      return
    }
    const entry = this.#known.peek(ref)
    if (entry !== undefined) {
      this.#known.delete(ref)
      if (after !== null) this.#remember(`ref ${ref}`, after)
    }
    this.#tell({ ref, before: entry?.tenant ?? before, after })
  }

  #tell(change: TenantChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        const { ref } = change
        this.#options.log.error({ err: error, ref }, 'a follower of changed projects failed')
      }
    }
  }
}

const isSame = (one: Tenant, other: Tenant): boolean =>
  one.id === other.id && one.version === other.version
