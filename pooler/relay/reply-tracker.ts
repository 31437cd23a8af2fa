// What a server still owes. Every message sent to it that will be answered has an entry here, in order;
// replies take entries off. From this, and from the status byte of ReadyForQuery, follows when a server
// may leave a client. SQL text plays no part.
//
// The rules are those of Postgres' own main loop (src/backend/tcop/postgres.c):
// - Query, FunctionCall and Sync are each answered by a ReadyForQuery.
// - An error in an extended message makes the server skip all up to the next Sync, Query included.
// - In copy-in the server ignores Sync and Flush; outside of it, CopyDone and CopyFail.
import { backend, frontend, status } from '../../shared/protocol/message-types.ts'
import { CopyInPhase } from './copy-in-phase.ts'
import { CountDoubt } from './count-doubt.ts'
import { FailedBatch } from './failed-batch.ts'
import { OwedReplies } from './owed-replies.ts'
import {
  bind,
  close,
  copyEnd,
  describe,
  execute,
  extendedKindOf,
  fake,
  functionCall,
  inBatch,
  isStatus,
  type NotedType,
  noted,
  owesReady,
  own,
  parse,
  type QuietType,
  query,
  quiet,
  type StatementType,
  sync,
} from './reply-entries.ts'
import type { StatementObserver } from './statement-observer.ts'

export class ReplyTracker {
  observer: StatementObserver | null = null
  /** Last transaction status that the server reported. */
  status: number = status.idle
  /** ReadyForQuery messages that have come. */
  replies = 0
  /** Syncs that were sent and not ignored. */
  batches = 0
  /** Completed transactions: ReadyForQuery with status idle for a message of the client's. */
  transactions = 0
  /** Query, FunctionCall and Execute messages that were sent for clients. */
  queries = 0
  /** Whether it can be known how many replies are due; a server in doubt does not leave its client. */
  readonly doubt = new CountDoubt()
  readonly failed = new FailedBatch()
  readonly #entries = new OwedReplies()
  #isBatchOpen = false
  /** The server skips what it gets until a Sync that has not been sent yet. */
  #isSkipping = false
  readonly copyIn = new CopyInPhase()

  get owed(): number {
    return this.#entries.size
  }

  /** ReadyForQuery messages that are due. */
  get readyOwed(): number {
    return this.#entries.ready
  }

  /** The server owes more than the replies that it keeps until a Flush or Sync. */
  get isReplyDue(): boolean {
    return this.#entries.isAnyAskedFor || this.copyIn.isOpen
  }

  /** An extended message was sent and no Sync behind it. */
  get isBatchOpen(): boolean {
    return this.#isBatchOpen
  }

