// Carries the record to whoever listens outside: what has become a row goes out in small batches, in
// order, signed and tried again. The rows are the record; a receiver that is away too long misses some.
import { randomUUID } from 'node:crypto'
import type { Clock } from '../shared/clock.ts'
import type { Log } from '../shared/log.ts'
import { eventFields } from './api/event-export.ts'
import { eventMessagesQueuedMax } from './config/limits.ts'
import type { Config } from './config/settings.ts'
import type { AccessEvent } from './store/events.ts'
import { SignedPost } from './webhook/signed-post.ts'
import { WebhookQueue } from './webhook/webhook-queue.ts'

/** Some 50 KB a message. */
const eventsPerMessage = 100

export class EventWebhook {
  readonly #queue: Pick<WebhookQueue, 'push' | 'close'>
  readonly #clock: Pick<Clock, 'wallMs'>
  readonly #log: Log
  #missedCount = 0

  constructor(queue: Pick<WebhookQueue, 'push' | 'close'>, clock: Pick<Clock, 'wallMs'>, log: Log) {
    this.#queue = queue
    this.#clock = clock
    this.#log = log
  }

  /** Never waits: what finds no room is told in the log, and stands in the record. */
  tell(events: readonly AccessEvent[]): void {
    for (let at = 0; at < events.length; at += eventsPerMessage) {
      const batch = events.slice(at, at + eventsPerMessage)
      const isTaken = this.#queue.push({
        id: randomUUID(),
        type: 'access.events',
        atMs: this.#clock.wallMs(),
        data: { events: batch.map(eventFields) },
      })
      if (isTaken) continue
      this.#missedCount += batch.length
      this.#log.error(
        { missed: this.#missedCount },
        'events go to no webhook: too many wait for it',
      )
    }
  }

  close(): Promise<void> {
    return this.#queue.close()
  }
}

/** null where no webhook is set. */
export function newEventWebhook(
  { eventWebhookUrl: url, webhookSecret: secret }: Config,
  clock: Clock,
  log: Log,
): EventWebhook | null {
  if (url === null || secret === null) return null
  const poster = new SignedPost({ url, secret }, clock)
  const messagesMax = eventMessagesQueuedMax
  return new EventWebhook(
    new WebhookQueue({ name: 'events', poster, messagesMax, isOrdered: true, clock, log }),
    clock,
    log,
  )
}
