// Asks outside authorisers again about the people whom they let in, because nobody announces what they
// change: every JIT_RECHECK_MS for each session. A refusal ends it, and so does a long silence.
import type { Clock, Timer } from '../../shared/clock.ts'
import type { TenantCache } from '../tenant/tenant-cache.ts'
import type { OutsideBearer } from './bearer.ts'
import { EndQueue } from './end-queue.ts'
import type { LiveSession, LiveSessions } from './live-sessions.ts'
import type { OutsideAccess } from './outside-access.ts'

export interface OutsideWatchOptions {
  readonly sessions: LiveSessions
  readonly outside: Pick<OutsideAccess, 'ask'>
  readonly tenants: Pick<TenantCache, 'peek'>
  readonly clock: Clock
  readonly recheckMs: number
}

const tickMs = 500
/** Fewer than an authoriser may be asked at once, so that logins find room beside them. */
const askedAtOnceMax = 40
/** Sessions of one token, role and address that are due together share one answer. */
const sharedMs = 500
/** After a question that got no answer. */
const retryMs = 10_000
/** Access that nobody confirms any more does not go on for ever. */
const silenceMaxMs = 600_000

export class OutsideWatch {
  readonly #options: OutsideWatchOptions
  /** By monotonic ms: when each is asked about next, and when silence ends it. */
  readonly #next = new EndQueue<LiveSession>()
  readonly #silence = new EndQueue<LiveSession>()
  readonly #ticker: Timer
  #asking = 0

  constructor(options: OutsideWatchOptions) {
    this.#options = options
    this.#ticker = options.clock.every(tickMs, () => this.#tick())
    options.sessions.follow({
      onBound: (session) => this.#onBound(session),
      onLeft: (session) => this.#forget(session),
    })
  }

  /** Sessions that rest on an outside answer. */
  get size(): number {
    return this.#silence.size
  }

  close(): void {
    this.#ticker.cancel()
  }

  #onBound(session: LiveSession): void {
    const bearer = outsideBearerOf(session)
    if (bearer === null) {
      this.#forget(session)
      return
    }
    this.#next.put(session, bearer.confirmedAtMs + this.#options.recheckMs)
    this.#silence.put(session, bearer.confirmedAtMs + silenceMaxMs)
  }

  #forget(session: LiveSession): void {
    this.#next.delete(session)
    this.#silence.delete(session)
  }

  #tick(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (let due = this.#silence.take(nowMs); due !== null; due = this.#silence.take(nowMs)) {
      this.#end(due, 'access could not be confirmed')
    }
    while (this.#asking < askedAtOnceMax) {
      const due = this.#next.take(nowMs)
      if (due === null) break
      this.#asking += 1
      void this.#ask(due).finally(() => {
        this.#asking -= 1
      })
    }
  }

  async #ask(session: LiveSession): Promise<void> {
    const { sessions, outside, tenants, clock } = this.#options
    const bearer = outsideBearerOf(session)
    const tenant = tenants.peek(session.ref)
    if (bearer === null || session.foundation === null || session.state !== 'live') return
    try {
      // A project that is not remembered right now is asked about a little later.
      if (tenant === null) throw new Error('the project is not known right now')
      const { role, address } = session
      const asked = { tenant, url: bearer.url, role, address }
      const answer = await outside.ask(asked, bearer.token, sharedMs)
      // Judged anew, or gone, while the answer was on its way: that counts, and is asked about itself.
      if (session.state !== 'live' || outsideBearerOf(session) !== bearer) return
      if (!answer.isAllowed) {
        this.#end(session, 'access withdrawn by the authoriser')
        return
      }
      const { doubtsSettled } = session.foundation
      sessions.bind(session, { ...answer, doubts: doubtsSettled })
    } catch {
      // The authoriser's client has told the log.
      if (session.state === 'live' && outsideBearerOf(session) === bearer) {
        this.#next.put(session, clock.monotonicMs() + retryMs)
      }
    }
  }

  #end(session: LiveSession, reason: string): void {
    this.#forget(session)
    this.#options.sessions.end(session, reason)
  }
}

function outsideBearerOf({ foundation }: LiveSession): OutsideBearer | null {
  return foundation?.bearer.kind === 'outside' ? foundation.bearer : null
}
