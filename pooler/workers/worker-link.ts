// A worker's way to the primary, and over it to the other workers. Only over the channel that it was
// born with: nothing here is reached from outside.
import type { Clock } from '../../shared/clock.ts'
import type { ShutdownWay } from '../admin/admin-view.ts'
import type { HeldBack, HoldChange } from '../pool/pool-holds.ts'
import { version } from '../version.ts'
import { RemoteBudgets } from './remote-budgets.ts'
import type {
  AnswerOf,
  Answers,
  Asked,
  Call,
  CallName,
  OpenPorts,
  Parting,
  Place,
  ToPrimary,
  ToWorker,
} from './worker-messages.ts'

export interface Gathered<Name extends CallName> {
  readonly answers: readonly AnswerOf<Name>[]
  /** Of those that could not do it, in words for an operator. */
  readonly faults: readonly string[]
  /** Workers that did not answer in time. */
  readonly missing: number
}

export type Answering<Name extends CallName> = (
  asked: Asked<Name>,
  from: number,
) => AnswerOf<Name> | Promise<AnswerOf<Name>>

export interface WorkerEvents {
  readonly onStop: (how: Parting) => void
  readonly onPrimaryGone: () => void
}

/** Questions of ours that are not answered yet; beyond them a question has no answers. */
const pendingMax = 1000
export const answersWithinMs = 2000
/** The primary answers when the others have, or in time without them; one that stands still does neither. */
const primaryMs = 1000
/** Words that nobody answers wait so many for a primary that does not read; no more are added. */
const untakenMax = 1000

type StartMessage = ToWorker & { readonly kind: 'start' }

export class WorkerLink {
  readonly place: Place
  readonly env: StartMessage['env']
  readonly budgets: RemoteBudgets
  readonly #answering = new Map<CallName, (asked: unknown, from: number) => unknown>()
  readonly #pending = new Map<number, (answers: Answers) => void>()
  readonly #onJoined: ((worker: number) => void)[] = []
  readonly #onLeft: ((worker: number) => void)[] = []
  readonly #events: WorkerEvents
  readonly #clock: Clock
  #lastId = 0
  #held: HeldBack

  private constructor(start: StartMessage, clock: Clock, events: WorkerEvents) {
    this.place = start.place
    this.env = start.env
    this.#events = events
    this.#clock = clock
    this.#held = start.held
    this.budgets = new RemoteBudgets(clock, (report) => send({ kind: 'permits', report }))
    process.on('message', (message: ToWorker) => this.#onMessage(message))
    process.once('disconnect', () => this.#onPrimaryGone())
  }

  /** Waits for the primary's first word. */
  static open(clock: Clock, events: WorkerEvents): Promise<WorkerLink> {
    return new Promise((resolve) => {
      process.once('message', (message: ToWorker) => {
        if (message.kind === 'start') resolve(new WorkerLink(message, clock, events))
      })
      send({ kind: 'hello', version })
    })
  }

  /** What operators held back when it was last told. */
  get held(): HeldBack {
    return this.#held
  }

  ready(ports: OpenPorts): void {
    send({ kind: 'ready', ports })
  }

  /** Why it cannot start; fulfilled when the primary has it. */
  failed(text: string): Promise<void> {
    return new Promise((resolve) => send({ kind: 'failed', text }, resolve))
  }

  /** An operator wants all workers to end. */
  shutDownAll(how: ShutdownWay): void {
    send({ kind: 'shutdown', how })
  }

  /** What this worker answers when another asks. */
  answer<Name extends CallName>(name: Name, answering: Answering<Name>): void {
    this.#answering.set(name, answering as (asked: unknown, from: number) => unknown)
  }

  onJoined(run: (worker: number) => void): void {
    this.#onJoined.push(run)
  }

  onLeft(run: (worker: number) => void): void {
    this.#onLeft.push(run)
  }

  /** Tells all other workers; nobody answers. False: not now, the primary does not read. */
  tell<Name extends CallName>(name: Name, asked: Asked<Name>): boolean {
    if (untaken >= untakenMax) return false
    send({ kind: 'call', id: null, call: { name, asked, withinMs: null } })
    return true
  }

  /** Asks all other workers. Never rejects. */
  ask<Name extends CallName>(
    name: Name,
    asked: Asked<Name>,
    withinMs = answersWithinMs,
  ): Promise<Gathered<Name>> {
    const call = { name, asked, withinMs }
    return this.#gather(withinMs, (id) => send({ kind: 'call', id, call }))
  }

  /** Has all workers, this one too, hold something back or let it go. Never rejects. */
  hold(change: HoldChange): Promise<Gathered<'held'>> {
    return this.#gather(answersWithinMs, (id) => send({ kind: 'hold', id, change }))
  }

  #gather<Name extends CallName>(
    withinMs: number,
    askAs: (id: number) => void,
  ): Promise<Gathered<Name>> {
    const nobody = { all: [], missing: this.place.of - 1 }
    if (this.#pending.size >= pendingMax || process.connected !== true) {
      return Promise.resolve({ answers: [], faults: [], missing: nobody.missing })
    }
    const id = ++this.#lastId
    return new Promise((resolve) => {
      const deadline = this.#clock.after(withinMs + primaryMs, () => {
        this.#pending.get(id)?.(nobody)
      })
      this.#pending.set(id, ({ all, missing }) => {
        this.#pending.delete(id)
        deadline.cancel()
        const well = all.filter(({ fault }) => fault === null)
        resolve({
          answers: well.map(({ answer }) => answer as AnswerOf<Name>),
          faults: all.flatMap(({ fault }) => (fault === null ? [] : [fault])),
          missing,
        })
      })
      askAs(id)
    })
  }

  #onPrimaryGone(): void {
    const missing = this.place.of - 1
    for (const onAnswers of [...this.#pending.values()]) onAnswers({ all: [], missing })
    this.#events.onPrimaryGone()
  }

  #onMessage(message: ToWorker): void {
    switch (message.kind) {
      case 'start':
        return
      case 'order':
        this.budgets.onOrder(message.order)
        return
      case 'call':
        void this.#onCall(message.id, message.from, message.call)
        return
      case 'answers':
        this.#pending.get(message.id)?.(message.answers)
        return
      case 'joined':
        for (const run of this.#onJoined) run(message.worker)
        return
      case 'left':
        for (const run of this.#onLeft) run(message.worker)
        return
      case 'stop':
        this.#events.onStop(message.how)
    }
  }

  async #onCall(id: number | null, from: number, call: Call): Promise<void> {
    let fault: string | null = null
    let answer: unknown = null
    // Also before anybody asks for it: what is decided while this worker starts holds in it too.
    if (call.name === 'held') this.#held = call.asked as HeldBack
    const answering = this.#answering.get(call.name)
    // A worker that is still starting has nothing to do about what is held back yet.
    if (answering === undefined && call.name !== 'held') fault = `"${call.name}" is not known here`
    try {
      answer = (await answering?.(call.asked, from)) ?? null
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error)
    }
    if (id !== null) send({ kind: 'answer', id, answer: { answer, fault } })
  }
}

/** Words to the primary that it has not taken. */
let untaken = 0

/** Nothing is told to a primary that is gone; the end of the channel says so. */
function send(message: ToPrimary, onSent?: () => void): void {
  if (process.connected !== true) {
    onSent?.()
    return
  }
  untaken++
  process.send?.(message, undefined, undefined, () => {
    untaken--
    onSent?.()
  })
}
