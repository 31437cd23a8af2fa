// Tells the other processes that this one lives and who is in through it, and clears up after those
// that died: people ask any process who is in, and each login has an end in the record.
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { PresenceStore, PresentSession } from '../store/presence.ts'
import type { LiveSession, LiveSessions, SessionFollower } from './live-sessions.ts'

export interface PresenceOptions {
  readonly store: PresenceStore
  readonly sessions: LiveSessions
  readonly clock: Clock
  readonly log: Log
}

const flushMs = 500
const beatMs = 5000
const sweepMs = 15_000
/** Twelve beats: a process that is held up for less is not taken for lost. */
const lostAfterMs = 60_000
const batchMax = 1000

export class Presence implements SessionFollower {
  readonly #options: PresenceOptions
  /** Sessions whose row is not as it should be. As many as live or have just left. */
  readonly #changed = new Map<string, LiveSession | null>()
  readonly #timers: Timer[] = []
  #isRegistered = false
  /** Since when beats have come through without a break; null: the last one did not. */
  #beatingSinceMs: number | null = null
  #work: Promise<void> = Promise.resolve()
  #isBusy = false

  constructor(options: PresenceOptions) {
    this.#options = options
    options.sessions.follow(this)
  }

  start(): void {
    const { clock } = this.#options
    this.#timers.push(
      clock.every(flushMs, () => this.#do(() => this.#flush())),
      clock.every(beatMs, () => this.#do(() => this.#beat())),
      clock.every(sweepMs, () => this.#do(() => this.#sweep())),
    )
    this.#do(() => this.#beat())
  }

  onBound(session: LiveSession): void {
    this.#changed.set(session.sessionId, session)
  }

  onLeft(session: LiveSession): void {
    this.#changed.set(session.sessionId, null)
  }

  /** Who is in through other processes, as of a second ago. */
  elsewhere(ref: string): Promise<readonly PresentSession[]> {
    return this.#options.store.elsewhere(ref)
  }

  /** `isRecorded`: all ends are in the record. Else another process finds this one lost, and them. */
  async close(isRecorded: boolean): Promise<void> {
    for (const timer of this.#timers) timer.cancel()
    await this.#work
    if (!isRecorded || !this.#isRegistered) return
    await this.#options.store
      .leave()
      .catch((error) => this.#options.log.warn({ err: error }, 'the process stays registered'))
  }

  /** One thing at a time; what fails is tried again by the next tick. */
  #do(job: () => Promise<void>): void {
    if (this.#isBusy) return
    this.#isBusy = true
    this.#work = job()
      .catch((error) => {
        this.#options.log.warn({ err: error }, 'who is in could not be written yet')
      })
      .finally(() => {
        this.#isBusy = false
      })
  }

  async #beat(): Promise<void> {
    const since = this.#beatingSinceMs
    this.#beatingSinceMs = null
    const isNew = await this.#options.store.beat()
    this.#beatingSinceMs = since ?? this.#options.clock.monotonicMs()
    this.#isRegistered = true
    if (!isNew) return
    for (const session of this.#options.sessions.all()) this.onBound(session)
    await this.#flush()
  }

  async #flush(): Promise<void> {
    if (!this.#isRegistered) return
    while (this.#changed.size > 0) {
      const batch = [...this.#changed].slice(0, batchMax)
      for (const [id] of batch) this.#changed.delete(id)
      try {
        await this.#options.store.put(batch.flatMap(([, one]) => (one === null ? [] : rowOf(one))))
        await this.#options.store.remove(batch.flatMap(([id, one]) => (one === null ? [id] : [])))
      } catch (error) {
        // What has changed meanwhile stands there already.
        for (const [id, one] of batch) if (!this.#changed.has(id)) this.#changed.set(id, one)
        // Taken for lost by another process, its row is gone, and sessions have none to refer to.
        if ((error as { code?: unknown }).code === '23503') this.#isRegistered = false
        throw error
      }
    }
  }

  /** Only by one who has been heard without a break: after an outage nobody has been seen for long. */
  async #sweep(): Promise<void> {
    const since = this.#beatingSinceMs
    const { clock, log, store } = this.#options
    if (since === null || clock.monotonicMs() - since < lostAfterMs) return
    for (const lost of await store.sweep(lostAfterMs)) {
      log.warn({ ...lost, reason: 'process_lost' }, 'access: ended')
    }
  }
}

function rowOf(session: LiveSession): PresentSession[] {
  const { foundation } = session
  if (foundation === null) return []
  const { sessionId, ref, role, address, applicationName, startedAtMs } = session
  const { member, endsAtMs } = foundation
  const { userId, email } = member
  const what = { sessionId, ref, role, address, applicationName, startedAtMs }
  return [{ ...what, userId, email, endsAtMs }]
}
