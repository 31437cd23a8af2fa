// Ends live sessions within a second of what ends them: a change that their access does not survive,
// or its time. Each is judged anew with its own token, role and address, so those still allowed stay.
// Closing a connection is the session's own business.
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { Change, Changes } from '../store/change-feed.ts'
import { EndQueue } from './end-queue.ts'
import type { LiveSession, LiveSessions } from './live-sessions.ts'
import type { TokenAccess } from './token-access.ts'

export interface AccessEnderOptions {
  readonly sessions: LiveSessions
  readonly tokenAccess: Pick<TokenAccess, 'rejudge'>
  readonly changes: Changes
  readonly clock: Clock
  readonly log: Log
  /** How long a session may go on that cannot be judged (ACCESS_BLIND_MAX_MS); 0: for ever. */
  readonly blindMaxMs: number
}

const tickMs = 200
const retryMs = 1000
/** Judged at once: as many look-ups as the metadata take without keeping logins waiting. */
const judgedAtOnceMax = 8
/**
 * Sessions that are ended or judged in one turn of the event loop: what the others send waits behind
 * them for some milliseconds, and not for all that end in the same second.
 */
const turnMax = 100
/** A person is told so long before the end. */
const warnBeforeMs = [5 * 60_000, 60_000]

export class AccessEnder {
  readonly #options: AccessEnderOptions
  /** Live sessions to their next warning or end. */
  readonly #due = new EndQueue<LiveSession>()
  /** Sessions to be judged anew, and since when; those that are being judged too. */
  readonly #doubted = new Map<LiveSession, number>()
  /** Those of them whose turn comes; others are being judged, or wait to be tried again. */
  readonly #queue = new Set<LiveSession>()
  #judgingCount = 0
  #judgedInTurn = 0
  #nextTurn: NodeJS.Immediate | null = null
  #hasWarned = false
  readonly #stop: (() => void)[]
  #nextRetryMs = 0
  #blindSinceMs: number | null = null

