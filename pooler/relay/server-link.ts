// A logged-in server as the relay uses it: its transport, what it owes, and the settings it has.
// Who holds it, for how long, and where it came from is the pool's business.
import type { Socket } from 'node:net'
import type { ClientId } from '../../shared/ids.ts'
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { reportedCharactersMax, reportedSettingsMax } from '../config/limits.ts'
import type { Lane } from './lanes.ts'
import type { ServerHold } from './person-witness.ts'
import { ReplyTracker } from './reply-tracker.ts'
import { ServerPump } from './server-pump.ts'
import type { ServerSink } from './server-sink.ts'
import { ServerStatements } from './server-statements.ts'
import { type SettingsProfile, settingKey } from './session-settings.ts'
import type { OpenTransport, Transport, TransportReader } from './transport.ts'

export interface ServerLinkOptions {
  readonly socket: Socket
  readonly openTransport: OpenTransport
  /** ParameterStatus of the login, one character for each byte. */
  readonly parameters: ReadonlyMap<string, string>
  /** 0 when the server sent no BackendKeyData; then it can neither be cancelled nor terminated. */
  readonly processId: number
  readonly cancelSecret: Buffer
  readonly sink: ServerSink
  /** Of its project; without one it is never kept waiting. */
  readonly lane?: Lane
}

export abstract class ServerLink implements TransportReader {
  readonly tracker = new ReplyTracker()
  readonly transport: Transport
  readonly lane: Lane | undefined
  late: Buffer | null = null
  readonly processId: number
  readonly cancelSecret: Buffer
  /** Names as the server spells them, by settingKey. */
  readonly spelling = new Map<string, string>()
  readonly reported = new Map<string, string>()
  /** What `reported` goes back to on DISCARD ALL: the values of the login. */
  readonly baseline: ReadonlyMap<string, string>
  /** Settings that are not reported and that we set. */
  readonly applied = new Map<string, string>()
  /** The profile that this server's settings are known to equal; null: unknown. */
  profile: SettingsProfile | null = null
  /** The startup settings of the client that had it last: of which it is known whether they are set. */
  startup: ReadonlyMap<string, string> | null = null
  /** Prepared statements of ours that it has; in transaction mode. */
  readonly statements = new ServerStatements()
  /** Why this server must be reset before another client has it; null: it need not. */
  dirtyBy: string | null = null
  /** Settings may have been made that nobody can list: RESET ALL before another client has it. */
  needsResetAll = false
  /** It listens to channels of its client: UNLISTEN before another one has it. */
  isListening = false
  /** Whom the session state on this server may stem from; undefined: nobody has had it since its reset. */
  lastPerson: string | null | undefined = undefined
  /** Cancel connections for this server that have not closed: what is sent now may be what they meet. */
  cancelsInFlight = 0
  /** Whose nextval() may have given what lastval() and currval() tell here; null: nobody's. */
  sequencesOf: ClientId | 'several' | null = null
  /** Which of that client's turns it was. */
  sequencesTurn = 0
  /** The last hold by a person, for it to go on; null: somebody else has had it since. */
  hold: ServerHold | null = null
  /** The client that has it called it by a name that is not for it to give, see attribution.ts. */
  isMisnamed = false
  /** The client that has it has changed the schema in a transaction that may not be over. */
  hasChangedSchema = false
  /** How the server broke the protocol: nothing more of it is read; null: it did not. */
  brokenBy: string | null = null
  /** Set when the server said FATAL: it is as good as closed. */
  fatal: PostgresError | null = null
  /** Whoever has the server was not told: who can do without it goes on with another. */
  isFatalUntold = false
  /** The process id that its client was told at login, where it is not the server's; null: nobody was. */
  toldProcessId: number | null = null
  /** Nobody's statements have run on it. */
  isNew = true
  /** Closed at the next checkin: an operator's or a tenant's change, or what it has been through. */
  isRetired = false
  /** The last message to it was not sent whole: what is written now would be read as its rest. */
  isCutOff = false
  sink: ServerSink
  readonly #pump: ServerPump
  #reportedCharacters = 0

  constructor(options: ServerLinkOptions) {
    for (const [name, value] of options.parameters) this.#noteReport(name, value)
    this.baseline = new Map(this.reported)
    this.processId = options.processId
    this.cancelSecret = options.cancelSecret
    this.sink = options.sink
    this.lane = options.lane
    this.#pump = new ServerPump(this)
    this.transport = options.openTransport(options.socket, this)
  }

  /** True when the last byte passed to the client was the last of a message. */
  get isAtBoundary(): boolean {
    return this.#pump.isAtBoundary
  }

  /** False while a message has come in part: whoever has the server then must have the rest of it. */
  get isBetweenMessages(): boolean {
    return this.#pump.isEmpty
  }

  /** What is being answered is the last that was sent, but for its Sync. */
  get isAnsweringLast(): boolean {
    const { owed, readyOwed } = this.tracker
    return owed <= 1 && owed === readyOwed
  }

  /** False once it said FATAL or its connection is gone. */
  get isUsable(): boolean {
    return this.fatal === null && this.brokenBy === null && this.transport.isOpen
  }

  /** Gives the server to somebody else. Only while nothing is owed. */
  handTo(sink: ServerSink): void {
    this.sink = sink
    this.toldProcessId = null
    this.#pump.output = sink.replyTransport
  }

  onTransportData(chunk: Buffer): void {
    this.#pump.feed(chunk)
    // Told only now, when what was good in front of it has been passed on.
    if (this.brokenBy === null) this.sink.onServerProgress(chunk.length)
    else this.sink.onServerBroken(this.brokenBy)
  }

  onTransportDrain(): void {
    this.sink.onServerDrain()
  }

  onTransportClosed(cause: Error | null): void {
    this.sink.onServerClosed(this.fatal, cause)
  }

  onTransportFault(error: unknown): void {
    this.sink.onServerFault(error)
  }

  /** Notes a ParameterStatus body and tells the sink. False when more is reported than is kept. */
  takeReport(bytes: Buffer, at: number, end: number, isOwn: boolean): boolean {
    const nul = bytes.indexOf(0, at)
    if (nul === -1 || nul >= end) return true
    const name = bytes.toString('latin1', at, nul)
    const value = bytes.toString('latin1', nul + 1, end - 1)
    this.#noteReport(name, value)
    if (this.reported.size > reportedSettingsMax) return false
    if (this.#reportedCharacters > reportedCharactersMax) return false
    this.profile = null
    this.sink.session?.onReport(name, value, isOwn, this)
    return true
  }

  /** The same of one that is not kept: what the server has of this setting is not known from here on. */
  takeLongReport(bytes: Buffer, at: number, isOwn: boolean): void {
    const key = settingKey(bytes.toString('latin1', at, bytes.indexOf(0, at)))
    const before = this.reported.get(key)
    if (before !== undefined) this.#reportedCharacters -= before.length + key.length
    this.reported.delete(key)
    this.profile = null
    if (!isOwn) this.sink.session?.onLongReport()
  }

  #noteReport(name: string, value: string): void {
    const key = settingKey(name)
    const before = this.reported.get(key)
    this.#reportedCharacters += value.length - (before?.length ?? -key.length)
    this.spelling.set(key, name)
    this.reported.set(key, value)
  }
}
