// What a server still owes. Every message sent to it that will be answered has an entry here, in
// order; replies take entries off. From this, and from the status byte of ReadyForQuery, follows
// when a server may leave a client. SQL text plays no part.
//
// The rules are those of Postgres' own main loop (src/backend/tcop/postgres.c):
// - Query, FunctionCall and Sync are each answered by a ReadyForQuery.
// - An error in an extended message makes the server skip everything up to the next Sync, simple
//   queries included.
// - In copy-in the server ignores Sync and Flush; outside of it, CopyDone and CopyFail.
import { assert } from '../../shared/assert.ts'
import { backend, frontend, status } from '../../shared/protocol/message-types.ts'

const query = 1
const functionCall = 2
const sync = 3
const parse = 4
const bind = 5
const close = 6
const describe = 7
const execute = 8
const copyEnd = 9
/** Set on entries of messages that we put in ourselves: their replies are not the client's. */
const own = 16
/** Set on entries that were sent while a batch waited for its Sync. */
const inBatch = 32
const kindMask = 15

const isExtended = (kind: number): boolean => kind >= parse && kind <= execute

const copyInNone = 0
/** The server reads copy data and has not been sent its end. */
const copyInOpen = 1
/**
 * The end of the copy data has been sent, or a message at which a server that still copies ends the
 * connection. If it answers, the copy was over before it: what follows belongs to no copy.
 */
const copyInEnded = 2

/** Entries above which the relay stops reading the client until the server has caught up. */
export const owedHighWater = 32_768
/** One chunk of 64 KB holds at most 13,107 messages, so this is never reached from below the high water. */
const owedMax = 65_536

export class ReplyTracker {
  /** Last transaction status that the server reported. */
  status: number = status.idle
  /** ReadyForQuery messages that are due. */
  readyOwed = 0
  /** Completed transactions: ReadyForQuery with status idle for a message of the client's. */
  transactions = 0
  /** Query, FunctionCall and Execute messages that were sent for clients. */
  queries = 0
  /** Set when it cannot be known how many replies are due; such a server never leaves its client. */
  isInDoubt = false
  #ring = new Uint8Array(16)
  #head = 0
  #count = 0
  #isBatchOpen = false
  /** The server skips what it gets until a Sync that has not been sent yet. */
  #isSkipping = false
  #copyIn = copyInNone
  /** Syncs that were taken for ignored in the current copy-in. */
  #syncsIgnored = 0

  /** Entries outstanding, whatever they wait for. */
  get owed(): number {
    return this.#count
  }

  /** An extended message was sent and no Sync behind it. */
  get isBatchOpen(): boolean {
    return this.#isBatchOpen
  }

  /** The server has nothing to say until the client goes on: copy data, or the Sync of a batch. */
  get needsClient(): boolean {
    const isOpen = this.#isBatchOpen || this.isInDoubt
    return this.#copyIn === copyInOpen || (this.#count === 0 && isOpen)
  }

  /** Nothing is due, and no batch waits for its Sync. The transaction status is a matter of its own. */
  get isSettled(): boolean {
    return this.#count === 0 && !this.#isBatchOpen && !this.isInDoubt && this.#copyIn === copyInNone
  }

  /** The server may go to another client. */
  get isReleasable(): boolean {
    return this.isSettled && this.status === status.idle
  }

  /** True when the reply being read answers a message of ours and is not for the client. */
  get isOwnReply(): boolean {
    return this.#count > 0 && ((this.#ring[this.#head] as number) & own) !== 0
  }

  /**
   * Notes a message of the client's that goes to the server. Returns false for a type that no client
   * may send after login.
   */
  sent(type: number): boolean {
    switch (type) {
      case frontend.query:
        this.queries++
        this.#push(query)
        return true
      case frontend.parse:
        this.#pushExtended(parse)
        return true
      case frontend.bind:
        this.#pushExtended(bind)
        return true
      case frontend.describe:
        this.#pushExtended(describe)
        return true
      case frontend.execute:
        this.queries++
        this.#pushExtended(execute)
        return true
      case frontend.close:
        this.#pushExtended(close)
        return true
      case frontend.sync:
        this.#pushSync()
        return true
      case frontend.functionCall:
        this.queries++
        this.#push(functionCall)
        return true
      case frontend.copyDone:
      case frontend.copyFail:
        this.#pushCopyEnd()
        return true
      case frontend.copyData:
      case frontend.flush:
        return true
      default:
        return false
    }
  }

  /** Notes a Query of ours whose whole answer is to be swallowed. Only while settled. */
  sentOwnQuery(): void {
    this.#append(query | own)
  }

  /** Notes `statements` times Parse, Bind, Execute and one Sync of ours. Only while settled. */
  sentOwnBatch(statements: number): void {
    for (let index = 0; index < statements; index++) {
      this.#append(parse | own)
      this.#append(bind | own)
      this.#append(execute | own)
    }
    this.#append(sync | own)
  }