  constructor(options: AccessEnderOptions) {
    const { changes, clock, sessions } = options
    this.#options = options
    const ticker: Timer = clock.every(tickMs, () => this.#tick())
    this.#stop = [changes.onChange((change) => this.#onChange(change)), () => ticker.cancel()]
    sessions.follow({
      onBound: (session) => this.#onBound(session),
      onLeft: (session) => this.#forget(session),
    })
  }

  /** Sessions that wait to be judged anew. */
  get doubtedCount(): number {
    return this.#doubted.size
  }

  /** Sessions that have a warning or an end to come. */
  get scheduledCount(): number {
    return this.#due.size
  }

  close(): void {
    for (const stop of this.#stop) stop()
    if (this.#nextTurn !== null) clearImmediate(this.#nextTurn)
  }

  #onChange(change: Change): void {
    const { sessions } = this.#options
    if (change.kind === 'session-end') {
      const session = sessions.find(change.ref, change.sessionId)
      if (session !== null) this.#end(session, change.reason)
      return
    }
    for (const session of sessions.doubt(change)) this.#doubt(session)
    // Caches hear of the same change in this turn; what is judged comes after it.
    if (this.#queue.size > 0) queueMicrotask(() => this.#judgeQueued())
  }

  #onBound(session: LiveSession): void {
    const { foundation } = session
    if (foundation === null) return
    this.#schedule(session, foundation.endsAtMs)
    if (session.doubts > foundation.doubtsSettled) {
      this.#doubt(session)
      queueMicrotask(() => this.#judgeQueued())
    }
  }

  #doubt(session: LiveSession): void {
    this.#queue.add(session)
    if (!this.#doubted.has(session)) {
      this.#doubted.set(session, this.#options.clock.monotonicMs())
    }
  }

  #judgeQueued(): void {
    while (this.#judgingCount < judgedAtOnceMax) {
      const next = this.#queue.values().next().value
      if (next === undefined) return
      if (this.#judgedInTurn === turnMax) {
        this.#goOnNextTurn()
        return
      }
      this.#judgedInTurn += 1
      this.#queue.delete(next)
      this.#judgingCount += 1
      void this.#judge(next).finally(() => {
        this.#judgingCount -= 1
        this.#judgeQueued()
      })
    }
  }

  /** Behind whatever else is to be read and written. */
  #goOnNextTurn(): void {
    this.#nextTurn ??= setImmediate(() => {
      this.#nextTurn = null
      this.#judgedInTurn = 0
      this.#endByTime()
      this.#judgeQueued()
    })
  }

  /** What cannot be judged stays doubted, for the next try. */
  async #judge(session: LiveSession): Promise<void> {
    const { foundation, ref, role, address, doubts } = session
    if (foundation === null) return
    const { bearer } = foundation
    try {
      const question = { ref, role, address, bearer, doubts }
      const answer = await this.#options.tokenAccess.rejudge(question)
      // A doubt that came meanwhile is cast again when it is bound.
      this.#doubted.delete(session)
      if (session.state !== 'live') return
      if (answer.isAllowed) this.#options.sessions.bind(session, answer)
      else this.#end(session, answer.endReason)
    } catch (error) {
      // An outage fails for everybody: one line a round.
      if (this.#hasWarned) return
      this.#hasWarned = true
      const { sessionId } = session
      this.#options.log.warn({ err: error, sessionId }, 'live sessions cannot be judged anew yet')
    }
  }

  #schedule(session: LiveSession, endsAtMs: number | null): void {
    if (endsAtMs === null) {
      this.#due.delete(session)
      return
    }
    const nowMs = this.#options.clock.wallMs()
    const nextWarning = warnBeforeMs.find((beforeMs) => endsAtMs - beforeMs > nowMs)
    this.#due.put(session, endsAtMs - (nextWarning ?? 0))
  }

  #tick(): void {
    this.#judgedInTurn = 0
    this.#endByTime()
    this.#endUnjudged()
    this.#retry()
  }

  #retry(): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs < this.#nextRetryMs || this.#judgingCount > 0) return
    this.#nextRetryMs = nowMs + retryMs
    this.#hasWarned = false
    for (const session of this.#doubted.keys()) this.#queue.add(session)
    this.#judgeQueued()
  }

  #endByTime(): void {
    const nowMs = this.#options.clock.wallMs()
    for (let count = 0; count < turnMax; count++) {
      const due = this.#due.take(nowMs)
      if (due === null) return
      if (due.state !== 'live' || due.foundation?.endsAtMs == null) continue
      const { endsAtMs, endsBy } = due.foundation
      if (nowMs >= endsAtMs) {
        this.#end(due, endsBy === 'rule' ? 'rule expired' : 'token expired')
      } else {
        this.#options.sessions.warn(due, endsAtMs)
        this.#schedule(due, endsAtMs)
      }
    }
    this.#goOnNextTurn()
  }

  /** Access that nobody can confirm does not go on for ever. */
  #endUnjudged(): void {
    const { blindMaxMs, changes, clock, sessions } = this.#options
    const nowMs = clock.monotonicMs()
    this.#blindSinceMs = changes.isBlind ? (this.#blindSinceMs ?? nowMs) : null
    if (blindMaxMs === 0) return
    if (this.#blindSinceMs !== null && nowMs - this.#blindSinceMs > blindMaxMs) {
      for (const session of sessions.all()) this.#end(session, unconfirmed)
    }
    for (const [session, sinceMs] of this.#doubted) {
      if (nowMs - sinceMs > blindMaxMs) this.#end(session, unconfirmed)
    }
  }

  #end(session: LiveSession, reason: string): void {
    this.#forget(session)
    this.#options.sessions.end(session, reason)
  }

  #forget(session: LiveSession): void {
    this.#due.delete(session)
    this.#doubted.delete(session)
    this.#queue.delete(session)
  }
}

const unconfirmed = 'access could not be confirmed'
