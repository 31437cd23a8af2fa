// lastval() and currval() tell what the session's own nextval() gave last (Postgres manual, "Sequence
// Manipulation Functions"). On a shared server that may be another client's: it is forgotten in front of who
// asks and, once somebody in the pool has, whenever a server is handed on. Who asks for what an earlier
// transaction gave keeps its server.
import type { ClientId } from '../../shared/ids.ts'
import { query } from '../../shared/protocol/frontend-messages.ts'
import { status } from '../../shared/protocol/message-types.ts'
import type { ReplyTracker } from './reply-tracker.ts'
import type { ServerLink } from './server-link.ts'
import type { TextVerdict } from './text-verdict.ts'

const discardSequences = query('DISCARD SEQUENCES')

/** Of the client's; what brings the server to its settings may be under way. */
const isBetweenTransactions = (tracker: ReplyTracker): boolean =>
  tracker.isStatusKnown &&
  tracker.status === status.idle &&
  !tracker.isBatchOpen &&
  !tracker.doubt.isAny

/** Of all clients of a pool. */
export class SequenceUse {
  /** One has asked: from here on each server is handed on without what its client was given. */
  isAsked = false
}

export class SequenceValues {
  readonly #clientId: ClientId
  readonly #use: SequenceUse
  #link: ServerLink | null = null
  /** Servers that it has given back. */
  #turns = 0
  /** It has asked for what an earlier transaction gave, and may do so again. */
  needsServer = false

  constructor(clientId: ClientId, use: SequenceUse) {
    this.#clientId = clientId
    this.#use = use
  }

  /** `isAwaited`: the client's message does not come with it, but when what was sent has been answered. */
  attach(link: ServerLink, isAwaited: boolean): void {
    this.#link = link
    // It has had another server since, which may have given it later values.
    if (link.sequencesOf === this.#clientId && link.sequencesTurn !== this.#turns)
      link.sequencesOf = 'several'
    if (!this.#use.isAsked) return
    if (isAwaited) this.#forgetOthers(link)
    else this.#forgetInFront(link)
  }

  detach(link: ServerLink): void {
    this.#link = null
    link.sequencesOf = this.#isForeign(link) ? 'several' : this.#clientId
    link.sequencesTurn = ++this.#turns
  }

  /** A transaction is over, and the client keeps its server: later on nobody knows whose values it has. */
  onKept(): void {
    if (this.#link !== null) this.#forgetOthers(this.#link)
  }

  /** A text is about to be prepared: where something runs already, it is too late to forget. */
  onPrepared({ asksSequences }: TextVerdict): void {
    if (asksSequences === null) return
    if (asksSequences !== 'unknown') this.#use.isAsked = true
    const link = this.#link
    if (link !== null && isBetweenTransactions(link.tracker)) this.#forgetInFront(link)
  }

  /** A text is about to be run. */
  onRun(verdict: TextVerdict): void {
    this.onPrepared(verdict)
    const tracker = this.#link?.tracker
    if (verdict.asksSequences !== 'earlier' || tracker === undefined) return
    // No transaction in progress can have given it.
    if (tracker.isStatusKnown && tracker.status === status.idle) this.needsServer = true
  }

  /** DISCARD ALL has run. */
  onDiscarded(): void {
    this.needsServer = false
  }

  #isForeign({ sequencesOf }: ServerLink): boolean {
    return sequencesOf !== null && sequencesOf !== this.#clientId
  }

  /** It leaves together with the client's message. */
  #forgetInFront(link: ServerLink): void {
    link.transport.hold()
    this.#forgetOthers(link)
  }

  #forgetOthers(link: ServerLink): void {
    if (!this.#isForeign(link)) return
    link.sequencesOf = this.#clientId
    link.tracker.sentOwnQuery()
    link.transport.write(discardSequences)
  }
}
