// Cancel requests of one client. What runs for us must not meet one: where that stands in front of a message of
// the client's the request waits for it, and else there is nothing to cancel, as with an idle Postgres.
import type { ServerLink } from './server-link.ts'
import type { ServerSource } from './server-source.ts'

export class ClientCancels {
  #isDue = false

  /** `isWaiting`: a message of the client's has come, and not gone to the server. */
  async ask(source: ServerSource, link: ServerLink | null, isWaiting: boolean): Promise<void> {
    if (link === null || link.tracker.owed === 0) return
    // A status that is not known is what the client's own message makes it.
    if (link.tracker.isOwnReply) this.#isDue = isWaiting || !link.tracker.isStatusKnown
    else await source.cancel(link)
  }

  /** Answers have come, and what had to wait for them has gone to the server. */
  onProgress(source: ServerSource, link: ServerLink | null): void {
    if (!this.#isDue || link?.tracker.isOwnReply === true) return
    this.#isDue = false
    void this.ask(source, link, false)
  }
}
