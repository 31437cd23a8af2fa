// The process that this one is to replace, over the channel that it started this one with: it hears when
// this one serves, and for as long as it has clients of its own it is passed the cancels of those. Its
// side of the channel is succession.ts.
import type { Clock } from '../shared/clock.ts'
import { type CancelElsewhere, cancelWithinMs } from './cancel/cancel-requests.ts'

/** Word of a successor to its predecessor. */
export const successorReady = 'latchkey ready'
/** Its answer. Whoever else started us gives none, and is passed no keys. */
export const takesCancels = 'latchkey takes cancels'

/** A cancel for a client of the predecessor, as plain data: it crosses the channel as JSON. */
export interface PassedCancel {
  readonly kind: 'cancel'
  readonly id: number
  readonly processId: number
  /** In hex. */
  readonly secret: string
}

export interface CancelOver {
  readonly kind: 'cancel over'
  readonly id: number
  /** It has gone through; false: nobody knows the key. */
  readonly isKnown: boolean
}

/** Cancels on their way; beyond them one is dropped, as are those of a source that sends too many. */
const pendingMax = 1000

export class Predecessor {
  readonly #clock: Clock
  readonly #pending = new Map<number, (isKnown: boolean) => void>()
  #lastId = 0
  #hasHeard = false
  #takesCancels = false

  private constructor(clock: Clock, onLost: () => void) {
    this.#clock = clock
    process.on('message', (message) => this.#onMessage(message))
    process.once('disconnect', () => {
      this.#takesCancels = false
      for (const done of [...this.#pending.values()]) done(false)
      if (!this.#hasHeard) onLost()
    })
  }

  /** null: there is none. `onLost`: it is gone, and has not heard that this process serves. */
  static ofThisProcess(clock: Clock, onLost: () => void): Predecessor | null {
    return process.connected === true ? new Predecessor(clock, onLost) : null
  }

  serves(): void {
    if (!process.connected) return
    this.#hasHeard = true
    send(successorReady)
  }

  /** Until then whoever replaces this process needs it, to reach the clients that are still there. */
  gone(): Promise<void> {
    if (!this.#takesCancels) return Promise.resolve()
    return new Promise((resolve) => process.once('disconnect', resolve))
  }

  readonly cancel: CancelElsewhere = (processId, secret) => {
    if (!this.#takesCancels || this.#pending.size >= pendingMax) return Promise.resolve(false)
    const id = ++this.#lastId
    return new Promise((resolve) => {
      const done = (isKnown: boolean): void => {
        deadline.cancel()
        this.#pending.delete(id)
        resolve(isKnown)
      }
      const deadline = this.#clock.after(cancelWithinMs, () => done(false))
      this.#pending.set(id, done)
      send({ kind: 'cancel', id, processId, secret: secret.toString('hex') })
    })
  }

  #onMessage(message: unknown): void {
    if (message === takesCancels) this.#takesCancels = true
    const { kind, id, isKnown } = (message ?? {}) as Partial<CancelOver>
    if (kind === 'cancel over' && id !== undefined) this.#pending.get(id)?.(isKnown === true)
  }
}

/** A channel that is closed meanwhile says so by its end. */
function send(message: PassedCancel | string): void {
  process.send?.(message, undefined, undefined, () => {})
}
