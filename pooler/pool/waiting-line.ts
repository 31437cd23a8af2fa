// Clients that wait for a server of one pool: first come, first served, bounded. People with tokens
// stand in a line of their own, so that their share of the servers can be bounded without anybody
// behind them having to wait for it; among those who may go, the one who came first goes.
import { BoundedQueue, type Place } from '../../shared/bounded-queue.ts'
import type { Deadline, DeadlineQueue, Expiring } from '../../shared/deadline-queue.ts'
import type { ServerWaiter } from '../relay/server-source.ts'

class Entry implements Expiring {
  readonly waiter: ServerWaiter
  readonly sinceMs: number
  readonly timeoutMs: number
  /** The client has been told that it waits. */
  isTold = false
  deadline: Deadline | null = null
  place: Place<Entry> | null = null
  readonly #line: WaitingLine

  constructor(line: WaitingLine, waiter: ServerWaiter, sinceMs: number, timeoutMs: number) {
    this.#line = line
    this.waiter = waiter
    this.sinceMs = sinceMs
    this.timeoutMs = timeoutMs
  }

  onDeadline(): void {
    this.#line.onExpired(this)
  }
}

export interface WaitingLineOptions {
  readonly waitersMax: number
  readonly deadlines: DeadlineQueue
  readonly onExpired: (waiter: ServerWaiter, waitedMs: number) => void
}

export class WaitingLine {
  readonly #options: WaitingLineOptions
  readonly #applications: BoundedQueue<Entry>
  readonly #people: BoundedQueue<Entry>
  readonly #entries = new Map<ServerWaiter, Entry>()

  constructor(options: WaitingLineOptions) {
    this.#options = options
    this.#applications = new BoundedQueue(options.waitersMax)
    this.#people = new BoundedQueue(options.waitersMax)
  }

  get size(): number {
    return this.#entries.size
  }

  get isFull(): boolean {
    return this.#entries.size >= this.#options.waitersMax
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

  add(waiter: ServerWaiter, nowMs: number, timeoutMs: number): void {
    const entry = new Entry(this, waiter, nowMs, timeoutMs)
    entry.deadline = this.#options.deadlines.set(entry, timeoutMs)
    entry.place = this.#lineOf(waiter).push(entry)
    this.#entries.set(waiter, entry)
  }

  /** Of an entry of this line: its time is up. */
  onExpired(entry: Entry): void {
    this.#leave(entry)
    this.#options.onExpired(entry.waiter, entry.timeoutMs)
  }

  /** Takes out whoever may go and came first. */
  next(mayServePeople: boolean): { waiter: ServerWaiter; sinceMs: number } | null {
    const entry = this.#first(mayServePeople)
    if (entry === undefined) return null
    this.#leave(entry)
    return entry
  }

  /** False when the waiter does not stand here. */
  remove(waiter: ServerWaiter): boolean {
    const entry = this.#entries.get(waiter)
    if (entry === undefined) return false
    this.#leave(entry)
    return true
  }

  /** Calls once for each waiter that came before `sinceMs`, with its place, from 1. */
  tellLate(sinceMs: number, tell: (waiter: ServerWaiter, place: number) => void): void {
    let place = 0
    for (const entry of this.#inOrder(true)) {
      if (entry.sinceMs > sinceMs) return
      place++
      if (entry.isTold) continue
      entry.isTold = true
      tell(entry.waiter, place)
    }
  }

  /** Empties the line and returns who stood in it, in order of arrival. */
  clear(): ServerWaiter[] {
    const waiters: ServerWaiter[] = []
    for (let next = this.next(true); next !== null; next = this.next(true)) {
      waiters.push(next.waiter)
    }
    return waiters
  }

  /** Both lines as one. */
  *#inOrder(mayServePeople: boolean): Iterable<Entry> {
    const applications = this.#applications[Symbol.iterator]()
    const people = (mayServePeople ? this.#people : [])[Symbol.iterator]()
    let application = applications.next()
    let person = people.next()
    while (application.done !== true || person.done !== true) {
      const isPerson =
        application.done === true ||
        (person.done !== true && person.value.sinceMs < application.value.sinceMs)
      yield (isPerson ? person.value : application.value) as Entry
      if (isPerson) person = people.next()
      else application = applications.next()
    }
  }

  #first(mayServePeople: boolean): Entry | undefined {
    const application = this.#applications.peek()
    const person = mayServePeople ? this.#people.peek() : undefined
    if (application === undefined || person === undefined) return application ?? person
    return person.sinceMs < application.sinceMs ? person : application
  }

  #leave(entry: Entry): void {
    if (entry.deadline !== null) this.#options.deadlines.lift(entry.deadline)
    if (entry.place !== null) this.#lineOf(entry.waiter).remove(entry.place)
    this.#entries.delete(entry.waiter)
  }

  #lineOf(waiter: ServerWaiter): BoundedQueue<Entry> {
    return waiter.person === null ? this.#applications : this.#people
  }
}
