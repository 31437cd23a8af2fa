// Clients that wait for a server of one pool: first come, first served, bounded. People with tokens
// stand in a line of their own, so that their share of the servers can be bounded without anybody
// behind them having to wait for it; among those who may go, the one who came first goes.
import type { Clock, Timer } from '../../shared/clock.ts'
import type { ServerWaiter } from '../relay/server-source.ts'
import { WaitingPlace } from '../relay/waiting-place.ts'
import { WaitingList } from './waiting-list.ts'

/** A walk over the line for whose time is up is worth this much waiting for the next ones. */
const expiryPeriodMsMin = 5

export interface WaitingLineOptions {
  readonly waitersMax: number
  readonly clock: Clock
  readonly onExpired: (waiter: ServerWaiter, waitedMs: number) => void
}

export class WaitingLine {
  readonly #options: WaitingLineOptions
  readonly #applications = new WaitingList()
  readonly #people = new WaitingList()
  /** Left running when nobody waits any more: a line that fills and empties would set it each time. */
  #timer: Timer | null = null
  #timerDueMs = Number.POSITIVE_INFINITY

  constructor(options: WaitingLineOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#applications.size + this.#people.size
  }

  get isFull(): boolean {
    return this.size >= this.#options.waitersMax
  }

  /** For how long the one waits who has waited longest; 0: nobody does. */
  oldestMs(nowMs: number): number {
    return nowMs - (this.#first(true)?.sinceMs ?? nowMs)
  }

  /** Since when the one waits who is so many places behind the first of those who may go. */
  sinceMsAt(place: number, mayServePeople: boolean): number | null {
    if (place === 0) return this.#first(mayServePeople)?.sinceMs ?? null
    let left = place
    for (const { sinceMs } of this.#inOrder(mayServePeople)) if (left-- === 0) return sinceMs
    return null
  }

  /** Waiters that could take a server now. */
  eligible(mayServePeople: boolean): number {
    return mayServePeople ? this.size : this.#applications.size
  }

  /** Only while the line is not full, and not for one who stands in a line. */
  add(waiter: ServerWaiter, nowMs: number, timeoutMs: number): void {
    waiter.place ??= new WaitingPlace(waiter)
    const { place } = waiter
    place.sinceMs = nowMs
    place.timeoutMs = timeoutMs
    place.isTold = false
    this.#listOf(waiter).push(place)
    if (nowMs + timeoutMs < this.#timerDueMs) this.#arm(nowMs + timeoutMs, nowMs)
  }

  /** Takes out whoever may go and came first. */
  next(mayServePeople: boolean): WaitingPlace | null {
    const first = this.#first(mayServePeople)
    if (first !== null) this.#listOf(first.waiter).remove(first)
    return first
  }

  /** False when the waiter does not stand here. */
  remove(waiter: ServerWaiter): boolean {
    const { place } = waiter
    const list = this.#listOf(waiter)
    if (place === undefined || place.list !== list) return false
    list.remove(place)
    return true
  }

  /** Calls once for each waiter that came before `sinceMs`, with its place, from 1. */
  tellLate(sinceMs: number, tell: (waiter: ServerWaiter, place: number) => void): void {
    let number = 0
    for (const place of this.#inOrder(true)) {
      if (place.sinceMs > sinceMs) return
      number++
      if (place.isTold) continue
      place.isTold = true
      tell(place.waiter, number)
    }
  }

  /** Empties the line and returns who stood in it, in order of arrival. */
  clear(): ServerWaiter[] {
    const waiters: ServerWaiter[] = []
    for (let next = this.next(true); next !== null; next = this.next(true)) {
      waiters.push(next.waiter)
    }
    this.#disarm()
    return waiters
  }

  /** Both lists as one. The place just given may leave meanwhile. */
  *#inOrder(mayServePeople: boolean): Iterable<WaitingPlace> {
    let application = this.#applications.first
    let person = mayServePeople ? this.#people.first : null
    for (;;) {
      const place = earlier(application, person)
      if (place === null) return
      if (place === application) application = place.behind
      else person = place.behind
      yield place
    }
  }

  #first(mayServePeople: boolean): WaitingPlace | null {
    return earlier(this.#applications.first, mayServePeople ? this.#people.first : null)
  }

  #listOf(waiter: ServerWaiter): WaitingList {
    return waiter.person === null ? this.#applications : this.#people
  }

  #arm(dueMs: number, nowMs: number): void {
    this.#disarm()
    this.#timerDueMs = dueMs
    const delayMs = Math.max(1, Math.ceil(dueMs - nowMs))
    this.#timer = this.#options.clock.after(delayMs, () => this.#onTimer())
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#timerDueMs = Number.POSITIVE_INFINITY
  }

  #onTimer(): void {
    this.#disarm()
    const nowMs = this.#options.clock.monotonicMs()
    const expired: WaitingPlace[] = []
    let nextDueMs = Number.POSITIVE_INFINITY
    for (const place of this.#inOrder(true)) {
      const dueMs = place.sinceMs + place.timeoutMs
      if (dueMs <= nowMs) expired.push(place)
      else nextDueMs = Math.min(nextDueMs, dueMs)
    }
    if (nextDueMs < Number.POSITIVE_INFINITY)
      this.#arm(Math.max(nextDueMs, nowMs + expiryPeriodMsMin), nowMs)
    for (const place of expired) {
      // Of another's refusal it may have come that this one has left, or waits anew.
      const isDue = place.sinceMs + place.timeoutMs <= nowMs
      if (isDue && this.remove(place.waiter)) this.#options.onExpired(place.waiter, place.timeoutMs)
    }
  }
}

function earlier(one: WaitingPlace | null, other: WaitingPlace | null): WaitingPlace | null {
  if (one === null || other === null) return one ?? other
  return other.sinceMs < one.sinceMs ? other : one
}
