// lastval() and currval() tell what the session's own nextval() gave last (Postgres manual, "Sequence
// Manipulation Functions"). On a shared server that may be another client's: it is forgotten in front of who
// asks, and who asks for what an earlier transaction gave keeps its server.
import type { ClientId } from '../../shared/ids.ts'
import { query } from '../../shared/protocol/frontend-messages.ts'
import { status } from '../../shared/protocol/message-types.ts'
import type { ServerLink } from './server-link.ts'
import type { TextVerdict } from './text-verdict.ts'

const discardSequences = query('DISCARD SEQUENCES')

export class SequenceValues {
  readonly #clientId: ClientId
  /** A text of the client's has asked. */
  #isAsked = false
  #link: ServerLink | null = null

  constructor(clientId: ClientId) {
    this.#clientId = clientId
  }

  attach(link: ServerLink): void {
    this.#link = link
    if (this.#isAsked) this.#forgetOthers(link)
  }

  detach(link: ServerLink): void {
    this.#link = null
    link.sequencesOf = this.#clientId
  }

  /** A text is prepared, or about to be run: where something runs already, it is too late to forget. */
  onText({ asksSequences }: TextVerdict): void {
    if (asksSequences === null) return
    this.#isAsked = true
    const link = this.#link
    if (link?.tracker.isReleasable === true) this.#forgetOthers(link)
  }

  /** Such a text is about to be run: it asks for what no transaction in progress can have given. */
  mustKeepServer({ asksSequences }: TextVerdict): boolean {
    const tracker = this.#link?.tracker
    if (asksSequences !== 'earlier' || tracker === undefined) return false
    return tracker.isStatusKnown && tracker.status === status.idle
  }

  #forgetOthers(link: ServerLink): void {
    if (link.sequencesOf === null || link.sequencesOf === this.#clientId) return
    link.sequencesOf = this.#clientId
    link.tracker.sentOwnQuery()
    link.transport.hold()
    link.transport.write(discardSequences)
  }
}
