// One attempt to deliver one message to an address that the operator set, signed as the public
// convention "Standard Webhooks" has it, so that receivers find a library that checks it. When to try
// again is webhook-queue.ts.
import { createHmac } from 'node:crypto'
import type { Clock } from '../../shared/clock.ts'
import type { Secret } from '../../shared/secret.ts'

export interface WebhookMessage {
  /** The same at every attempt: by it the receiver knows what it has already. */
  readonly id: string
  /** Like `invitation.created`. */
  readonly type: string
  readonly atMs: number
  readonly data: Readonly<Record<string, unknown>>
}

export interface WebhookTarget {
  readonly url: string
  readonly secret: Secret<string>
}

/** `refused`: the receiver does not want it, and would not later. `reason` is for the log. */
export type PostOutcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'refused' | 'failed'; readonly reason: string }

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

const answerMsMax = 10_000
/** Refusals of the moment: time-out, too early, too many. */
const passing = new Set([408, 425, 429])

export class SignedPost {
  readonly #target: WebhookTarget
  readonly #clock: Clock
  readonly #fetch: Fetch

  constructor(target: WebhookTarget, clock: Clock, fetchWith: Fetch = fetch) {
    this.#target = target
    this.#clock = clock
    this.#fetch = fetchWith
  }

  /** Never rejects. */
  async post(message: WebhookMessage): Promise<PostOutcome> {
    const { url, secret } = this.#target
    const timestamp = String(Math.floor(this.#clock.wallMs() / 1000))
    const body = bodyOf(message)
    const abort = new AbortController()
    const limit = this.#clock.after(answerMsMax, () => abort.abort())
    try {
      const answer = await this.#fetch(url, {
        method: 'POST',
        // Followed, it would carry the message to wherever the receiver says.
        redirect: 'manual',
        signal: abort.signal,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'latchkey',
          'webhook-id': message.id,
          'webhook-timestamp': timestamp,
          'webhook-signature': signatureOf(secret, message.id, timestamp, body),
        },
        body,
      })
      // What it says is of no use, however long it is.
      await answer.body?.cancel()
      return outcomeOf(answer.status)
    } catch (error) {
      return { kind: 'failed', reason: abort.signal.aborted ? 'no answer in 10 s' : causeOf(error) }
    } finally {
      limit.cancel()
    }
  }
}

/** `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64. */
export function signatureOf(
  secret: Secret<string>,
  id: string,
  timestamp: string,
  body: string,
): string {
  const mac = createHmac('sha256', secret.reveal()).update(`${id}.${timestamp}.${body}`)
  return `v1,${mac.digest('base64')}`
}

function bodyOf({ type, atMs, data }: WebhookMessage): string {
  return JSON.stringify({ type, timestamp: new Date(atMs).toISOString(), data })
}

function outcomeOf(status: number): PostOutcome {
  if (status >= 200 && status < 300) return { kind: 'delivered' }
  const isFinal = status >= 300 && status < 500 && !passing.has(status)
  return { kind: isFinal ? 'refused' : 'failed', reason: `status ${status}` }
}

/** fetch says "fetch failed"; why is one step below. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const code = (cause as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : 'the request failed'
}
