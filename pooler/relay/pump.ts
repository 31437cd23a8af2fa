// Moves messages one way, from chunks read on one side to a transport on the other. It frames by
// header only, asks `onHeader` once per message, and passes whole runs of forwarded messages as
// one piece of the chunk they came in. Bodies are copied only where a subclass asks to see them
// and they are split over chunks. What a message means is the subclass's business.
//
//   chunk:  │ rest of body │ header body │ header body │ hea
//           ↑ from (forward starts here)               ↑ a split header is never passed on
import { Framer, needMore } from '../../shared/protocol/framer.ts'
import { messageBytesMax } from '../../shared/protocol/message-types.ts'
import type { Transport } from './transport.ts'
import { drop, forward, hold, type Verdict } from './verdicts.ts'

/** Of a split body that is to be seen, so much is collected; the rest of it is not looked at. */
export const seenBytesMax = 16 * 1024

const headerOf = (type: number, bodyBytes: number): Buffer => {
  const header = Buffer.allocUnsafe(5)
  header[0] = type
  header.writeUInt32BE(bodyBytes + 4, 1)
  return header
}

const isLegal = (bodyBytes: number): boolean => bodyBytes >= 0 && bodyBytes <= messageBytesMax

export abstract class Pump {
  readonly #framer = new Framer()
  #verdict: Verdict = forward
  /** The current message's body as far as it came; null when nobody wants to see it. */
  #seen: Buffer | null = null
  #seenBytes = 0
  #isSeeing = false

  /** True when the last byte passed on was the last of a message, so that one of ours may follow. */
  get isAtBoundary(): boolean {
    return this.#framer.bodyLeft === 0 || this.#verdict === drop
  }

  /** True when no byte of a further message has come in. */
  get isEmpty(): boolean {
    return this.#framer.isAtBoundary
  }

  /** Where forwarded bytes go; null while there is nobody to take them. */
  output: Transport | null = null

  /** Takes a chunk in. Returns what was left over because a message was held, else null. */
  feed(chunk: Buffer): Buffer | null {
    const framer = this.#framer
    let at = this.#passBody(chunk, 0)
    let from = this.#verdict === drop ? at : 0
    while (at < chunk.length && !this.isStopped) {
      const start = at
      const isSplit = framer.headerBytesHeld > 0
      at = framer.nextHeader(chunk, start)
      if (at === needMore) {
        this.#pass(chunk, from, start)
        return null
      }
      const type = framer.type
      const bodyBytes = framer.bodyBytes
      const verdict = isLegal(bodyBytes) ? this.onHeader(type, bodyBytes, chunk, at) : drop
      if (verdict !== forward || isSplit) this.#pass(chunk, from, start)
      if (verdict === hold) {
        framer.bodyLeft = 0
        this.#verdict = forward
        if (!isSplit) return start === 0 ? chunk : chunk.subarray(start)
        return Buffer.concat([headerOf(type, bodyBytes), chunk.subarray(at)])
      }
      if (!isLegal(bodyBytes)) {
        framer.bodyLeft = 0
        this.onBadLength(bodyBytes)
        return null
      }
      if (isSplit && verdict === forward) {
        this.output?.write(headerOf(type, bodyBytes))
        from = at
      }
      this.#verdict = verdict
      at = this.#passBody(chunk, at)
      if (verdict === drop) from = at
    }
    this.#pass(chunk, from, at)
    return null
  }

  /** Asked once per message, when its header is complete; the body begins at `bodyAt` of `chunk`. */
  protected abstract onHeader(
    type: number,
    bodyBytes: number,
    chunk: Buffer,
    bodyAt: number,
  ): Verdict

  /** The length word is below 4 or above what Postgres sends; nothing after it can be framed. */
  protected abstract onBadLength(bodyBytes: number): void

  /** The body of a message that `see` asked for: bytes `at` to `end` of `bytes`, valid during the call. */
  protected abstract onBody(type: number, bytes: Buffer, at: number, end: number): void

  /** True once what is left of the chunk must not be looked at any more. */
  protected abstract get isStopped(): boolean

  /** Called from onHeader: onBody follows when the body is complete (its first seenBytesMax bytes). */
  protected see(): void {
    this.#isSeeing = true
  }

  #passBody(chunk: Buffer, at: number): number {
    const framer = this.#framer
    const next = framer.skipBody(chunk, at)
    if (this.#isSeeing) this.#collect(chunk, at, next)
    return next
  }

  #collect(chunk: Buffer, at: number, next: number): void {
    const framer = this.#framer
    const isComplete = framer.bodyLeft === 0
    if (isComplete && this.#seen === null) {
      this.#isSeeing = false
      this.onBody(framer.type, chunk, at, next)
      return
    }
    if (this.#seen === null) {
      this.#seen = Buffer.allocUnsafe(Math.min(framer.bodyBytes, seenBytesMax))
      this.#seenBytes = 0
    }
    const seen = this.#seen
    this.#seenBytes += chunk.copy(seen, this.#seenBytes, at, next)
    if (!isComplete) return
    this.#isSeeing = false
    this.#seen = null
    this.onBody(framer.type, seen, 0, this.#seenBytes)
  }

  #pass(chunk: Buffer, from: number, to: number): void {
    if (to <= from) return
    this.output?.write(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to))
  }
}
