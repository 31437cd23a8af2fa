// Writes the record off the hot path, and never loses any of it silently: each event is a log line at
// once and a row within a second. Bounded: when rows cannot be written, refusals are counted instead
// of listed, and logins are refused rather than let in unrecorded.
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import {
  auditActsForLoginMax,
  auditActsMax,
  auditCountersMax,
  auditRefusalsMax,
} from '../config/limits.ts'
import type { AccessEvent, EventStore } from '../store/events.ts'

export interface AuditTrailOptions {
  readonly events: Pick<EventStore, 'append' | 'removeOlderThan'>
  readonly clock: Clock
  readonly log: Log
  /** Older rows are removed, some each minute; 0: never. */
  readonly retentionMs: number
  /** What has become rows. */
  readonly onWritten?: (events: readonly AccessEvent[]) => void
}

const flushMs = 500
const batchMaxDefault = 500
const counterFlushMs = 60_000

export class AuditTrail {
  readonly #options: AuditTrailOptions
  /** Logins, ends and changes. */
  readonly #acts: AccessEvent[] = []
  /** Refusals of known tokens, and the counts of the others once a minute. */
  readonly #refusals: AccessEvent[] = []
  readonly #counters = new Map<string, { event: AccessEvent; count: number }>()
  readonly #timers: readonly Timer[]
  #flushing: Promise<void> | null = null
  #lostCount = 0
  #batchMax = batchMaxDefault

  constructor(options: AuditTrailOptions) {
    this.#options = options
    this.#timers = [
      options.clock.every(flushMs, () => {
        if (this.#flushing === null) void this.#startFlush()
      }),
      options.clock.every(counterFlushMs, () => this.#onMinute()),
    ]
  }

  /** False when a login could not be recorded: then none may be let in. */
  get hasRoomForLogin(): boolean {
    return this.#acts.length < auditActsForLoginMax
  }

  /**
   * Never fails and never waits. A refusal without a known token is a log line now, and one row a
   * minute with all others of the same project, source and reason.
   */
  record(event: AccessEvent): void {
    this.#logLine(event)
    if (event.action === 'refused') {
      const isListed = event.tokenId != null && this.#refusals.length < auditRefusalsMax
      if (isListed) this.#refusals.push(event)
      else this.#count(event)
    } else if (this.#acts.length < auditActsMax) {
      this.#acts.push(event)
    } else {
      this.#lose(event, null)
    }
  }

  /** Writes all that waits, in order; on a failure it waits for the next flush. */
  async flush(): Promise<void> {
    // One under way may have looked before the newest event came.
    await this.#flushing
    await (this.#flushing ?? this.#startFlush())
  }

  /** Writes what is left, counters too, once. False when something stays without a row. */
  async close(): Promise<boolean> {
    for (const timer of this.#timers) timer.cancel()
    await this.flush()
    this.#takeCounters()
    await this.flush()
    const left = this.#acts.length + this.#refusals.length + this.#counters.size
    if (left > 0) this.#options.log.error({ lost: left }, 'events stay without a row')
    return left === 0
  }

  #startFlush(): Promise<void> {
    this.#flushing = this.#write().finally(() => {
      this.#flushing = null
    })
    return this.#flushing
  }

  async #write(): Promise<void> {
    try {
      for (const buffer of [this.#acts, this.#refusals]) {
        while (buffer.length > 0) await this.#writeFirst(buffer)
      }
    } catch (error) {
      const waiting = this.#acts.length + this.#refusals.length
      this.#options.log.warn({ err: error, waiting }, 'events could not be written yet')
    }
  }

  /** A batch whose answer was lost is written again: twice in the record is better than never. */
  async #writeFirst(buffer: AccessEvent[]): Promise<void> {
    const batch = buffer.slice(0, this.#batchMax)
    try {
      await this.#options.events.append(batch)
      this.#options.onWritten?.(batch)
      this.#batchMax = batchMaxDefault
    } catch (error) {
      if (!isRefusedData(error)) throw error
      // One event that no table takes must not hold up the others: it is found by writing each alone.
      if (batch.length > 1) {
        this.#batchMax = 1
        return
      }
      this.#lose(batch[0]!, error)
    }
    buffer.splice(0, batch.length)
  }

  #lose(event: AccessEvent, error: unknown): void {
    this.#lostCount += 1
    this.#options.log.error(
      { lost: this.#lostCount, err: error, ...lineOf(event) },
      'an event stays without a row',
    )
  }

  #count(event: AccessEvent): void {
    const isFull = this.#counters.size >= auditCountersMax
    const key = JSON.stringify([event.ref, event.address, event.reason])
    const counter = this.#counters.get(key)
    if (counter !== undefined) {
      counter.count += 1
      return
    }
    const { atMs, action, reason } = event
    // Told apart no longer by who asked, of what: only by why. There are few reasons.
    if (isFull && (event.ref !== null || event.address != null)) {
      this.#count({ atMs, ref: null, actor: null, action, reason: reason ?? null, address: null })
      return
    }
    const { ref, address } = event
    const counted = { atMs, ref, actor: null, action, reason: reason ?? null }
    this.#counters.set(key, { event: { ...counted, address: address ?? null }, count: 1 })
  }

  #takeCounters(): void {
    for (const [key, { event, count }] of this.#counters) {
      // Without room for its row it goes on counting.
      if (this.#refusals.length >= auditRefusalsMax + auditCountersMax) return
      this.#counters.delete(key)
      this.#refusals.push({ ...event, count })
    }
  }

  #onMinute(): void {
    this.#takeCounters()
    const { clock, events, log, retentionMs } = this.#options
    if (retentionMs === 0) return
    events
      .removeOlderThan(clock.wallMs() - retentionMs)
      .catch((error) => log.warn({ err: error }, 'old events could not be removed yet'))
  }

  #logLine(event: AccessEvent): void {
    this.#options.log.info(lineOf(event), `access: ${event.action}`)
  }
}

/** Without the parts that do not apply. */
function lineOf(event: AccessEvent): object {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value != null))
}

/** SQLSTATE classes 22 (data exception) and 23 (constraint): another try would end the same. */
function isRefusedData(error: unknown): boolean {
  return /^2[23]/.test(String((error as { code?: unknown }).code))
}
