// Many time limits on one timer, for those that are set and lifted thousands of times a second and
// rarely come: a timer for each would cost more than the work it limits. A binary heap by due time;
// a lifted deadline stays in it as a blank until it is due or until blanks are the majority.
//
//   #heap: index 0 is due first; the children of i are 2i+1 and 2i+2, neither due before i.
import type { Clock, Timer } from './clock.ts'

export interface Expiring {
  /** The time is up. Must not throw; may set and lift deadlines. */
  onDeadline(): void
}

/** One set deadline; lift it through the queue that gave it. */
export interface Deadline {
  readonly dueMs: number
}

interface Entry extends Deadline {
  /** null: lifted or already told. */
  owner: Expiring | null
}

/** Blanks are swept out when more than this many and more than half of the heap. */
const blanksKept = 64

export class DeadlineQueue {
  readonly #clock: Clock
  #heap: Entry[] = []
  #blanks = 0
  #timer: Timer | null = null
  #timerDueMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Deadlines that are neither lifted nor told. */
  get size(): number {
    return this.#heap.length - this.#blanks
  }

  set(owner: Expiring, delayMs: number): Deadline {
    const entry: Entry = { owner, dueMs: this.#clock.monotonicMs() + delayMs }
    this.#heap.push(entry)
    siftUp(this.#heap, this.#heap.length - 1)
    if (entry.dueMs < this.#timerDueMs) this.#arm(entry.dueMs)
    return entry
  }

  /** Does nothing when it has come or was lifted before. */
  lift(deadline: Deadline): void {
    const entry = deadline as Entry
    if (entry.owner === null) return
    entry.owner = null
    this.#blanks += 1
    if (this.size === 0) this.#clear()
    else if (this.#blanks > blanksKept && this.#blanks * 2 > this.#heap.length) this.#sweep()
  }

  #clear(): void {
    this.#heap = []
    this.#blanks = 0
    this.#timer?.cancel()
    this.#timer = null
    this.#timerDueMs = Number.POSITIVE_INFINITY
  }

  #sweep(): void {
    this.#heap = this.#heap.filter((entry) => entry.owner !== null)
    this.#blanks = 0
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at -= 1) siftDown(this.#heap, at)
  }

  #arm(dueMs: number): void {
    this.#timer?.cancel()
    this.#timerDueMs = dueMs
    const delayMs = Math.max(1, Math.ceil(dueMs - this.#clock.monotonicMs()))
    this.#timer = this.#clock.after(delayMs, () => this.#onTimer())
  }

  #onTimer(): void {
    this.#timer = null
    this.#timerDueMs = Number.POSITIVE_INFINITY
    const nowMs = this.#clock.monotonicMs()
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined) return
      if (first.owner !== null && first.dueMs > nowMs) {
        this.#arm(first.dueMs)
        return
      }
      this.#takeFirst()
    }
  }

  #takeFirst(): void {
    const first = this.#heap[0]
    const last = this.#heap.pop()
    if (first === undefined || last === undefined) return
    if (this.#heap.length > 0) {
      this.#heap[0] = last
      siftDown(this.#heap, 0)
    }
    const owner = first.owner
    first.owner = null
    if (owner === null) this.#blanks -= 1
    else owner.onDeadline()
  }
}

function siftUp(heap: Entry[], from: number): void {
  let at = from
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (heap[parent]!.dueMs <= heap[at]!.dueMs) return
    swap(heap, at, parent)
    at = parent
  }
}

function siftDown(heap: Entry[], from: number): void {
  let at = from
  for (;;) {
    let least = at
    for (let child = 2 * at + 1; child <= 2 * at + 2 && child < heap.length; child++) {
      if (heap[child]!.dueMs < heap[least]!.dueMs) least = child
    }
    if (least === at) return
    swap(heap, at, least)
    at = least
  }
}

function swap(heap: Entry[], one: number, other: number): void {
  const held = heap[one]!
  heap[one] = heap[other]!
  heap[other] = held
}
