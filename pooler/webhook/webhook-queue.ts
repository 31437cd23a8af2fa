// Messages on their way to one webhook: one at a time, each tried again with growing pauses until it is
// delivered, refused or too old. In order, one that fails holds up all behind it; without order it waits
// for its own time, and gives way to what was not tried yet. It lives in memory; whoever pushed a message
// hears what became of it, also when the process stops before it was delivered.
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { PostOutcome, SignedPost, WebhookMessage } from './signed-post.ts'

export type WebhookEnd = 'delivered' | 'refused' | 'given up' | 'lost'

export interface WebhookQueueOptions {
  /** Stands in the log. */
  readonly name: string
  readonly poster: Pick<SignedPost, 'post'>
  readonly messagesMax: number
  readonly isOrdered: boolean
  readonly clock: Clock
  readonly log: Log
  /** Called once for each message that was taken. `lost`: the process stops; `close` waits for it. */
  readonly onEnd?: (message: WebhookMessage, end: WebhookEnd) => void | Promise<void>
}

interface Entry {
  readonly message: WebhookMessage
  failures: number
  /** Monotonic; not before it is it tried. */
  dueMs: number
}

const firstPauseMs = 1000
const pauseMsMax = 5 * 60_000
/** Beyond it, what the message tells is no news. */
const triedForMs = 24 * 3_600_000

export class WebhookQueue {
  readonly #options: WebhookQueueOptions
  /** As they came; at most `messagesMax`. */
  readonly #waiting: Entry[] = []
  #state: 'idle' | 'posting' | 'pausing' | 'closed' = 'idle'
  #pause: Timer | null = null
  #flight: Promise<void> = Promise.resolve()
  #told: Promise<unknown> = Promise.resolve()

  constructor(options: WebhookQueueOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.length
  }

  /** False when the queue is full or closed: the message was not taken. */
  push(message: WebhookMessage): boolean {
    const { clock, isOrdered, messagesMax } = this.#options
    if (this.#state === 'closed' || this.#waiting.length >= messagesMax) return false
    this.#waiting.push({ message, failures: 0, dueMs: clock.monotonicMs() })
    const isNext = this.#state === 'idle' || (this.#state === 'pausing' && !isOrdered)
    if (isNext) this.#next()
    return true
  }

  /** Tries once more what waits, in the order of its turns, until one fails; the rest is told to be lost. */
  async close(): Promise<void> {
    this.#pause?.cancel()
    this.#state = 'closed'
    await this.#flight
    for (let entry = this.#first(); entry !== undefined; entry = this.#first()) {
      const outcome = await this.#options.poster.post(entry.message)
      if (outcome.kind === 'failed') break
      this.#end(entry, outcome.kind)
    }
    for (const entry of [...this.#waiting]) this.#end(entry, 'lost')
    await this.#told
  }

  /** Whose turn it is, due or not. */
  #first(): Entry | undefined {
    const [first] = this.#waiting
    if (this.#options.isOrdered || first === undefined) return first
    const untried = this.#waiting.find((entry) => entry.failures === 0)
    return untried ?? this.#waiting.reduce((a, b) => (b.dueMs < a.dueMs ? b : a))
  }

  #next(): void {
    this.#pause?.cancel()
    const entry = this.#first()
    const waitMs = (entry?.dueMs ?? 0) - this.#options.clock.monotonicMs()
    if (entry === undefined) this.#state = 'idle'
    else if (waitMs > 0) this.#wait(waitMs)
    else {
      this.#state = 'posting'
      this.#flight = this.#attempt(entry)
    }
  }

  async #attempt(entry: Entry): Promise<void> {
    this.#settle(entry, await this.#options.poster.post(entry.message))
    if (this.#state !== 'closed') this.#next()
  }

  /** Nothing more is to be done for the message, or it waits for its next time. */
  #settle(entry: Entry, outcome: PostOutcome): void {
    const { clock, log, name } = this.#options
    const { message } = entry
    if (outcome.kind !== 'failed') {
      this.#end(entry, outcome.kind, outcome.kind === 'refused' ? outcome.reason : undefined)
      return
    }
    entry.failures += 1
    const pauseMs = Math.min(firstPauseMs * 2 ** (entry.failures - 1), pauseMsMax)
    entry.dueMs = clock.monotonicMs() + pauseMs
    const { reason } = outcome
    const fields = { webhook: name, id: message.id, attempt: entry.failures, reason }
    if (clock.wallMs() - message.atMs < triedForMs) {
      log.warn(fields, 'a webhook was not delivered; it is tried again')
    } else {
      this.#end(entry, 'given up')
    }
  }

  #wait(ms: number): void {
    this.#state = 'pausing'
    this.#pause = this.#options.clock.after(ms, () => this.#next())
  }

  #end(entry: Entry, end: WebhookEnd, reason?: string): void {
    this.#waiting.splice(this.#waiting.indexOf(entry), 1)
    const { message } = entry
    const { log, name, onEnd } = this.#options
    const fields = { webhook: name, id: message.id, type: message.type, end, reason }
    if (end === 'delivered') log.info(fields, 'a webhook was delivered')
    else log.error(fields, 'a webhook was never delivered')
    this.#told = Promise.all([this.#told, onEnd?.(message, end)])
  }
}