  /** The server has nothing to say until the client goes on: copy data, or the Sync of a batch. */
  get needsClient(): boolean {
    const isOpen = this.#isBatchOpen || this.doubt.isAny
    return this.copyIn.isOpen || (this.#entries.size === 0 && isOpen)
  }

  /** Nothing is due, and no batch waits for its Sync. The transaction status is a matter of its own. */
  get isSettled(): boolean {
    return this.#entries.size === 0 && !this.#isBatchOpen && !this.doubt.isAny && this.copyIn.isNone
  }

  /** `status` is what a message sent now will meet, unless one of its own batch changes it. */
  get isStatusKnown(): boolean {
    return this.#entries.ready === this.#entries.ownReady
  }

  /** The server is still at what an earlier batch or Query asked, and needs nothing for it. */
  get isAheadOfReplies(): boolean {
    return !this.isStatusKnown && !this.needsClient && !this.doubt.isAny
  }

  /** Not behind a Sync that a failed copy may have ignored or not, nor where a copy may begin. */
  get isCountKnown(): boolean {
    return !this.doubt.isAny && !this.copyIn.isUncountable && !this.#entries.isAnyExecuteOwed
  }

  /** What is sent next, and is neither copy data nor Sync, has to wait until it is known what is due. */
  get mustKnowCount(): boolean {
    if (this.copyIn.isOpen) return this.copyIn.isUncountable
    return this.doubt.isAny && (this.#isSkipping || !this.#isBatchOpen)
  }

  /** The error being read answers `doubt.ask`: so many ReadyForQuery are the client's; null: it does not. */
  takeCount(): number | null {
    const due = this.#entries.size > 0 ? null : this.doubt.takeAnswer()
    if (due === null) return null
    this.replies += due
    if (this.status === status.idle) this.transactions += due
    this.#isSkipping = due === 0 && this.#isBatchOpen
    this.#isBatchOpen = this.#isSkipping
    if (!this.#isSkipping) this.sentOwnSync()
    return due
  }

  /** Messages that were sent, as they are counted off by replies. */
  get sentCount(): number {
    return this.#entries.putIn
  }

  /** The batch that failed last is still open and skipped, or only its Sync is owed. */
  get isFailedBatchLast(): boolean {
    if (this.#isBatchOpen) return this.#isSkipping && this.#entries.size === 0
    return this.#entries.size === 1 && this.#entries.headKind === sync
  }

  /** Of such a batch: its ReadyForQuery is not for the client, and to an open one a Sync is sent. */
  disownBatch(): void {
    this.failed.repeat()
    this.#isSkipping = false
    if (this.#isBatchOpen) this.sentOwnSync()
    else this.#entries.disownSync()
    this.#isBatchOpen = false
  }

  /** The next reply is one of ours to make. */
  get isFakeDue(): boolean {
    return this.#entries.isHeadFake
  }

  /** The server may go to another client. */
  get isReleasable(): boolean {
    return this.isSettled && this.status === status.idle
  }

  /** True when the reply being read answers a message of ours and is not for the client. */
  get isOwnReply(): boolean {
    return this.#entries.isHeadOwn
  }

  /** Behind what runs for us stands something of the client's. */
  get owesClient(): boolean {
    return this.#entries.isAnyOfClient
  }

  /** The reply being read is to a message of this kind that the observer is told of. */
  isNotedReply(kind: number): boolean {
    return this.#entries.isHeadNoted && this.#entries.headKind === kind
  }

  /** True when success is not for the client, but an error is. */
  get isQuietReply(): boolean {
    return this.#entries.isHeadQuiet
  }

  /**
   * Notes a message of the client's that goes to the server. Returns false for a type that no client
   * may send after login.
   */
  sent(type: number): boolean {
    switch (type) {
      case frontend.query:
      case frontend.functionCall:
        this.queries++
        this.#push(type === frontend.query ? query : functionCall)
        return true
      case frontend.parse:
      case frontend.bind:
      case frontend.describe:
      case frontend.close:
        this.#pushExtended(extendedKindOf(type))
        return true
      case frontend.execute:
        this.queries++
        this.#pushExtended(execute)
        return true
      case frontend.sync:
        this.#pushSync()
        return true
      case frontend.copyDone:
      case frontend.copyFail:
        this.#pushCopyEnd()
        return true
      default:
        if (type === frontend.flush && !this.copyIn.isOpen) this.#entries.onFlush()
        return type === frontend.copyData || type === frontend.flush
    }
  }

  /** Notes a Query of ours whose whole answer is to be swallowed. Only while settled. */
  sentOwnQuery(): void {
    this.#entries.append(query | own)
    this.observer?.onOwnSent()
  }

  /** As sentOwnQuery, `statements` times Parse, Bind, Execute, perhaps Close, and one Sync. */
  sentOwnBatch(statements: number, areClosed = false): void {
    this.#entries.appendOwnBatch(statements, areClosed)
    this.observer?.onOwnSent()
  }

  /**
   * Notes a message of the client's that changes its statements, for the observer. False: the server
   * skips it, and so must the observer.
   */
  sentNoted(type: NotedType): boolean {
    if (type === frontend.query || type === frontend.execute) this.queries++
    if (type !== frontend.query) return this.#pushExtended(extendedKindOf(type) | noted)
    if (this.#isSkipping) return false
    this.#push(query | noted)
    return true
  }

  /** As sentNoted, for a message of ours that a Sync of ours ends: see sentOwnSync. */
  sentOwnNoted(type: QuietType): void {
    this.#entries.append(extendedKindOf(type) | own | noted)
  }

  /** Behind sentOwnNoted: what comes next is another batch. */
  sentOwnSync(): void {
    this.batches++
    this.#entries.append(sync | own)
  }

  /** As sentNoted, for a message that we put in for the client. */
  sentQuietly(type: QuietType): boolean {
    return this.#pushExtended(extendedKindOf(type) | quiet | noted)
  }

  /** As sentNoted, of one that is not sent: `takeDueFakes` says when it is to be answered. */
  answered(type: StatementType): boolean {
    return this.#pushExtended((type === frontend.parse ? parse : close) | fake | noted)
  }

  /** Takes off the answers of ours whose turn has come. The types of the messages they answer. */
  takeDueFakes(): readonly number[] {
    const due: number[] = []
    for (; this.#entries.isHeadFake; this.#finish())
      due.push(this.#entries.headKind === parse ? frontend.parse : frontend.close)
    return due
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
        const kind = this.#entries.headKind
        return kind === query || kind === execute || this.doubt.isAny
      }
      case backend.noticeResponse:
      case backend.parameterStatus:
      case backend.notificationResponse:
        return true
      case backend.parameterDescription:
        if (!this.isQuietReply) this.failed.onParameters()
        return this.#entries.headKind === describe || this.doubt.isAny
      case backend.functionCallResponse:
        return this.#entries.headKind === functionCall || this.doubt.isAny
      case backend.parseComplete:
        return this.#complete(parse)
      case backend.bindComplete:
        return this.#complete(bind)
      case backend.closeComplete:
        return this.#complete(close)
      case backend.rowDescription:
        return this.#entries.headKind === query || this.#complete(describe)
      case backend.noData:
        return this.#complete(describe)
      case backend.commandComplete:
      case backend.emptyQueryResponse:
        this.copyIn.end()
        return this.#entries.headKind === query || this.#complete(execute)
      case backend.portalSuspended:
        return this.#complete(execute)
      case backend.copyInResponse:
      case backend.copyBothResponse:
        return this.#beginCopyIn(type === backend.copyBothResponse)
      case backend.errorResponse:
        this.#lapse()
        return true
      case backend.readyForQuery:
        return this.readyOwed > 0 || this.doubt.isAny
      default:
        return false
    }
  }

  /** Takes in the status byte of a ReadyForQuery that `received` has let pass. */
  ready(statusByte: number): boolean {
    if (!isStatus(statusByte)) return false
    this.status = statusByte
    if (this.doubt.isAsked) return this.doubt.onReady()
    const wasOwn = this.isOwnReply
    if (!wasOwn) this.failed.onReady()
    this.replies++
    this.copyIn.end()
    if (this.#entries.size === 0) this.#isSkipping = false
    if (!owesReady(this.#entries.headKind)) return this.doubt.isAny
    this.#finish()
    if (statusByte === status.idle && !wasOwn) this.transactions++
    return true
  }

  #push(kind: number): void {
    if (this.#isSkipping) return
    this.copyIn.onOther()
    this.#entries.append(this.#isBatchOpen ? kind | inBatch : kind)
  }

  #pushExtended(entry: number): boolean {
    this.#isBatchOpen = true
    if (this.#isSkipping) return false
    this.copyIn.onOther()
    this.#entries.append(entry)
    return true
  }

  #pushSync(): void {
    if (this.copyIn.ignoresSync()) return
    this.#isBatchOpen = false
    this.#isSkipping = false
    this.batches++
    this.#entries.append(sync)
  }

  #pushCopyEnd(): void {
    if (this.copyIn.isOpen) this.copyIn.onOther()
    else if (this.#entries.size > 0) this.#push(copyEnd)
  }

  #complete(kind: number): boolean {
    if (this.#entries.headKind !== kind) return this.doubt.isAny
    this.#finish()
    return true
  }

  /** The head has been answered. */
  #finish(): void {
    const isNoted = this.#entries.isHeadNoted
    this.#entries.shift()
    this.failed.onAnswered()
    if (isNoted) this.observer?.onNotedDone()
  }

  /** The head will never be answered. */
  #skip(isCause: boolean): void {
    const isNoted = this.#entries.isHeadNoted
    this.#entries.shift()
    if (isNoted) this.observer?.onNotedLapsed(isCause)
  }

  /** An error: of an extended message it takes along all that was sent up to the next Sync. */
  #lapse(): void {
    const entries = this.#entries
    const kind = entries.headKind
    this.failed.onError(entries.takenOff)
    if (this.copyIn.isUncountable) this.doubt.isAny = true
    this.copyIn.end()
    if (this.doubt.isAsked && owesReady(kind)) this.#finish()
    if (kind === 0 || owesReady(kind)) return
    for (let isCause = true; entries.size > 0 && entries.headKind !== sync; isCause = false)
      this.#skip(isCause)
    if (entries.size === 0) this.#isSkipping = true
  }

  /**
   * The server reads copy data from here on. Of what was sent already, Syncs are ignored up to the
   * end of the copy data; a Sync may have come with the Execute, before anybody knew.
   */
  #beginCopyIn(isStream: boolean): boolean {
    const kind = this.#entries.headKind
    if (kind !== query && kind !== execute) return this.doubt.isAny
    const { syncs, isOpen, isBatchOpen } = this.#entries.beginCopyIn()
    this.copyIn.begin(isOpen, syncs, isStream)
    this.#isBatchOpen = isBatchOpen
    return true
  }
}
