// What follows one client from server to server: its settings and its prepared statements; and what
// cannot follow, so that the client keeps its server (pinned) or the server is reset after it.
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { frontend, status } from '../../shared/protocol/message-types.ts'
import { AskedQuestion, answerRowsMax } from './asked-question.ts'
import { nameSetting } from './attribution.ts'
import { ClientProfile } from './client-profile.ts'
import type { ClientPump } from './client-pump.ts'
import { type ClientStatements, clientStatements } from './client-statements.ts'
import { awaitsCount } from './count-question.ts'
import { ErrorWording } from './error-wording.ts'
import { Listening, type ListeningHost } from './listening.ts'
import type { PersonWitness } from './person-witness.ts'
import type { PinReason } from './pin-reasons.ts'
import { Pins } from './pins.ts'
import type { RelayCounters, RelayOptions } from './relay-options.ts'
import type { SchemaVersion } from './schema-version.ts'
import { SequenceValues } from './sequence-values.ts'
import type { ServerLink } from './server-link.ts'
import type { SessionSink } from './server-sink.ts'
import { answerOf, questionMessages, type SessionAnswer } from './session-question.ts'
import { SessionRestorer } from './session-restorer.ts'
import { isBeyondAscii, isTooLarge, mayMakeTemporary, settingKey } from './session-settings.ts'
import { SessionSuspicion } from './session-suspicion.ts'
import { isRoleTag, type SessionTag } from './session-tags.ts'
import { judgeUnset } from './session-texts.ts'
import type { StalePlanRepair } from './stale-plan-repair.ts'
import { answersTo } from './statement-answers.ts'
import type { SettingsInForce, TextSettings } from './text-environment.ts'
import { anySetting } from './text-verdict.ts'
import type { Transport } from './transport.ts'
import { hold, type Verdict } from './verdicts.ts'

export class SessionState implements SessionSink, SettingsInForce {
  readonly #transport: Transport
  readonly #person: string | null
  readonly #witness: PersonWitness | null
  readonly #startup: ReadonlyMap<string, string>
  readonly #restorer: SessionRestorer
  readonly #counters: RelayCounters
  /** null in session mode, where a server is its client's. */
  readonly #statements: ClientStatements | null
  /** null in session mode. */
  readonly repair: StalePlanRepair | null
  /** null in session mode. */
  readonly listening: Listening | null
  readonly #suspicion = new SessionSuspicion()
  readonly #sequences: SequenceValues
  readonly #asksAlways: boolean
  readonly #schema: SchemaVersion
  /** Something has gone to the server since it was asked last. */
  #isUnasked = false
  readonly #question = new AskedQuestion()
  #hasReset = false
  readonly #profile: ClientProfile
  readonly #pins = new Pins()
  /** Of this hold. */
  #countedPin: PinReason | null = null
  /** The client's message must wait for replies to those before it. */
  #isHeld = false
  readonly errors: ErrorWording

