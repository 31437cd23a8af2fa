// Counts wrong secrets and closes the door to those who guess. It counts what it is told: time-outs,
// outages and faults of ours are never told.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../shared/clock.ts'
import { sourceKey } from '../accept/address-filter.ts'

const wrongMax = 10
const windowMs = 150_000
const blockMs = 120_000
const asksMax = 10
const asksWindowMs = 1000
/** Sources held for one tenant: an attack with more of them is not stopped by counting sources. */
const sourcesPerTenantMax = 10_000
/** Sources held in all, about 30 MB; beyond it tenants under attack forget their own. */
const sourcesMax = 100_000
/** Blocked sources that ask at once. */
const askersMax = 10_000

interface WrongSecrets {
  /** Monotonic ms of the latest wrong secrets, oldest first, wrongMax at most. */
  readonly wrongMs: number[]
  blockedUntilMs: number
}

export interface BlockedSource {
  /** An IPv4 address or an IPv6 /64. */
  readonly source: string
  /** Wall time. */
  readonly untilMs: number
}

export class AuthThrottle {
  /** Told of each wrong secret that is recorded here, so that others may record it too. */
  onWrong: ((tenantRef: string, source: string) => void) | null = null
  readonly #clock: Clock
  /** By tenant, then by source, the source whose latest wrong secret is oldest first. */
  readonly #tenants = new Map<string, Map<string, WrongSecrets>>()
  readonly #asks = new LRUCache<string, number[]>({ max: askersMax })
  #size = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Sources held, blocked or not. */
  get size(): number {
    return this.#size
  }

  /** Seconds for which logins are refused, at least 1; null: not blocked. `source` from sourceKey. */
  isBlocked(tenantRef: string, source: string): number | null {
    const record = this.#tenants.get(tenantRef)?.get(source)
    const leftMs = (record?.blockedUntilMs ?? 0) - this.#clock.monotonicMs()
    return leftMs > 0 ? Math.ceil(leftMs / 1000) : null
  }

  recordWrong(tenantRef: string, source: string): void {
    this.noteWrong(tenantRef, source)
    this.onWrong?.(tenantRef, source)
  }

  /** As `recordWrong`, of one that others have told of. */
  noteWrong(tenantRef: string, source: string): void {
    const nowMs = this.#clock.monotonicMs()
    const sources = this.#tenants.get(tenantRef) ?? new Map<string, WrongSecrets>()
    this.#dropOld(sources, nowMs)
    const record = sources.get(source) ?? { wrongMs: [], blockedUntilMs: 0 }
    this.#delete(sources, source)
    record.wrongMs.push(nowMs)
    if (record.wrongMs.length > wrongMax) record.wrongMs.shift()
    const [first = nowMs] = record.wrongMs
    const isFull = record.wrongMs.length === wrongMax && nowMs - first < windowMs
    if (isFull) record.blockedUntilMs = nowMs + blockMs
    this.#makeRoom(sources)
    this.#tenants.set(tenantRef, sources)
    sources.set(source, record)
    this.#size++
  }

  /** For a blocked source that brings a token: true ten times in any second, and counts. */
  mayAsk(tenantRef: string, source: string): boolean {
    const key = JSON.stringify([tenantRef, source])
    const nowMs = this.#clock.monotonicMs()
    const asks = this.#asks.get(key) ?? []
    while (asks.length > 0 && nowMs - (asks[0] as number) >= asksWindowMs) asks.shift()
    if (asks.length >= asksMax) return false
    asks.push(nowMs)
    this.#asks.set(key, asks)
    return true
  }

  list(tenantRef: string): BlockedSource[] {
    const nowMs = this.#clock.monotonicMs()
    const blocked: BlockedSource[] = []
    for (const [source, { blockedUntilMs }] of this.#tenants.get(tenantRef) ?? []) {
      const leftMs = blockedUntilMs - nowMs
      if (leftMs > 0) blocked.push({ source, untilMs: this.#clock.wallMs() + leftMs })
    }
    return blocked
  }

  /** Forgets what was counted for these addresses or sources, as people write them; else for all. */
  lift(tenantRef: string, addresses?: readonly string[]): void {
    const sources = this.#tenants.get(tenantRef)
    if (sources === undefined) return
    const named = addresses?.map((address) => sourceKey(address.replace(/\/(32|64|128)$/, '')))
    for (const source of named ?? [...sources.keys()]) this.#delete(sources, source)
    if (sources.size === 0) this.#tenants.delete(tenantRef)
  }

  /** A block ends before its last wrong secret leaves the window: what is old is not blocked. */
  #dropOld(sources: Map<string, WrongSecrets>, nowMs: number): void {
    for (const [source, { wrongMs }] of sources) {
      if (nowMs - (wrongMs.at(-1) ?? 0) < windowMs) break
      this.#delete(sources, source)
    }
  }

  #makeRoom(sources: Map<string, WrongSecrets>): void {
    if (sources.size < sourcesPerTenantMax && this.#size < sourcesMax) return
    this.#deleteOldest(sources.size > 0 ? sources : this.#largest())
  }

  /** Only for the first source of a tenant while everything is full. */
  #largest(): Map<string, WrongSecrets> {
    let largest = new Map<string, WrongSecrets>()
    for (const sources of this.#tenants.values()) {
      if (sources.size > largest.size) largest = sources
    }
    return largest
  }

  #deleteOldest(sources: Map<string, WrongSecrets>): void {
    for (const source of sources.keys()) {
      this.#delete(sources, source)
      return
    }
  }

  #delete(sources: Map<string, WrongSecrets>, source: string): void {
    if (sources.delete(source)) this.#size--
  }
}
