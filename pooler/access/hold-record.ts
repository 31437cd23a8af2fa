// Keeps who held which server, off the hot path: a hold is an object that lives on its server and is
// written within a second. A server that comes back to the same session with nobody between is the
// same hold. Bounded: where rows cannot be written, token logins are refused before holds are lost.
import { randomUUID } from 'node:crypto'
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import { holdsForLoginMax, holdsMax } from '../config/limits.ts'
import type { ServerHold } from '../relay/person-witness.ts'
import type { HoldRow, HoldStore } from '../store/holds.ts'

export interface HoldRecordOptions {
  readonly holds: Pick<HoldStore, 'put' | 'removeOlderThan'>
  readonly clock: Clock
  readonly log: Log
  /** Older rows are removed, some each minute; 0: never. */
  readonly retentionMs: number
}

export type HoldOwner = Pick<HoldRow, 'sessionId' | 'ref' | 'userId' | 'role'>

interface Hold extends ServerHold, HoldRow {
  toMs: number | null
}

const flushMs = 500
const batchMax = 2000
const removeEveryMs = 60_000

export class HoldRecord {
  readonly #options: HoldRecordOptions
  /** New, or gone on since they were last written. */
  readonly #changed = new Set<Hold>()
  readonly #timers: readonly Timer[]
  #flushing: Promise<void> | null = null
  #lostCount = 0

  constructor(options: HoldRecordOptions) {
    this.#options = options
    const { clock, holds, log, retentionMs } = options
    const remove = (): void => {
      if (retentionMs === 0) return
      holds
        .removeOlderThan(clock.wallMs() - retentionMs)
        .catch((error) => log.warn({ err: error }, 'old holds could not be removed yet'))
    }
    this.#timers = [
      clock.every(flushMs, () => void this.flush()),
      clock.every(removeEveryMs, remove),
    ]
  }

  /** False when what people do could not be recorded: then none may be let in. */
  get hasRoomForLogin(): boolean {
    return this.#changed.size < holdsForLoginMax
  }

  /** A session has the server from here on; `last` is who had it before, as it was left there. */
  begin(owner: HoldOwner, serverProcessId: number, last: ServerHold | null): ServerHold {
    const before = last as Hold | null
    if (before?.sessionId === owner.sessionId) {
      before.toMs = null
      this.#note(before)
      return before
    }
    const fromMs = this.#options.clock.wallMs()
    const { sessionId, ref, userId, role } = owner
    const hold: Hold = {
      id: randomUUID(),
      sessionId,
      ref,
      userId,
      role,
      serverProcessId,
      fromMs,
      toMs: null,
    }
    this.#note(hold)
    return hold
  }

  end(hold: ServerHold): void {
    const own = hold as Hold
    own.toMs = this.#options.clock.wallMs()
    this.#note(own)
  }

  /** One attempt to write all; what cannot be written waits. Never rejects. */
  async flush(): Promise<void> {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = null
    })
    await this.#flushing
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel()
    await this.#flushing
    await this.flush()
    if (this.#changed.size > 0) {
      this.#options.log.error({ lost: this.#changed.size }, 'holds stay without a row')
    }
  }

  #note(hold: Hold): void {
    if (this.#changed.size < holdsMax || this.#changed.has(hold)) this.#changed.add(hold)
    else {
      this.#lostCount += 1
      const { sessionId, serverProcessId } = hold
      this.#options.log.error(
        { lost: this.#lostCount, sessionId, serverProcessId },
        'a hold stays without a row',
      )
    }
  }

  async #write(): Promise<void> {
    while (this.#changed.size > 0) {
      const batch = [...this.#changed].slice(0, batchMax)
      for (const hold of batch) this.#changed.delete(hold)
      try {
        await this.#options.holds.put(batch)
      } catch (error) {
        for (const hold of batch) this.#changed.add(hold)
        const waiting = this.#changed.size
        this.#options.log.warn({ err: error, waiting }, 'holds could not be written yet')
        return
      }
    }
  }
}
