// The entries of a reply tracker in their order, with how many of them are answered by a
// ReadyForQuery. What a reply does to them is reply-tracker.ts.
import { EntryRing } from './entry-ring.ts'
import {
  bind,
  close,
  copyEnd,
  execute,
  fake,
  inBatch,
  isExtended,
  kindMask,
  noted,
  owesReady,
  own,
  parse,
  quiet,
  sync,
} from './reply-entries.ts'

export class OwedReplies {
  readonly #ring = new EntryRing()
  /** ReadyForQuery messages that are due. */
  ready = 0
  /** Of `ready`, those for messages of ours. */
  ownReady = 0

  /** Entries that have been put in, and of them those that have been taken off. */
  putIn = 0
  takenOff = 0

  /** `putIn` with the last Execute of a client's. */
  #executed = 0
  /** `putIn` with the last Flush. */
  #flushed = 0

  get size(): number {
    return this.#ring.size
  }

  /** A ReadyForQuery is due, or something in front of a Flush. */
  get isAnyAskedFor(): boolean {
    return this.ready > 0 || this.takenOff < this.#flushed
  }

  /** An Execute of the client's has not been answered: it may begin a copy. */
  get isAnyExecuteOwed(): boolean {
    return this.#executed > this.takenOff
  }

  /** The oldest entry; 0 when there is none. */
  get head(): number {
    return this.#ring.head
  }

  get headKind(): number {
    return this.#ring.head & kindMask
  }

  /** The next reply is one of ours to make. */
  get isHeadFake(): boolean {
    return (this.#ring.head & fake) !== 0
  }

  get isHeadOwn(): boolean {
    return (this.#ring.head & own) !== 0
  }

  get isHeadQuiet(): boolean {
    return (this.#ring.head & quiet) !== 0
  }

  get isHeadNoted(): boolean {
    return (this.#ring.head & noted) !== 0
  }

  /** Something that a client has asked for has been sent, and not answered. */
  get isAnyOfClient(): boolean {
    for (let index = 0; index < this.#ring.size; index++)
      if ((this.#ring.at(index) & (own | fake)) === 0) return true
    return false
  }

  onFlush(): void {
    this.#flushed = this.putIn
  }

  append(entry: number): void {
    this.#ring.push(entry)
    this.putIn++
    if ((entry & (kindMask | own | quiet)) === execute) this.#executed = this.putIn
    if (!owesReady(entry & kindMask)) return
    this.ready++
    if ((entry & own) !== 0) this.ownReady++
  }

  /** So many times Parse, Bind, Execute, perhaps Close, and one Sync, of ours. */
  appendOwnBatch(statements: number, areClosed: boolean): void {
    for (let index = 0; index < statements; index++) {
      this.append(parse | own)
      this.append(bind | own)
      this.append(execute | own)
      if (areClosed) this.append(close | own)
    }
    this.append(sync | own)
  }

  /** The only entry, of a client's Sync, is one of ours from here on. */
  disownSync(): void {
    this.#ring.clear()
    this.#ring.push(sync | own)
    this.ownReady = 1
  }

  /** Takes the head off, and the ends of copies behind it that nobody will answer. */
  shift(): void {
    do {
      if (owesReady(this.headKind)) {
        this.ready--
        if (this.isHeadOwn) this.ownReady--
      }
      this.#ring.shift()
      this.takenOff++
    } while (this.headKind === copyEnd)
  }

  /**
   * Copy-in has begun: behind the head, Syncs up to the end of the copy data, and that end, will not
   * be answered. Returns how many Syncs they are, whether the data is still open, and whether a batch is.
   */
  beginCopyIn(): {
    readonly syncs: number
    readonly isOpen: boolean
    readonly isBatchOpen: boolean
  } {
    const ring = this.#ring
    const kept: number[] = []
    let syncs = 0
    let isOpen = true
    // A Flush in front of the end of the copy data is ignored.
    const flushed = this.#flushed - this.takenOff
    let asked = 0
    for (let index = 1; index < ring.size; index++) {
      const entry = ring.at(index)
      if (isOpen && (entry & kindMask) === sync) {
        syncs++
        continue
      }
      // At the end of the copy data it asks for the head as well.
      if (isOpen && index < flushed) asked++
      if (!isOpen || (entry & kindMask) !== copyEnd) {
        kept.push(entry)
        if (index < flushed) asked++
      }
      isOpen = false
    }
    const first = ring.head
    ring.clear()
    this.takenOff = this.putIn
    this.#flushed = this.takenOff + asked
    this.ready = 0
    this.ownReady = 0
    this.append(first)
    // A Sync that was taken for the batch's end may have been ignored: what counts is the batch's
    // state at the message that copies.
    let isBatchOpen = (first & kindMask) === execute || (first & inBatch) !== 0
    for (const entry of kept) {
      this.append(entry)
      if ((entry & kindMask) === sync) isBatchOpen = false
      else if (isExtended(entry & kindMask)) isBatchOpen = true
    }
    return { syncs, isOpen, isBatchOpen }
  }
}
