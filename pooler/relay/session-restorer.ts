// Brings a server to the settings of the client that gets it, in messages of ours in front of the
// client's own, whose answers are swallowed; and back to the startup settings after a RESET.
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { query } from '../../shared/protocol/frontend-messages.ts'
import { status } from '../../shared/protocol/message-types.ts'
import { renameMessages } from './attribution.ts'
import { isCancel } from './query-canceled.ts'
import type { ServerLink } from './server-link.ts'
import {
  differenceOf,
  isReadOnlySetting,
  mustBeAwaited,
  reapplyMessages,
  restoreCount,
  restoreMessages,
  type SettingsProfile,
} from './session-settings.ts'
import type { SessionSuspicion } from './session-suspicion.ts'
import type { SessionTag } from './session-tags.ts'
import { isForItsPast } from './setting-names.ts'
import { isOpen, type TextVerdict, unknownText } from './text-verdict.ts'

type Setting = readonly [name: string, value: string]

/** Servers, one after the other, that refuse the same client. */
const refusalsMax = 20
const discardAll = query('DISCARD ALL')
const nothingApplied: ReadonlyMap<string, string> = new Map()

export class SessionRestorer {
  /** True while the client's message must wait for the answer. */
  isAwaited = false
  /** The server has refused the client's settings: nothing of the client's may run there, nor has. */
  isRefused = false
  /** A RESET or DISCARD ALL took the client's startup settings away. */
  isDue = false
  /** A text on its way may take some of them. */
  #mayTake = false
  /** The answer being swallowed belongs to `reapply`: what it reports is news for the client. */
  isReapplying = false
  /** `reapply` has met a cancel that came late, and is repeated, once. */
  #isRepeat = false
  /** The answer being swallowed belongs to `rename`. */
  isRenaming = false
  readonly #startup: ReadonlyMap<string, string>
  /** The server being brought to the client's settings: what it refuses, no other one would take. */
  #isClean = false
  #refusals = 0

  constructor(startup: ReadonlyMap<string, string>) {
    this.#startup = startup
  }

  /**
   * Writes what brings `link` to `profile`; the transport holds it back so that it leaves together
   * with the client's message. Settings of `anyway` are set even to what they are. Returns read-only
   * reports that the client has to be told.
   */
  restore(
    link: ServerLink,
    profile: SettingsProfile,
    person: string | null,
    anyway: readonly string[],
  ): readonly Setting[] {
    this.isReapplying = false
    this.isRenaming = false
    link.transport.hold()
    let difference = differenceOf(profile, link, anyway)
    const isOthers = link.lastPerson !== undefined && link.lastPerson !== person
    if (isOthers) {
      // What no tag shows (functions, DO) must not pass from one person to another.
      link.tracker.sentOwnQuery()
      link.transport.write(discardAll)
      link.applied.clear()
      link.statements.clear()
      const { baseline } = link
      const afresh = { reported: baseline, applied: nothingApplied, baseline }
      difference = differenceOf(profile, afresh, anyway)
    }
    this.#write(link, difference)
    this.#isClean = isOthers || link.lastPerson === undefined
    link.profile = profile
    link.startup = this.#startup
    link.lastPerson = person
    if (person === null) link.hold = null
    this.isAwaited = mustBeAwaited(difference)
    if (this.isAwaited) link.transport.release()
    return difference.tell
  }

  /** What was awaited has come. True where the client needs another server: it waits on until `detach`. */
  finish(): boolean {
    if (this.isRefused) return true
    this.isAwaited = false
    if (!this.isDue) this.#isRepeat = false
    this.#refusals = 0
    return false
  }

