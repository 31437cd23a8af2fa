// Cancel requests of one client. What runs for us must not meet one: where that stands in front of a message of
// the client's the request waits for it, and else there is nothing to cancel, as with an idle Postgres.
import { type Clock, sleep } from '../../shared/clock.ts'
import type { Relay } from './relay.ts'
import type { ServerLink } from './server-link.ts'
import type { ServerSource } from './server-source.ts'

/** A statement that goes on for so long after its cancel may have got that first. */
const overtakenMs = 500

/** While it stays the same, the server is at the same message. */
const answeredBy = ({ tracker }: ServerLink): number => tracker.sentCount - tracker.owed

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

  /** It leaves together with what it is for, and may be there first: a statement that goes on gets another. */
  async sendDue(relay: Pick<Relay, 'server' | 'cancel'>, clock: Clock): Promise<void> {
    const { server } = relay
    const answered = server === null ? 0 : answeredBy(server)
    await relay.cancel()
    await sleep(clock, overtakenMs)
    if (server === null || relay.server !== server) return
    if (answeredBy(server) === answered && server.tracker.owed > 0) await relay.cancel()
  }
}
