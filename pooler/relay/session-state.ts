// What follows one client from server to server: its settings and its prepared statements; and what
// cannot follow, so that the client keeps its server (pinned) or the server is reset after it.

import type { PoolerError } from '../../shared/errors.ts'
import { parameterStatus } from '../../shared/protocol/backend-messages.ts'
import { errorResponseOf, type PostgresError } from '../../shared/protocol/error-response.ts'
import { frontend } from '../../shared/protocol/message-types.ts'
import type { ClientPump } from './client-pump.ts'
import { type ClientStatements, clientStatements, errorForClient } from './client-statements.ts'
import type { RelayOptions } from './relay-options.ts'
import type { ServerLink } from './server-link.ts'
import type { SessionSink } from './server-sink.ts'
import { SessionRestorer } from './session-restorer.ts'
import { type SettingsProfile, settingKey, withSetting } from './session-settings.ts'
import type { SessionTag } from './session-tags.ts'
import { answersTo } from './statement-answers.ts'
import type { Transport } from './transport.ts'
import { hold, type Verdict } from './verdicts.ts'

export type PinReason = 'large statement'

export class SessionState implements SessionSink {
  readonly #transport: Transport
  readonly #person: string | null
  readonly #restorer: SessionRestorer
  /** null in session mode, where a server is its client's. */
  readonly #statements: ClientStatements | null
  #profile: SettingsProfile
  #pinnedBy: PinReason | null = null
  /** The client's message must wait for replies to those before it. */
  #isHeld = false
  /** Stands for the server's word when a query that ran too long has been cancelled. */
  #timeout: PoolerError | null = null

  constructor(options: RelayOptions, pump: ClientPump) {
    this.#transport = options.transport
    this.#person = options.person
    this.#profile = options.profile
    this.#restorer = new SessionRestorer(options.startup)
    this.#statements =
      options.statements === null
        ? null
        : clientStatements(options.statements, pump, (reason) => {
            this.#pinnedBy ??= reason
          })
  }

  /** True while the client's message must wait: for its settings, or for replies. */
  get isAwaited(): boolean {
    return this.#restorer.isAwaited || this.#isHeld
  }

  /** True when what was awaited has come. */
  mayGoOn({ tracker }: ServerLink): boolean {
    if (this.#restorer.isAwaited) return tracker.owed === 0
    return this.#statements?.names.mayGoOn !== false
  }

  /** Why the client keeps its server until DISCARD ALL or its end; null: it need not. */
  get pinnedBy(): PinReason | null {
    return this.#pinnedBy
  }

  get readsErrors(): boolean {
    return this.#timeout !== null || this.#statements?.names.readsErrors === true
  }

  /** The client gets a pooled server. False when its message has to wait, see isAwaited. */
  attach(link: ServerLink): boolean {
    this.#statements?.names.attach(link)
    if (this.#restorer.isDue) {
      for (const setting of this.#restorer.takeDue(this.#profile, link)) this.#tell(link, setting)
    }
    if (link.profile === this.#profile && link.lastPerson === this.#person) return true
    const tell = this.#restorer.restore(link, this.#profile, this.#person)
    for (const setting of tell) this.#tell(link, setting)
    return !this.#restorer.isAwaited
  }

  detach(link: ServerLink): void {
    this.#statements?.names.detach(link)
    if (this.#pinnedBy !== null) link.dirtyBy ??= this.#pinnedBy
    link.lastPerson = this.#person
  }

  /** What was awaited has come. */
  finish(): void {
    this.#restorer.finish()
    this.#isHeld = false
  }

  /** The client is gone. */
  leave(): void {
    this.#statements?.names.leave()
  }

  /** Before a message goes to the server; the verdict, or null where it is nothing special. */
  onMessage(message: ClientPump, link: ServerLink): Verdict | null {
    const { tracker } = link
    const { type } = message
    if (this.#restorer.isDue && tracker.owed === 0) this.#restorer.reapply(link)
    if (tracker.isBatchOpen && (type === frontend.query || type === frontend.functionCall)) {
      // Postgres then ends the batch's transaction by halves: the server looks idle, and whoever is
      // next on it gets an internal error (seen with 18.4). A reset puts it right or discards it.
      link.dirtyBy ??= 'Query in a batch'
    }
    if (this.#statements === null) return null
    const verdict = this.#statements.messages.handle(message, link, this.#profile.environment)
    if (verdict === hold) this.#isHeld = true
    if (tracker.isFakeDue && link.isAtBoundary) {
      this.#transport.write(answersTo(tracker.takeDueFakes()))
    }
    return verdict
  }

  onReport(name: string, value: string, isOwn: boolean): void {
    if (isOwn && !this.#restorer.isReapplying) return
    const isNews = this.#profile.wanted.get(settingKey(name)) !== value
    if (isNews) this.#profile = withSetting(this.#profile, name, value)
    if (isNews || !isOwn) this.#transport.write(parameterStatus(name, value))
  }

  onTag(tag: SessionTag, link: ServerLink): void {
    this.#restorer.onTag(tag, link)
    if (tag === 'DISCARD ALL' || tag === 'DEALLOCATE ALL') this.#statements?.names.onAllClosed()
    if (tag === 'DISCARD ALL') this.#pinnedBy = null
  }

  /** The client's profile has another value from here on, and where it is reported the client hears. */
  #tell(link: ServerLink, [name, value]: readonly [name: string, value: string]): void {
    this.#profile = withSetting(this.#profile, name, value)
    const spelling = link.spelling.get(name)
    if (spelling !== undefined) this.#transport.write(parameterStatus(spelling, value))
  }

  /** What runs is being cancelled: the client is told why. */
  expectTimeout(error: PoolerError): void {
    this.#timeout = error
  }

  /** An ErrorResponse for the client, which is written here. */
  onError(error: PostgresError): void {
    const names = this.#statements?.names ?? null
    const worded = names === null ? error.raw : errorForClient(error, names)
    const timeout = this.#timeout
    this.#timeout = null
    if (timeout !== null && error.fields.sqlState === timeout.row.sqlState) {
      this.#transport.write(errorResponseOf(timeout))
    } else {
      this.#transport.write(worded)
    }
  }
}