  /** True where `reapply` has met a cancel that came late. A transaction would be lost. */
  mayRepeat(error: PostgresError, link: ServerLink): boolean {
    const isCanceled = this.isReapplying && this.isAwaited && isCancel(error)
    if (!isCanceled || this.#isRepeat || link.tracker.status !== status.idle) return false
    this.#isRepeat = true
    this.isDue = true
    return true
  }

  /**
   * An error to what is awaited: nothing of the client's has run, so that what others have left on the
   * server need not be its end. It goes on with one that is reset or new.
   */
  onRefused(error: PostgresError, link: ServerLink): boolean {
    if (!this.isAwaited || this.isReapplying || link.fatal !== null) return false
    const isForPast = isForItsPast(error)
    if (isForPast ? link.isNew : this.#isClean) return false
    if (this.#refusals === refusalsMax) return false
    this.#refusals++
    this.isRefused = true
    if (isForPast) link.isRetired = true
    else link.dirtyBy ??= 'refused settings'
    return true
  }

  /** The client leaves its server. */
  detach(link: ServerLink): void {
    this.#mayTake = false
    if (this.isRefused) this.isAwaited = false
    this.isRefused = false
    link.isNew = false
    // What another client's had set it may have reset.
    if (link.startup !== this.#startup) link.startup = null
  }

  get hasStartup(): boolean {
    return this.#startup.size > 0
  }

  /** A text is about to be run. Those that nobody has looked at hold nothing up. */
  onText(verdict: TextVerdict): void {
    if (!verdict.mayUnset || verdict === unknownText || this.#startup.size === 0) return
    const { sets } = verdict
    // DISCARD ALL names none.
    if (sets.length === 0 || sets.some((name) => isOpen(name) || this.#startup.has(name)))
      this.#mayTake = true
  }

  /** Startup settings are gone, or may be: `putBack` in front of the next message. */
  get mayLack(): boolean {
    return this.isDue || this.#mayTake
  }

  /** False while the message has to wait, for what was sent before it or for the settings. */
  putBack(link: ServerLink): boolean {
    const { tracker } = link
    if (!tracker.isSettled) return tracker.isBatchOpen || tracker.needsClient || tracker.doubt.isAny
    this.#mayTake = false
    if (this.isDue) this.reapply(link)
    return !this.isAwaited
  }

  /** RESET, SET TO DEFAULT or DISCARD ALL: the startup settings are gone, or some of them may be. */
  onReset(tag: SessionTag, suspicion: SessionSuspicion): void {
    if (tag === 'DISCARD ALL' || suspicion.namesAnyOf(this.#startup)) {
      this.isDue = this.#startup.size > 0
    }
  }

  /**
   * The startup settings that a RESET took from a client of this profile, for the server that it
   * gets next. Those that the client has set since keep the client's value.
   */
  takeDue(profile: SettingsProfile, link: ServerLink): readonly Setting[] {
    this.isDue = false
    return this.#missing(link, profile.wanted)
  }

  /** Sets the startup settings anew where they are gone. Not possible in a failed transaction. */
  reapply(link: ServerLink): void {
    if (link.tracker.status === status.failed) return
    this.isDue = false
    this.isReapplying = true
    this.isRenaming = false
    // The client's message must not run without them.
    this.isAwaited = link.cancelsInFlight > 0
    if (!this.isAwaited) {
      this.#isRepeat = false
      link.transport.hold()
    }
    const set = [...this.#startup].filter(([name]) => !isReadOnlySetting(name))
    link.tracker.sentOwnBatch(set.length, true)
    link.transport.write(reapplyMessages(set))
    link.profile = null
    for (const [name, value] of set) if (!link.reported.has(name)) link.applied.set(name, value)
  }

  /** While it is settled, and its transaction has not failed: leaves behind the ReadyForQuery. */
  rename(link: ServerLink, name: string): void {
    this.isRenaming = true
    link.tracker.sentOwnBatch(1, true)
    link.transport.write(renameMessages(name, link.tracker.status !== status.idle))
    link.profile = null
  }

  #missing(link: ServerLink, values: ReadonlyMap<string, string>): readonly Setting[] {
    return [...this.#startup].filter(([name, value]) => {
      const current = values.get(name)
      if (current === undefined || !link.reported.has(name)) return true
      return current !== value && current === link.baseline.get(name)
    })
  }

  #write(link: ServerLink, difference: ReturnType<typeof differenceOf>): void {
    const count = restoreCount(difference)
    if (count === 0) return
    link.tracker.sentOwnBatch(count)
    link.transport.write(restoreMessages(difference))
    for (const name of difference.reset) link.applied.delete(name)
    for (const [name, value] of difference.set) {
      if (!link.reported.has(name) && !isReadOnlySetting(name)) link.applied.set(name, value)
    }
  }
}
