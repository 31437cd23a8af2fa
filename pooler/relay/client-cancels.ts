// Cancel requests of one client. Postgres forgets one that comes when nothing runs, so what runs for us
// must not meet it: where that stands in front of the client's own message, the request waits.
import type { ServerLink } from './server-link.ts'
import type { ServerSource } from './server-source.ts'

export class ClientCancels {
  #isDue = false

  async ask(source: ServerSource, link: ServerLink | null): Promise<void> {
    if (link === null || link.tracker.owed === 0) return
    if (link.tracker.isOwnReply) this.#isDue = true
    else await source.cancel(link)
  }

  /** Answers have come, and what had to wait for them has gone to the server. */
  onProgress(source: ServerSource, link: ServerLink | null): void {
    if (!this.#isDue || link?.tracker.isOwnReply === true) return
    this.#isDue = false
    void this.ask(source, link)
  }
}
