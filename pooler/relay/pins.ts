// What keeps a client on its server. Several things may at once: while one of them is left, it stays.
import { lastingPins, type PinReason } from './pin-reasons.ts'
import type { SessionAnswer } from './session-question.ts'

export class Pins {
  #lasting: PinReason | null = null
  /** As the server told last. */
  #held: PinReason | null = null
  /** Names in texts may stand for temporary objects, whatever else it is kept by. */
  hasTemporary = false

  /** The one that is told of; null: nothing keeps it. */
  get reason(): PinReason | null {
    return this.#lasting ?? this.#held ?? (this.hasTemporary ? 'temporary object' : null)
  }

  add(reason: PinReason): void {
    if (!lastingPins.has(reason)) this.#held ??= reason
    // With a large setting nothing is written down any more.
    else if (this.#lasting === null || reason === 'large setting') this.#lasting = reason
  }

  /** The server has been asked; `isKnown`: it has answered. */
  take({ held, hasTemporary }: SessionAnswer, isKnown: boolean): void {
    this.hasTemporary = hasTemporary || !isKnown
    if (isKnown) this.#held = null
    const reason = isKnown ? held : 'unanswered question'
    if (reason !== null) this.add(reason)
  }

  clear(): void {
    this.#lasting = null
    this.#held = null
    this.hasTemporary = false
  }
}
