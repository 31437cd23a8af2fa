// Cancel requests of one client. What runs for us must not meet one: where that stands in front of a message of
// the client's the request waits for it, and else there is nothing to cancel, as with an idle Postgres.
import type { ServerLink } from './server-link.ts'
import type { ServerSource } from './server-source.ts'

export class ClientCancels {
  #isDue = false

  /** `isWaiting`: a message of the client's has come, and not gone to the server. */
  async ask(source: ServerSource, link: ServerLink | null, isWaiting: boolean): Promise<void> {
    if (link === null || link.tracker.owed === 0) return
    if (link.tracker.isOwnReply) this.#isDue = isWaiting || link.tracker.owesClient
    else await source.cancel(link)
  }

  /** True when what ran for us is over: what stands behind it, wherever it has gone, is to be cancelled now. */
  takeDue(link: ServerLink | null): boolean {
    if (!this.#isDue || link?.tracker.isOwnReply === true) return false
    this.#isDue = false
    return true
  }
}
