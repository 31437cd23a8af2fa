// The witness of one session: its holds go to the hold record, its statements on roles to the trail.
// A person who alters roles in a loop makes one event a second, with how many there were.
import type { Clock } from '../../shared/clock.ts'
import type { PersonWitness, RoleTag, ServerHold } from '../relay/person-witness.ts'
import type { HoldOwner, HoldRecord } from './hold-record.ts'

export interface RecordedPersonOptions {
  readonly owner: HoldOwner
  readonly holds: Pick<HoldRecord, 'begin' | 'end'>
  readonly clock: Pick<Clock, 'wallMs'>
  readonly record: (tag: RoleTag, count: number) => void
}

const everyMs = 1000

interface Tally {
  lastMs: number
  /** Not told yet. */
  count: number
}

export class RecordedPerson implements PersonWitness {
  readonly #options: RecordedPersonOptions
  readonly #tallies = new Map<RoleTag, Tally>()

  constructor(options: RecordedPersonOptions) {
    this.#options = options
  }

  hold(serverProcessId: number, last: ServerHold | null): ServerHold {
    const { holds, owner } = this.#options
    return holds.begin(owner, serverProcessId, last)
  }

  release(hold: ServerHold): void {
    this.#options.holds.end(hold)
  }

  onRoleStatement(tag: RoleTag): void {
    const nowMs = this.#options.clock.wallMs()
    const tally = this.#tallies.get(tag)
    if (tally === undefined) {
      this.#tallies.set(tag, { lastMs: nowMs, count: 0 })
      this.#options.record(tag, 1)
      return
    }
    tally.count += 1
    if (nowMs - tally.lastMs < everyMs) return
    tally.lastMs = nowMs
    this.#options.record(tag, tally.count)
    tally.count = 0
  }

  /** Before the end of the session is recorded. */
  close(): void {
    for (const [tag, { count }] of this.#tallies) if (count > 0) this.#options.record(tag, count)
    this.#tallies.clear()
  }
}