  constructor(options: RelayOptions, pump: ClientPump, host: ListeningHost) {
    this.#transport = options.transport
    this.#person = options.person
    this.#witness = options.witness
    const { startup, attribution, notifications } = options
    this.#startup = startup
    this.#profile = new ClientProfile(options.transport, attribution, startup, options.profile)
    this.#pinByPath()
    this.#counters = options.counters
    this.#schema = options.schema
    this.#asksAlways = options.stateCheck === 'always'
    this.#restorer = new SessionRestorer(startup)
    this.#sequences = new SequenceValues(options.clientId, options.sequences)
    this.listening =
      notifications === null
        ? null
        : new Listening(notifications.source, host, notifications.queueBytesMax)
    this.#statements =
      options.statements === null
        ? null
        : clientStatements(options.statements, options.counters, pump, this, {
            onPinned: (reason) => this.#pins.add(reason),
            onPrepared: (verdict) => this.#sequences.onPrepared(verdict),
            onText: (verdict) => {
              this.#suspicion.onText(verdict)
              this.#restorer.onText(verdict)
              this.#sequences.onRun(verdict)
            },
          })
    this.repair = this.#statements?.names.repair ?? null
    this.errors = new ErrorWording(options, this.#statements?.names ?? null)
  }

  get settings(): TextSettings {
    return this.#profile.settings
  }

  get mayBeOthers(): boolean {
    return this.#suspicion.mayChangeReading
  }

  get hasTemporary(): boolean {
    return this.#pins.hasTemporary || this.#suspicion.mayMakeTemporary
  }

  /** True while the client's message must wait: for its settings, or for replies. */
  get isAwaited(): boolean {
    if (this.#restorer.isAwaited || this.#isHeld || this.#question.isUnderWay) return true
    return this.repair?.isUnderWay === true
  }

  /** True when what was awaited has come. */
  mayGoOn({ tracker }: ServerLink): boolean {
    if (tracker.doubt.isAsked) return false
    if (this.#restorer.isAwaited || this.#question.isUnderWay) return tracker.owed === 0
    return this.#statements?.names.mayGoOn !== false
  }

  /** Nothing of ours is under way for the client, or what was has been refused. */
  get isThrough(): boolean {
    return !this.isAwaited || this.#restorer.isRefused
  }

  /** Why the client keeps its server until DISCARD ALL or its end; null: it need not. */
  get pinnedBy(): PinReason | null {
    if (this.#restorer.isRefused) return null
    const { reason } = this.#pins
    if (reason !== null) return reason
    if (this.#sequences.needsServer) return 'sequence value'
    return this.listening?.needsServer === true ? 'listening' : null
  }

  /** Its transaction is over, and it stays. */
  keepServer(reason: PinReason): void {
    this.#suspicion.clear()
    this.#sequences.onKept()
    if (reason === this.#countedPin) return
    this.#countedPin = reason
    this.#counters.pins.count(reason)
  }

  get readsErrors(): boolean {
    return this.errors.isNeeded
  }

  /** The client has this server from here to `detach`. */
  hold(link: ServerLink): void {
    if (this.#witness !== null) link.hold = this.#witness.hold(link.processId, link.hold)
  }

  /** The client gets a pooled server. False when its message has to wait, see isAwaited. */
  attach(link: ServerLink): boolean {
    this.#statements?.names.attach(link)
    if (this.#restorer.isDue) {
      const due = this.#restorer.takeDue(this.#profile.settings, link)
      for (const setting of due) this.#profile.tell(link, setting)
    }
    const wanted = this.#profile.onServer
    const overridden = this.#profile.overridden(link)
    const isOverridden = overridden.length > 0 && link.startup !== this.#startup
    if (link.profile !== wanted || link.lastPerson !== this.#person || isOverridden) {
      const tell = this.#restorer.restore(link, wanted, this.#person, overridden)
      for (const setting of tell) this.#profile.tell(link, setting)
    }
    this.#sequences.attach(link, this.isAwaited)
    if (this.listening?.isListening === true) {
      if (!this.isAwaited) link.transport.hold()
      this.listening.lay(link)
    }
    return !this.isAwaited
  }

  detach(link: ServerLink): void {
    this.#statements?.names.detach(link)
    this.#sequences.detach(link)
    this.#countedPin = null
    if (this.pinnedBy !== null) link.dirtyBy ??= this.pinnedBy
    // The client left before the server could be asked.
    else if (this.mustAsk) link.dirtyBy ??= 'unasked question'
    this.#restorer.detach(link)
    link.lastPerson = this.#person
    link.isMisnamed = false
    // What its texts might have done they did not do, or the server has been asked.
    this.#suspicion.clear()
    if (link.hold !== null) this.#witness?.release(link.hold)
  }

  /** The transaction that is over may have left something: the server has to be asked. */
  get mustAsk(): boolean {
    if (this.#restorer.isRefused) return false
    return this.isInDoubt || this.listening?.mayDivide === true
  }

  /** What the client has, its channels among it, may not be what it had when it was asked last. */
  get isInDoubt(): boolean {
    if (this.#statements === null) return false
    return this.#suspicion.isAny || (this.#asksAlways && this.#isUnasked)
  }

  /** Asks; the client's messages wait until `finish`. */
  ask(link: ServerLink): void {
    if (!this.isInDoubt) {
      if (this.listening?.divide(link) === true) this.#question.begin('division', link)
      return
    }
    if (this.#asksAlways) this.#suspicion.onCode()
    this.#isUnasked = false
    const names = new Set(this.#suspicion.settingsToAsk())
    if (names.has(anySetting)) for (const name of link.applied.keys()) names.add(name)
    const mayBeUnset = names.size > 0 || this.#restorer.isDue
    if (mayBeUnset) for (const name of this.#startup.keys()) names.add(name)
    const asksHeld = this.#suspicion.mayHold || this.pinnedBy !== null
    link.tracker.sentOwnBatch(1)
    link.transport.write(questionMessages(names, mayBeUnset && this.#startup.size > 0, asksHeld))
    this.#question.begin(asksHeld ? 'held' : 'settings', link)
  }

  onOwnRow(bytes: Buffer, at: number, end: number): void {
    this.#question.onRow(bytes, at, end)
  }

  /** An error to a message of ours; true when the client need not know. */
  onOwnError(error: PostgresError, link: ServerLink): boolean {
    if (this.#question.isUnderWay) {
      this.#question.onError(error, link)
      return true
    }
    if (this.#statements?.names.inSql.onOwnError(error) === true) return true
    if (this.#restorer.mayRepeat(error, link)) return true
    // A cancel that came late has met the new name: it is given again. A transaction would be lost.
    link.isMisnamed = this.#restorer.isRenaming && link.tracker.status === status.idle
    return link.isMisnamed || this.#restorer.onRefused(error, link)
  }

  /** What was awaited has come. True where the client may leave: with an answer, or refused. */
  finish(link: ServerLink): boolean {
    const isRefused = this.#restorer.finish()
    this.#isHeld = false
    const { kind, hasFailed, isCanceled } = this.#question
    const rows = this.#question.take()
    if (rows === null) return isRefused
    if (isCanceled) return true // It is as suspect as before.
    if (kind === 'division') {
      this.listening?.onDivided(hasFailed)
      return true
    }
    if (rows.length === answerRowsMax) this.#pins.add('large setting')
    const answer = answerOf(rows)
    this.#takeAnswer(answer, hasFailed, link)
    const isKnown = kind === 'held' && !hasFailed
    this.listening?.take(isKnown ? answer.channels : null, link)
    if (isKnown) this.#statements?.names.onAnswer(answer)
    // Settings of applications under computed names are on no list of the server's.
    if (this.#suspicion.mayBeUnlisted) link.needsResetAll = true
    this.#suspicion.clear()
    this.#hasReset = false
    return true
  }

  /** The client is gone. */
  leave(): void {
    this.#statements?.names.leave()
    this.listening?.leave()
  }

  /** Before a message goes to the server; the verdict, or null where it is nothing special. */
  onMessage(message: ClientPump, link: ServerLink): Verdict | null {
    const { tracker } = link
    const { type } = message
    const mayLack = this.#restorer.mayLack && !this.#restorer.putBack(link)
    if (mayLack || awaitsCount(message, link)) {
      this.#isHeld = true
      return hold
    }
    if (tracker.isBatchOpen && (type === frontend.query || type === frontend.functionCall)) {
      // Postgres then ends the batch's transaction by halves: the server looks idle, and whoever is
      // next on it gets an internal error (seen with 18.4). A reset puts it right or discards it.
      link.dirtyBy ??= 'Query in a batch'
    }
    if (this.#statements === null) return judgeUnset(message, this.#restorer)
    this.#isUnasked = true
    // What has run to its end has told its tags, or failed.
    if (this.#suspicion.mayUnset && tracker.isSettled) this.#suspicion.mayUnset = false
    const verdict = this.#statements.messages.handle(message, link, this.#profile.settings)
    if (verdict === hold) this.#isHeld = true
    if (type === frontend.sync || type === frontend.flush) this.repair?.tellLate(this.#transport)
    if (tracker.isFakeDue && link.isAtBoundary) {
      this.#transport.write(answersTo(tracker.takeDueFakes()))
    }
    return verdict
  }

  onReport(name: string, reported: string, isOwn: boolean, link: ServerLink): void {
    if (isOwn && !this.#restorer.isReapplying) return
    if (isBeyondAscii(reported)) this.#suspicion.ask(settingKey(name)) // It is in the client's encoding.
    this.#profile.onReport(name, reported, isOwn, link)
  }

  onLongReport(): void {
    this.#pins.add('large setting')
  }

  onReady(link: ServerLink): void {
    if (link.hasChangedSchema && link.tracker.status === status.idle) {
      link.hasChangedSchema = false
      this.#schema.onChanged() // Now others see it.
    }
    if (!link.isMisnamed) return
    if (link.tracker.status === status.failed || !link.tracker.isSettled) return
    link.isMisnamed = false
    const startup = this.#startup.get(nameSetting)
    // A RESET took it: without a pooler that is the startup value.
    if (startup !== undefined && this.#restorer.isDue && this.#profile.ownName === '')
      this.#profile.tell(link, [nameSetting, startup])
    this.#restorer.rename(link, this.#profile.serverName)
  }

  onTag(tag: SessionTag, link: ServerLink): void {
    if (isRoleTag(tag)) {
      this.#witness?.onRoleStatement(tag)
      return
    }
    if (tag === 'schema change' || tag === 'DO') {
      link.hasChangedSchema = true
      this.#schema.onChanged()
    }
    if (tag === 'RESET' || tag === 'DISCARD ALL') this.#restorer.onReset(tag, this.#suspicion)
    if (this.#statements === null) return
    switch (tag) {
      case 'SET':
        if (this.#suspicion.onSetTag()) this.#restorer.onReset(tag, this.#suspicion)
        return
      case 'RESET':
        this.#suspicion.onSetTag()
        this.#hasReset = true
        return
      case 'DISCARD ALL':
        this.#statements.names.onAllClosed()
        this.#profile.onDiscarded(link)
        // What was sent behind it has told already what it may leave.
        if (link.isAnsweringLast) this.#suspicion.clear()
        // What it has changed is reported behind its tag.
        this.#suspicion.mayChangeReading = true
        this.#pins.clear()
        this.#sequences.onDiscarded()
        this.#pinByPath()
        // It took the channels as well: whether for good, the server says.
        if (this.listening?.isListening === true) this.#suspicion.mayHold = true
        return
      case 'DEALLOCATE ALL':
        this.#statements.names.onAllClosed()
        this.#suspicion.mayHold = true
        return
      case 'PREPARE':
      case 'DEALLOCATE':
        if (tag === 'DEALLOCATE' && this.#statements.names.inSql.onDropped(link)) return
        // The name may have been one of ours.
        this.#statements.names.suspectAll()
        this.#suspicion.mayHold = true
        return
      case 'schema change':
        // What it was pinned by may be gone.
        if (this.#pins.hasTemporary) this.#suspicion.mayHold = true
        return
      case 'LOAD':
        this.#pins.add('loaded library')
        return
      case 'DO':
      case 'CALL':
        this.#suspicion.onCode()
        return
      default:
        this.#suspicion.mayHold = true
    }
  }

  /** An ErrorResponse for the client, which is written here. */
  onError(error: PostgresError): void {
    this.errors.write(error)
  }

  #takeAnswer(answer: SessionAnswer, hasFailed: boolean, link: ServerLink): void {
    link.profile = null
    this.#pins.take(answer, !hasFailed)
    // What this server has is no longer written down: it stays with its client.
    if (this.#pins.reason === 'large setting') return
    const isAnyLost = this.#profile.take(answer, this.#hasReset, link)
    // A server that it keeps is put right in front of its next message, others by its profile.
    if (!hasFailed) this.#restorer.isDue = isAnyLost && this.pinnedBy !== null
    if (isTooLarge(this.#profile.settings, answerRowsMax)) this.#pins.add('large setting')
    this.#pinByPath()
  }

  /** Any CREATE may make what only this server has. */
  #pinByPath(): void {
    if (mayMakeTemporary(this.#profile.settings)) this.#pins.hasTemporary = true
  }
}
