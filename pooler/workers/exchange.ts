// Questions of one worker to all others, as the primary passes them on: each is answered once, with
// what has come in time.
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Answer, Answers, Call, ToWorker } from './worker-messages.ts'

export interface ExchangeOptions {
  readonly clock: Clock
  /** Workers that can be asked that. */
  readonly workers: (call: Call) => readonly number[]
  readonly send: (worker: number, message: ToWorker) => void
}

interface Pending {
  readonly from: number
  readonly awaited: Set<number>
  readonly answers: Answer[]
  readonly deadline: Timer
  readonly onDone: (answers: Answers) => void
}

/** Questions on their way, each some answers in size; beyond them nobody else is asked. */
const pendingMax = 10_000
/** Of one worker: one that asks without end leaves the others their turn. */
const pendingOfWorkerMax = 1000
/** Whatever a worker says: a cancel takes longest, see other-workers-link.ts. */
const withinMsMax = 20_000
/** Who asks on the primary's own behalf. */
const nobody = 0

export class Exchange {
  readonly #options: ExchangeOptions
  readonly #pending = new Map<number, Pending>()
  /** How many of them are whose. */
  readonly #counts = new Map<number, number>()
  #lastId = 0

  constructor(options: ExchangeOptions) {
    this.#options = options
  }

  /** On behalf of a worker, or of the primary. `onDone` is called once where answers are waited for. */
  ask(from: number | null, call: Call, onDone: (answers: Answers) => void): void {
    const { clock, send, workers } = this.#options
    const others = workers(call).filter((worker) => worker !== from)
    const asker = from ?? nobody
    const count = this.#counts.get(asker) ?? 0
    const isFull = this.#pending.size >= pendingMax || count >= pendingOfWorkerMax
    if (call.withinMs === null || isFull || others.length === 0) {
      onDone({ all: [], missing: isFull ? others.length : 0 })
      if (isFull) return
    }
    let id: number | null = null
    if (call.withinMs !== null && others.length > 0) {
      id = ++this.#lastId
      const asked = id
      const deadline = clock.after(Math.min(call.withinMs, withinMsMax), () => this.#finish(asked))
      const awaited = new Set(others)
      this.#pending.set(id, { from: asker, awaited, answers: [], deadline, onDone })
      this.#counts.set(asker, count + 1)
    }
    for (const worker of others) send(worker, { kind: 'call', id, from: asker, call })
  }

  onAnswer(worker: number, id: number, answer: Omit<Answer, 'worker'>): void {
    const pending = this.#pending.get(id)
    if (pending?.awaited.delete(worker) !== true) return
    pending.answers.push({ ...answer, worker })
    if (pending.awaited.size === 0) this.#finish(id)
  }

  onWorkerGone(worker: number): void {
    for (const [id, { awaited }] of this.#pending) {
      // What it knew is gone with it: it is no answer that is missing.
      if (awaited.delete(worker) && awaited.size === 0) this.#finish(id)
    }
  }

  #finish(id: number): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    const left = (this.#counts.get(pending.from) ?? 1) - 1
    if (left === 0) this.#counts.delete(pending.from)
    else this.#counts.set(pending.from, left)
    pending.deadline.cancel()
    pending.onDone({ all: pending.answers, missing: pending.awaited.size })
  }
}
