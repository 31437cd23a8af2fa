// One logged-in client. Takes a server from the source when a message needs one, passes bytes both ways, and gives
// it back by the release rule (reply-tracker.ts). Knows nothing of tenants, tokens, or how servers come to be.
import { assert } from '../../shared/assert.ts'
import { PoolerError } from '../../shared/errors.ts'
import type { ClientId } from '../../shared/ids.ts'
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { flush } from '../../shared/protocol/frontend-messages.ts'
import { frontend } from '../../shared/protocol/message-types.ts'
import { StateMachine } from '../../shared/state-machine.ts'
import { finishingMsMax } from '../config/limits.ts'
import { Asides } from './asides.ts'
import { ClientCancels } from './client-cancels.ts'
import { ClientPump } from './client-pump.ts'
import { type ClientState, clientMoves } from './client-state.ts'
import { askForReplies } from './held-message.ts'
import { bodyBytesMaxOf, idleMessageOf } from './idle-messages.ts'
import type { Lane } from './lanes.ts'
import { PendingBytes } from './pending-bytes.ts'
import { queryCanceled } from './query-canceled.ts'
import { outputIsBlocked, owesMuch, ReadGate, serverIsBlocked, waits } from './read-gate.ts'
import { isFatal, RefusedMessages, readyIdle, refusalBytes } from './refused-messages.ts'
import type { RelayEnd, RelayOptions } from './relay-options.ts'
import { RelayTimes } from './relay-times.ts'
import { owedHighWater } from './reply-entries.ts'
import type { ServerLink } from './server-link.ts'
import type { NotificationReader, ServerSink } from './server-sink.ts'
import { giveUpServer, type Refusal, type ServerWaiter } from './server-source.ts'
import { SessionState } from './session-state.ts'
import { closeTransport, type Transport, type TransportReader } from './transport.ts'
import { drop, forward, hold, type Verdict } from './verdicts.ts'

export class Relay implements TransportReader, ServerSink, ServerWaiter {
  readonly clientId: ClientId
  readonly person: string | null
  readonly transport: Transport
  readonly replyTransport: Transport
  readonly lane: Lane
  late: Buffer | null = null
  /** Monotonic ms of the last byte from the client, or of the last reply to it. */
  lastActiveMs: number
  bytesFromClient = 0
  bytesToClient = 0
  transactions = 0
  readonly #options: RelayOptions
  readonly #pump = new ClientPump(this)
  readonly #refused: RefusedMessages
  readonly #cancels = new ClientCancels()
  readonly #gate: ReadGate
  readonly times: RelayTimes
  readonly asides: Asides
  readonly session: SessionState
  readonly #pending = new PendingBytes()
  readonly #machine = new StateMachine<ClientState>('client', clientMoves, 'idle')
  #server: ServerLink | null = null
  /** What the client is told when the work before its last message is over; null: it said Terminate. */
  #lastWords: PoolerError | null = null

