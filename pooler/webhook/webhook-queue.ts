// Messages on their way to one webhook: in order, one at a time, each tried again with growing pauses
// until it is delivered, refused or too old. It lives in memory; whoever pushed a message hears what
// became of it, also when the process stops before it was delivered.
import { BoundedQueue } from '../../shared/bounded-queue.ts'
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { PostOutcome, SignedPost, WebhookMessage } from './signed-post.ts'

export type WebhookEnd = 'delivered' | 'refused' | 'given up' | 'lost'

export interface WebhookQueueOptions {
  /** Stands in the log. */
  readonly name: string
  readonly poster: Pick<SignedPost, 'post'>
  readonly messagesMax: number
  readonly clock: Clock
  readonly log: Log
  /** Called once for each message that was taken. `lost`: the process stops; `close` waits for it. */
  readonly onEnd?: (message: WebhookMessage, end: WebhookEnd) => void | Promise<void>
}

const firstPauseMs = 1000
const pauseMsMax = 5 * 60_000
/** Beyond it, what the message tells is no news. */
const triedForMs = 24 * 3_600_000

export class WebhookQueue {
  readonly #options: WebhookQueueOptions
  readonly #waiting: BoundedQueue<WebhookMessage>
  #state: 'idle' | 'posting' | 'pausing' | 'closed' = 'idle'
  #pause: Timer | null = null
  /** Of the first message, since it was taken up. */
  #failures = 0
  #flight: Promise<void> = Promise.resolve()
  #told: Promise<unknown> = Promise.resolve()

  constructor(options: WebhookQueueOptions) {
    this.#options = options
    this.#waiting = new BoundedQueue(options.messagesMax)
  }

  get size(): number {
    return this.#waiting.size
  }

  /** False when the queue is full or closed: the message was not taken. */
  push(message: WebhookMessage): boolean {
    if (this.#state === 'closed' || this.#waiting.push(message) === null) return false
    if (this.#state === 'idle') this.#next()
    return true
  }

  /** Tries once more what waits, in order, until one fails; the rest is told to be lost. */
  async close(): Promise<void> {
    this.#pause?.cancel()
    this.#state = 'closed'
    await this.#flight
    for (let first = this.#waiting.peek(); first !== undefined; first = this.#waiting.peek()) {
      const outcome = await this.#options.poster.post(first)
      if (outcome.kind === 'failed') break
      this.#end(first, outcome.kind)
    }
    for (const message of this.#waiting) this.#end(message, 'lost')
    await this.#told
  }

  #next(): void {
    const first = this.#waiting.peek()
    this.#state = first === undefined ? 'idle' : 'posting'
    if (first !== undefined) this.#flight = this.#attempt(first)
  }

  async #attempt(message: WebhookMessage): Promise<void> {
    const outcome = await this.#options.poster.post(message)
    const hasEnded = this.#settle(message, outcome)
    if (this.#state === 'closed') return
    if (hasEnded) this.#next()
    else this.#wait()
  }

  /** True when nothing more is to be done for the message. */
  #settle(message: WebhookMessage, outcome: PostOutcome): boolean {
    const { clock, log, name } = this.#options
    if (outcome.kind === 'failed') {
      this.#failures += 1
      const { reason } = outcome
      const fields = { webhook: name, id: message.id, attempt: this.#failures, reason }
      if (clock.wallMs() - message.atMs < triedForMs) {
        log.warn(fields, 'a webhook was not delivered; it is tried again')
        return false
      }
      this.#end(message, 'given up')
      return true
    }
    this.#end(message, outcome.kind, outcome.kind === 'refused' ? outcome.reason : undefined)
    return true
  }

  #wait(): void {
    this.#state = 'pausing'
    const pauseMs = Math.min(firstPauseMs * 2 ** (this.#failures - 1), pauseMsMax)
    this.#pause = this.#options.clock.after(pauseMs, () => this.#next())
  }

  #end(message: WebhookMessage, end: WebhookEnd, reason?: string): void {
    this.#waiting.shift()
    this.#failures = 0
    const { log, name, onEnd } = this.#options
    const fields = { webhook: name, id: message.id, type: message.type, end, reason }
    if (end === 'delivered') log.info(fields, 'a webhook was delivered')
    else log.error(fields, 'a webhook was never delivered')
    this.#told = Promise.all([this.#told, onEnd?.(message, end)])
  }
}
