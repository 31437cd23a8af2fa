// Moves messages one way, from chunks read on one side to a transport on the other. It frames by
// header only, asks `onHeader` once per message, and passes whole runs of forwarded messages as
// one piece of the chunk they came in. Bodies are copied only where a subclass asks to see them
// and they are split over chunks. What a message means is the subclass's business.
//
//   chunk:  │ rest of body │ header body │ header body │ hea
//           ↑ from (forward starts here)               ↑ a split header is never passed on
import { Buffer } from 'node:buffer'
import { noBytes } from '../../shared/no-bytes.ts'
import { Framer, needMore } from '../../shared/protocol/framer.ts'
import { messageBytesMax } from '../../shared/protocol/message-types.ts'
import { kept } from './read-memory.ts'
import type { Transport } from './transport.ts'
import { collect, drop, forward, hold, rewrite, type Verdict } from './verdicts.ts'

/** Of a split body that is to be seen, so much is collected; the rest of it is not looked at. */
export const seenBytesMax = 16 * 1024

export const headerOf = (type: number, bodyBytes: number): Buffer => {
  const header = Buffer.allocUnsafe(5)
  header[0] = type
  header.writeUInt32BE(bodyBytes + 4, 1)
  return header
}

const isLegal = (bodyBytes: number): boolean => bodyBytes >= 0 && bodyBytes <= messageBytesMax

/** A client that has to wait has mostly sent nothing before: no view is made then. */
const restOf = (chunk: Buffer, from: number): Buffer => (from === 0 ? chunk : chunk.subarray(from))

export abstract class Pump {
  readonly #framer = new Framer()
  #verdict: Verdict = forward
  /** The current message's body as far as it came; null when nobody wants to see it. */
  #seen: Buffer | null = null
  #seenBytes = 0
  #isSeeing = false
  /** The beginning of a message that must be looked at further in; null: none. */
  #collected: Buffer | null = null
  #collectedBytes = 0
  #neededBytes = 0
  /** During onHeader: forwarded bytes of the chunk that have not been passed, up to the message. */
  #chunk: Buffer = noBytes
  #unpassedFrom = 0
  #messageAt = 0
  #replacement: Buffer = noBytes
  #replacedBytes = 0

  /** True when the last byte passed on was the last of a message, so that one of ours may follow. */
  get isAtBoundary(): boolean {
    return this.#framer.bodyLeft === 0 || this.#verdict === drop
  }

  /** True when no byte of a further message has come in. */
  get isEmpty(): boolean {
    return this.#framer.isAtBoundary && this.#collected === null
  }

  /** Where forwarded bytes go; null while there is nobody to take them. */
  output: Transport | null = null

  /**
   * Takes a chunk in. Returns what was left over because a message was held, else null; it may be the
   * chunk's own memory.
   */
  feed(chunk: Buffer): Buffer | null {
    if (this.#collected === null) return this.#feed(chunk)
    const before = this.#collected.subarray(0, this.#collectedBytes)
    if (before.length + chunk.length >= this.#neededBytes) {
      this.#collected = null
      return this.#feed(Buffer.concat([before, chunk]))
    }
    // Twice as long each time: a message that comes byte by byte is not copied as often.
    if (before.length + chunk.length > this.#collected.length) {
      const bytes = Math.min(this.#neededBytes, 2 * (before.length + chunk.length))
      this.#collected = Buffer.allocUnsafe(bytes)
      before.copy(this.#collected)
    }
    this.#collectedBytes += chunk.copy(this.#collected, before.length)
    return null
  }

  #feed(chunk: Buffer): Buffer | null {
    const framer = this.#framer
    let at = this.#passBody(chunk, 0)
    let from = this.#verdict === drop ? at : 0
    if (at > 0 && framer.bodyLeft === 0 && this.mayInsert) from = this.#insertAt(chunk, from, at)
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
      this.#chunk = chunk
      this.#unpassedFrom = from
      this.#messageAt = start
      const verdict = isLegal(bodyBytes) ? this.onHeader(type, bodyBytes, chunk, at) : drop
      from = this.#unpassedFrom
      if (verdict !== forward || isSplit) this.#pass(chunk, from, start)
      if (verdict === hold || verdict === collect) {
        const rest = isSplit
          ? Buffer.concat([headerOf(type, bodyBytes), chunk.subarray(at)])
          : restOf(chunk, start)
        framer.bodyLeft = 0
        this.#verdict = forward
        if (verdict === hold) return rest
        this.#collected = kept(rest)
        this.#collectedBytes = rest.length
        return null
      }
      if (!isLegal(bodyBytes)) {
        framer.bodyLeft = 0
        this.onBadLength(bodyBytes)
        return null
      }
      if (verdict === rewrite) {
        this.output?.write(this.#replacement)
        from = at + this.#replacedBytes
        at = framer.skipPart(at, this.#replacedBytes)
      } else if (isSplit && verdict === forward) {
        this.output?.write(headerOf(type, bodyBytes))
        from = at
      }
      this.#verdict = verdict === rewrite ? forward : verdict
      at = this.#passBody(chunk, at)
      if (verdict === drop) from = at
      if (framer.bodyLeft === 0 && this.mayInsert) from = this.#insertAt(chunk, from, at)
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

  /** Nothing is known any more of a header that has come in part. */
  protected forgetHeader(): void {
    this.#framer.forgetHeader()
  }

  /** Called from onHeader before bytes of ours go to `output`: those before the message go first. */
  protected passSoFar(): void {
    this.#pass(this.#chunk, this.#unpassedFrom, this.#messageAt)
    this.#unpassedFrom = this.#messageAt
  }

  /** Called from onHeader with verdict collect: header and body bytes that it takes to decide. */
  protected need(bytes: number): void {
    this.#neededBytes = bytes
  }

  /** Called from onHeader with verdict rewrite: bytes for the header and the first `bodyBytes` of the body. */
  protected replace(bytes: Buffer, bodyBytes: number): void {
    this.#replacement = bytes
    this.#replacedBytes = bodyBytes
  }

  /** True while `insert` is to be called behind the message that has just been passed. */
  protected get mayInsert(): boolean {
    return false
  }

  /** Writes to `output` what belongs behind the message that has just been passed. */
  protected insert(): void {}

  /** Called from onHeader: onBody follows when the body is complete (its first seenBytesMaxOf bytes). */
  protected see(): void {
    this.#isSeeing = true
  }

  /** Asked for a body that is split. */
  protected seenBytesMaxOf(_type: number): number {
    return seenBytesMax
  }

  /** Returns where the next piece to be passed begins. */
  #insertAt(chunk: Buffer, from: number, at: number): number {
    this.#pass(chunk, from, at)
    this.insert()
    return at
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
      this.#seen = Buffer.allocUnsafe(Math.min(framer.bodyBytes, this.seenBytesMaxOf(framer.type)))
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