  constructor(options: RelayOptions) {
    this.#options = options
    this.clientId = options.clientId
    this.person = options.person
    this.transport = options.transport
    this.replyTransport = options.transport
    this.lane = options.lane
    this.#refused = new RefusedMessages(options)
    this.#gate = new ReadGate(options.transport)
    this.times = new RelayTimes(options.transport, options.mode, this.#pump)
    this.asides = new Asides(this, options)
    this.session = new SessionState(options, this.#pump, this.asides)
    this.lastActiveMs = options.ticker.nowMs
  }

  get state(): ClientState {
    return this.#machine.state
  }

  get server(): ServerLink | null {
    return this.#server
  }

  get listening(): NotificationReader | null {
    return this.session.listening
  }

  /** Nothing is under way: it holds no server, or its session's own server owes it nothing. */
  get isAtRest(): boolean {
    return this.#server === null ? this.state === 'idle' : this.#server.tracker.isReleasable
  }

  get isCutOff(): boolean {
    return !this.#pump.isAtBoundary
  }

  get isOwedNothing(): boolean {
    if (this.state !== 'joined' || this.#options.mode !== 'transaction') return false
    return this.#server?.tracker.isReleasable === true
  }

  get isLeaving(): boolean {
    return this.state === 'finishing' || this.#pending.endsWithTerminate
  }

  get isDeaf(): boolean {
    return this.state === 'ended' || this.state === 'finishing'
  }

  /** Takes over from login. `server` is the session's own; `rest` came behind the password. */
  start(server: ServerLink | null, rest: Buffer): void {
    this.transport.setReader(this)
    if (server !== null) this.#attach(server)
    if (rest.length > 0) this.onTransportData(rest)
  }

  onTransportData(chunk: Buffer): void {
    if (this.isDeaf) return
    this.bytesFromClient += chunk.length
    this.#options.counters.bytesFromClients += chunk.length
    this.lastActiveMs = this.#options.ticker.nowMs
    const mustWait = !this.#pending.isEmpty || this.session.repair?.isUnderWay === true
    // A client that waits is read on, up to a bound: how else would one learn that it has left?
    if (mustWait) this.#pending.append(chunk)
    else this.#feed(chunk)
    if (mustWait && this.#pending.isFull) this.#gate.close(waits)
  }

  onTransportDrain(): void {
    this.#server?.transport.resume()
    this.asides.pass()
    if (!this.#gate.isClosedBy(outputIsBlocked)) return
    this.#gate.open(outputIsBlocked)
    if (this.state === 'idle') this.#feedPending()
  }

  onTransportClosed(): void {
    if (this.state === 'ended') return
    if (this.state === 'finishing') this.#server?.transport.resume()
    else this.#say(null, 'lost')
  }

  onClientMessage(message: ClientPump): Verdict {
    const { type, bodyBytes } = message
    if (type === frontend.terminate && !this.session.repair?.isUnderWay) return this.#onTerminate()
    if (this.session.isAwaited) return hold
    if (bodyBytes > bodyBytesMaxOf(type)) return this.#breach(`invalid length of message ${type}`)
    if (this.#server !== null) return this.#onJoinedMessage(message)
    if (this.#refused.isActive && this.#refused.take(type)) return drop
    switch (idleMessageOf(type)) {
      case 'work':
        return this.#join() ? this.#onJoinedMessage(message) : hold
      case 'sync':
        this.transport.write(readyIdle)
        return drop
      case 'ignored':
        return drop
      case 'unknown':
        return this.#breach(`invalid frontend message type ${type}`)
    }
  }

  onClientBadLength(bodyBytes: number): void {
    this.#breach(`invalid message length ${bodyBytes + 4}`)
  }

  onServer(link: ServerLink): void {
    if (this.#attach(link)) this.#feedPending()
  }

  onNoServer(refusal: Refusal): void {
    if (isFatal(refusal)) {
      this.#say(refusalBytes(refusal), refusal instanceof PoolerError ? refusal : 'refused')
      return
    }
    this.#machine.moveTo('idle')
    this.#refused.begin(refusal)
    this.#feedPending()
    this.#refused.end()
  }

  onOwnError(error: PostgresError): void {
    if (this.session.onOwnError(error, this.#server as ServerLink)) return
    this.#say(refusalBytes(error, 'FATAL'), 'refused')
  }

  onOwnRow(bytes: Buffer, at: number, end: number): void {
    this.session.onOwnRow(bytes, at, end)
  }

  onServerProgress(bytes: number): void {
    this.bytesToClient += bytes
    this.#options.counters.bytesToClients += bytes
    const server = this.#server
    if (server === null) return
    const tracker = server.tracker
    if (this.transport.isBlocked && this.transport.isOpen) server.transport.pause()
    if (tracker.owed < owedHighWater / 2) this.#gate.open(owesMuch)
    const mayGoOn = this.session.isAwaited && this.session.mayGoOn(server)
    const mayLeave = !mayGoOn || this.session.finish(server)
    if (this.state === 'finishing') {
      if (tracker.isSettled || tracker.needsClient) this.#endWork()
      return
    }
    this.lastActiveMs = this.#options.ticker.nowMs
    this.times.onReplies(tracker.sentCount - tracker.owed, this.lastActiveMs)
    if (mayLeave) this.releaseIfDone()
    this.asides.pass()
    if (mayGoOn) this.#feedPending(this.session.repair?.takeAgain(server))
    if (this.session.isAwaited) askForReplies(server)
    if (this.#cancels.takeDue(this.#server)) void this.#cancels.sendDue(this, this.#options.clock)
  }

  onServerDrain(): void {
    this.lastActiveMs = this.#options.ticker.nowMs
    this.#gate.open(serverIsBlocked)
  }

  onServerBroken(reason: string): void {
    this.fail(new PoolerError('EPROTOCOL', { values: { reason: `from the server: ${reason}` } }))
  }

  onServerFault(error: unknown): void {
    this.fail(this.#options.onFault(error))
  }

  onTransportFault(error: unknown): void {
    this.fail(this.#options.onFault(error))
  }

  onServerClosed(fatal: PostgresError | null, cause: Error | null): void {
    const reason = fatal?.message ?? cause?.message ?? 'closed by the database'
    if (fatal !== null && this.#server?.isFatalUntold) this.#say(fatal.raw, 'server-lost')
    // Postgres' own FATAL has been passed on, unless it answered a message of ours.
    else if (fatal !== null && this.#server?.tracker.isOwnReply === false)
      this.#say(null, 'server-lost')
    else this.fail(new PoolerError('ESERVERLOST', { values: { reason } }))
  }

  /** Ends the client with an error of ours; said only at a message boundary. */
  fail(error: PoolerError): void {
    this.#say(refusalBytes(error, 'FATAL'), error)
  }

  /** A person's access ended: nothing more is forwarded, and what runs is stopped. */
  endAccess(error: PoolerError): void {
    this.#say(refusalBytes(error, 'FATAL'), error, true)
  }

  /** A cancel request with this client's key. */
  async cancel(): Promise<void> {
    if (this.state !== 'waiting')
      return this.#cancels.ask(this.#options.source, this.#server, !this.#pending.isEmpty)
    this.#options.source.withdraw(this)
    this.onNoServer(queryCanceled)
  }

  #feed(chunk: Buffer): void {
    const rest = this.#pump.feed(chunk)
    const server = this.#server
    if (server !== null) server.transport.release()
    if (rest !== null) {
      this.#pending.append(rest)
      if (this.state === 'idle') this.#gate.close(outputIsBlocked)
    }
    if (server === null) {
      if (this.transport.isBlocked) this.#gate.close(outputIsBlocked)
      return
    }
    if (server.transport.isBlocked) this.#gate.close(serverIsBlocked)
    if (server.tracker.owed > owedHighWater) this.#gate.close(owesMuch)
    if (this.state === 'joined') this.releaseIfDone()
    else if (this.state === 'finishing') this.#finish(server)
  }

  #feedPending(again: Buffer | null = null): void {
    const pending = this.#pending.takeBehind(again)
    this.#gate.open(waits)
    if (pending !== null) this.#feed(pending)
  }

  /** True when the client has a server that may take its message now. */
  #join(): boolean {
    // A client that does not read its answers starts no further transaction.
    if (this.transport.isBlocked) return false
    const link = this.#options.source.checkout(this)
    if (link !== null) return this.#attach(link)
    this.#machine.moveTo('waiting')
    return false
  }

  /** False when the client's message has to wait for its settings to be in place. */
  #attach(link: ServerLink): boolean {
    assert(this.#server === null, 'a client holds one server at most')
    assert(link.tracker.isReleasable, 'a server that is handed on owes nothing')
    this.#machine.moveTo('joined')
    this.#server = link
    link.handTo(this)
    this.#pump.output = link.transport
    this.session.hold(link)
    return this.#options.mode === 'session' || this.session.attach(link)
  }

  #onJoinedMessage(message: ClientPump): Verdict {
    const server = this.#server as ServerLink
    if (!server.tracker.isReplyDue) this.times.onBusy(this.#options.ticker.nowMs)
    const verdict = this.session.onMessage(message, server)
    if (verdict !== null) return verdict
    if (server.tracker.sent(message.type)) return forward
    return this.#breach(`invalid frontend message type ${message.type}`)
  }

  #onTerminate(): Verdict {
    if (this.#server === null) this.#say(null, 'terminate')
    else this.#machine.moveTo('finishing')
    return drop
  }

  #breach(reason: string): Verdict {
    const error = new PoolerError('EPROTOCOL', { values: { reason } })
    if (this.#server === null) {
      this.fail(error)
    } else {
      this.#lastWords = error
      this.#machine.moveTo('finishing')
    }
    return drop
  }

  /** What came before the last message has gone to the server: it runs to its end, as far as it can. */
  #finish(server: ServerLink): void {
    const { tracker, transport } = server
    // Else the server keeps the replies of a batch without Sync, and nobody hears that it is over.
    if (tracker.isBatchOpen) transport.write(flush())
    if (tracker.isSettled || tracker.needsClient) this.#endWork()
    this.#options.clock.after(finishingMsMax, () => {
      if (this.state === 'finishing') this.#endWork()
    })
  }

  #endWork(): void {
    if (this.#lastWords === null) this.#say(null, 'terminate')
    else this.fail(this.#lastWords)
  }

  /** Gives a pooled server back once nothing needs it any more. */
  releaseIfDone(): void {
    const server = this.#server
    if (server === null || !this.isOwedNothing || !this.#pump.isAtBoundary) return
    if (!this.session.isThrough || !server.isBetweenMessages) return
    const { mustAsk, pinnedBy } = this.session
    // The client ends with its server when that closes: it has been told, or cannot go on without.
    if (server.fatal !== null && (!server.isFatalUntold || mustAsk || pinnedBy !== null)) return
    if (mustAsk) this.session.ask(server)
    else if (pinnedBy === null) this.#release(server)
    else this.session.keepServer(pinnedBy)
  }

  #release(server: ServerLink): void {
    this.#detach(server)
    this.#machine.moveTo('idle')
    this.#gate.open(serverIsBlocked | owesMuch)
    this.#options.source.checkin(server)
  }

  #detach(server: ServerLink): void {
    this.transactions += server.tracker.transactions
    this.#server = null
    this.#pump.output = null
    this.session.detach(server)
    server.transport.release()
    server.transport.resume()
  }

  /** Says `bytes` where that is possible, parts from the server, closes. */
  #say(bytes: Buffer | null, end: RelayEnd, isAccessEnd = false): void {
    if (this.state === 'ended') return
    const canSay = this.#server === null || this.#server.isAtBoundary
    this.#part(isAccessEnd)
    this.#close(canSay ? bytes : null, canSay, end)
  }

  /** Gives up the server, or the place in the queue for one. */
  #part(isAccessEnd: boolean): void {
    if (this.state === 'waiting') this.#options.source.withdraw(this)
    const server = this.#server
    if (server === null) return
    server.isCutOff = !this.#pump.isAtBoundary
    const isClean = !server.isCutOff && server.isAtBoundary && server.tracker.isSettled
    this.#detach(server)
    giveUpServer(this.#options.source, server, isClean, isAccessEnd)
  }

  #close(bytes: Buffer | null, isOrderly: boolean, end: RelayEnd): void {
    this.#machine.moveTo('ended')
    this.#pending.take()
    // Who has said Terminate reads nothing any more.
    const isThrough = end === 'terminate' && this.transport.untakenBytes === 0
    closeTransport(this.transport, bytes, isOrderly && !isThrough, this.#options.clock)
    this.session.leave()
    this.#options.onEnded(end)
  }
}