  /**
   * Notes a reply. False when the server may not send it now: it broke the protocol, or we lost
   * count; either way it must not go on to another client. The status byte comes by `ready`.
   */
  received(type: number): boolean {
    switch (type) {
      case backend.dataRow:
      case backend.copyData:
      case backend.copyDone:
      case backend.copyOutResponse: {
        const kind = this.#headKind
        return kind === query || kind === execute || this.isInDoubt
      }
      case backend.noticeResponse:
      case backend.parameterStatus:
      case backend.notificationResponse:
        return true
      case backend.parameterDescription:
        return this.#headKind === describe || this.isInDoubt
      case backend.functionCallResponse:
        return this.#headKind === functionCall || this.isInDoubt
      case backend.parseComplete:
        return this.#complete(parse)
      case backend.bindComplete:
        return this.#complete(bind)
      case backend.closeComplete:
        return this.#complete(close)
      case backend.rowDescription:
        return this.#headKind === query || this.#complete(describe)
      case backend.noData:
        return this.#complete(describe)
      case backend.commandComplete:
        this.#endCopyIn()
        return this.#headKind === query || this.#complete(execute)
      case backend.emptyQueryResponse:
        return this.#headKind === query || this.#complete(execute)
      case backend.portalSuspended:
        return this.#complete(execute)
      case backend.copyInResponse:
      case backend.copyBothResponse:
        return this.#beginCopyIn()
      case backend.errorResponse:
        this.#lapse()
        return true
      case backend.readyForQuery:
        return this.readyOwed > 0 || this.isInDoubt
      default:
        return false
    }
  }

  /** Takes in the status byte of a ReadyForQuery that `received` has let pass. */
  ready(statusByte: number): boolean {
    if (
      statusByte !== status.idle &&
      statusByte !== status.inTransaction &&
      statusByte !== status.failed
    ) {
      return false
    }
    const wasOwn = this.isOwnReply
    this.status = statusByte
    this.#endCopyIn()
    if (this.#count === 0) {
      this.#isSkipping = false
      return this.isInDoubt
    }
    const kind = this.#headKind
    if (kind !== query && kind !== functionCall && kind !== sync) return this.isInDoubt
    this.#shift()
    if (statusByte === status.idle && !wasOwn) this.transactions++
    return true
  }

  get #headKind(): number {
    return this.#count === 0 ? 0 : (this.#ring[this.#head] as number) & kindMask
  }

  #push(kind: number): void {
    if (this.#isSkipping) return
    if (this.#copyIn === copyInOpen) this.#copyIn = copyInEnded
    this.#append(this.#isBatchOpen ? kind | inBatch : kind)
  }

  #pushExtended(kind: number): void {
    this.#isBatchOpen = true
    this.#push(kind)
  }

  #pushSync(): void {
    if (this.#copyIn === copyInOpen) {
      this.#syncsIgnored++
      return
    }
    this.#isBatchOpen = false
    this.#isSkipping = false
    this.#append(sync)
  }

  #pushCopyEnd(): void {
    if (this.#copyIn === copyInOpen) this.#copyIn = copyInEnded
    else if (this.#count > 0) this.#push(copyEnd)
  }

  #append(entry: number): void {
    if (this.#count === this.#ring.length) this.#grow()
    this.#ring[(this.#head + this.#count) & (this.#ring.length - 1)] = entry
    this.#count++
    const kind = entry & kindMask
    if (kind === query || kind === functionCall || kind === sync) this.readyOwed++
  }

  #grow(): void {
    assert(this.#ring.length < owedMax, 'a server owes no more replies than the relay lets through')
    const grown = new Uint8Array(this.#ring.length * 2)
    for (let index = 0; index < this.#count; index++) {
      grown[index] = this.#ring[(this.#head + index) & (this.#ring.length - 1)] as number
    }
    this.#ring = grown
    this.#head = 0
  }

  /** Takes the head off, and the ends of copies behind it that nobody will answer. */
  #shift(): void {
    do {
      const kind = this.#headKind
      if (kind === query || kind === functionCall || kind === sync) this.readyOwed--
      this.#head = (this.#head + 1) & (this.#ring.length - 1)
      this.#count--
    } while (this.#headKind === copyEnd)
  }

  #complete(kind: number): boolean {
    if (this.#headKind !== kind) return this.isInDoubt
    this.#shift()
    return true
  }

  /** An error: of an extended message it takes along all that was sent up to the next Sync. */
  #lapse(): void {
    const kind = this.#headKind
    if (this.#copyIn !== copyInNone && this.#syncsIgnored > 0) this.isInDoubt = true
    this.#endCopyIn()
    if (kind === 0 || kind === query || kind === functionCall || kind === sync) return
    while (this.#count > 0 && this.#headKind !== sync) this.#shift()
    if (this.#count === 0) this.#isSkipping = true
  }

  /**
   * The server reads copy data from here on. Of what was sent already, Syncs are ignored up to the
   * end of the copy data; a Sync may have come with the Execute, before anybody knew.
   */
  #beginCopyIn(): boolean {
    const kind = this.#headKind
    if (kind !== query && kind !== execute) return this.isInDoubt
    const kept: number[] = []
    this.#copyIn = copyInOpen
    this.#syncsIgnored = 0
    for (let index = 1; index < this.#count; index++) {
      const entry = this.#ring[(this.#head + index) & (this.#ring.length - 1)] as number
      const isOpen = this.#copyIn === copyInOpen
      if (isOpen && (entry & kindMask) === sync) {
        this.#syncsIgnored++
        continue
      }
      this.#copyIn = copyInEnded
      if (!isOpen || (entry & kindMask) !== copyEnd) kept.push(entry)
    }
    const first = this.#ring[this.#head] as number
    this.#count = 0
    this.readyOwed = 0
    // A Sync that was taken for the batch's end may have been ignored: what counts is the batch's
    // state at the message that copies.
    this.#isBatchOpen = kind === execute || (first & inBatch) !== 0
    this.#append(first)
    for (const entry of kept) {
      this.#append(entry)
      if ((entry & kindMask) === sync) this.#isBatchOpen = false
      else if (isExtended(entry & kindMask)) this.#isBatchOpen = true
    }
    return true
  }

  #endCopyIn(): void {
    this.#copyIn = copyInNone
    this.#syncsIgnored = 0
  }
}
