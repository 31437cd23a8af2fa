// The connection that listens for all clients of a pool: opened when somebody listens, opened again
// when it is lost, closed a while after the last one has left. Who is told when is the listeners'
// business (relay/listening.ts).
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import { sync } from '../../shared/protocol/frontend-messages.ts'
import type { Notification } from '../../shared/protocol/notification.ts'
import { channelsPerConnectionMax } from '../config/limits.ts'
import { listenStatement } from '../relay/listen-statements.ts'
import type { NotificationListener, NotificationSource } from '../relay/notification-source.ts'
import type { ServerLink } from '../relay/server-link.ts'
import { mutedSink, type NotificationReader, type ServerSink } from '../relay/server-sink.ts'
import { ConnectBackoff, waitOut } from './connect-backoff.ts'
import { type OpenAttempt, OpenAttempts } from './open-attempts.ts'
import type { PoolUpstream } from './pool-options.ts'
import type { ServerConnection } from './server-connection.ts'
import { ServerOpenError } from './server-open-error.ts'
import { areApart } from './server-place.ts'

export interface NotificationHubOptions {
  readonly upstream: Pick<PoolUpstream, 'listen'>
  /** Of the upstream as it is now; shared by all that dial it. */
  readonly upstreamBackoff: () => ConnectBackoff
  /** See PoolOptions. */
  readonly onUpstreamClosing: (address: string) => void
  readonly clock: Clock
  readonly log: Log
  readonly random: () => number
}

/** A listener that comes back within it finds the connection open. */
const unusedMsMax = 60_000
/** After so long without a word the connection is asked for a sign of life. */
const silentMsMax = 30_000
/** An answer that takes longer does not come. */
const answerMsMax = 10_000

/** What the server has been sent and has not confirmed. */
interface Asked {
  /** Channels that it listens to then; none: it takes some away, or gives a sign of life. */
  readonly listen: readonly string[]
  readonly atMs: number
}

export class NotificationHub implements NotificationSource, NotificationReader {
  readonly markChannel = `latchkey_${randomBytes(16).toString('hex')}`
  readonly isDue = false
  readonly isElsewhere = (link: ServerLink): boolean =>
    areApart(this.#server?.place, (link as ServerConnection).place)
  readonly #options: NotificationHubOptions
  readonly #backoff: ConnectBackoff
  readonly #attempts = new OpenAttempts()
  /** Who listens to what, whether or not the connection does yet. */
  readonly #listeners = new Map<string, Set<NotificationListener>>()
  /** How many channels each has. */
  readonly #clients = new Map<NotificationListener, number>()
  /** Who waits for onJoined, and for which channels. */
  readonly #joining = new Map<NotificationListener, Set<string>>()
  readonly #marks = new Map<string, NotificationListener>()
  readonly #sink: ServerSink
  /** Logged in; null: there is no connection. */
  #server: ServerConnection | null = null
  #onLost: (() => void) | null = null
  /** What the present connection listens to. */
  readonly #heard = new Set<string>()
  readonly #toListen = new Set<string>()
  readonly #toUnlisten = new Set<string>()
  #asked: Asked | null = null
  #lastHeardMs = 0
  #unusedSinceMs = 0
  #isRunning = false
  #isClosed = false
  #isParked = false
  /** A connection that listeners relied on was lost. */
  #hasGap = false
  #ended: Promise<void> = Promise.resolve()

  constructor(options: NotificationHubOptions) {
    this.#options = options
    this.#backoff = new ConnectBackoff(options.clock, options.random)
    this.#sink = {
      ...mutedSink,
      listening: this,
      onOwnError: (error) => this.#lose(error.message),
      onServerProgress: () => this.#onProgress(),
      onServerBroken: (reason) => this.#lose(reason),
      onServerFault: (error) => this.#lose(`a fault of ours: ${String(error)}`),
      onServerClosed: (fatal, cause) => this.#lose(fatal?.message ?? cause?.message ?? 'closed'),
    }
  }

  /** Clients that have channels here. */
  get clients(): number {
    return this.#clients.size
  }

  get channels(): number {
    return this.#listeners.size
  }

  get isConnected(): boolean {
    return this.#server !== null
  }

  /** Postgres counts no connection of this one, and none is about to be opened. */
  get isAtRest(): boolean {
    return !this.#isRunning
  }

  join(
    listener: NotificationListener,
    channels: ReadonlySet<string>,
  ): 'joined' | 'later' | 'refused' {
    if (this.#isClosed) return 'refused'
    let added = 0
    for (const channel of channels) if (!this.#listeners.has(channel)) added++
    if (this.#listeners.size + added > channelsPerConnectionMax) return 'refused'
    for (const channel of channels) this.#add(listener, channel)
    return this.#awaitChannels(listener, channels) ? 'later' : 'joined'
  }

  leave(listener: NotificationListener, channels: Iterable<string>): void {
    for (const channel of channels) this.#remove(listener, channel)
    if (this.#listeners.size === 0) this.#unusedSinceMs = this.#options.clock.monotonicMs()
    this.#ask()
  }

  expect(listener: NotificationListener, mark: string): boolean {
    if (this.#server === null || this.#hasGap) {
      this.#awaitChannels(listener, new Set([this.markChannel]))
      return false
    }
    this.#marks.set(mark, listener)
    return true
  }

  forget(listener: NotificationListener): void {
    this.#joining.delete(listener)
    for (const [mark, one] of this.#marks) if (one === listener) this.#marks.delete(mark)
    this.#closeIfParked()
  }

  onNotification(notification: Notification): void {
    const { channel, bytes } = notification
    if (channel === this.markChannel) {
      const mark = bytes.toString('latin1', bytes.length - 33, bytes.length - 1)
      const listener = this.#marks.get(mark)
      this.#marks.delete(mark)
      if (listener !== undefined) tell(listener, () => listener.onMark())
      this.#closeIfParked()
      return
    }
    const listeners = this.#listeners.get(channel)
    if (listeners === undefined) return
    for (const listener of listeners) {
      try {
        listener.onShared(notification)
      } catch (error) {
        listener.onFault(error)
      }
    }
  }

  tellQueued(): void {}

  /** Once a second. */
  onTick(nowMs: number): void {
    if (this.#server === null) return
    if (this.#asked !== null) {
      if (nowMs - this.#asked.atMs > answerMsMax) this.#lose('no answer')
    } else if (this.#listeners.size === 0) {
      if (nowMs - this.#unusedSinceMs > unusedMsMax) this.#lose(null)
    } else if (nowMs - this.#lastHeardMs > silentMsMax) {
      this.#asked = { listen: [], atMs: nowMs }
      this.#server.tracker.sentOwnBatch(0)
      this.#server.transport.write(sync())
    }
  }

  /** The upstream is another one from here on: what is open, or being opened, is replaced. */
  retire(): void {
    this.retryNow()
    this.#attempts.giveUp()
    this.#lose('its project has changed')
  }

  /** Postgres is shutting down there. */
  leaveAddress(address: string): void {
    this.#attempts.leaveAddress(address)
    if (this.#server?.address === address) this.#lose('the database takes no connections')
  }

  /** Listeners stay, and hear nothing: it is closed as soon as no client keeps a server because of it. */
  park(): void {
    this.#isParked = true
    this.#closeIfParked()
  }

  unpark(): void {
    this.#isParked = false
    this.#ask()
  }

  /** Tries at once again: the credentials or the upstream have changed. */
  retryNow(): void {
    this.#backoff.succeeded()
  }

  /** Fulfilled when the connection is closed. */
  close(): Promise<void> {
    this.#isClosed = true
    this.#lose(null)
    return this.#ended
  }

  #add(listener: NotificationListener, channel: string): void {
    // Ours, whoever else has seen it: nobody's leaving may end it.
    if (channel === this.markChannel) return
    const known = this.#listeners.get(channel)
    if (known?.has(listener) === true) return
    if (known === undefined) {
      this.#listeners.set(channel, new Set([listener]))
      this.#toUnlisten.delete(channel)
      if (!this.#heard.has(channel)) this.#toListen.add(channel)
    } else {
      known.add(listener)
    }
    this.#clients.set(listener, (this.#clients.get(listener) ?? 0) + 1)
  }

  #remove(listener: NotificationListener, channel: string): void {
    const known = this.#listeners.get(channel)
    if (known?.delete(listener) !== true) return
    this.#joining.get(listener)?.delete(channel)
    const left = (this.#clients.get(listener) ?? 1) - 1
    if (left === 0) this.#clients.delete(listener)
    else this.#clients.set(listener, left)
    if (known.size > 0) return
    this.#listeners.delete(channel)
    this.#toListen.delete(channel)
    if (this.#heard.has(channel)) this.#toUnlisten.add(channel)
  }

  /** False when the connection listens to all of them already. */
  #awaitChannels(listener: NotificationListener, channels: ReadonlySet<string>): boolean {
    const missing = new Set([...channels].filter((channel) => !this.#heard.has(channel)))
    this.#joining.delete(listener)
    if (missing.size === 0) return false
    this.#joining.set(listener, missing)
    this.#ask()
    return true
  }

  /** Sends the changes that are due, one statement at a time; opens the connection if need be. */
  #ask(): void {
    if (this.#server === null) {
      if (!this.#isRunning && this.#isWanted) {
        this.#isRunning = true
        this.#ended = this.#run()
      }
      return
    }
    if (this.#asked !== null || this.#toListen.size + this.#toUnlisten.size === 0) return
    const listen = [...this.#toListen]
    const statement = listenStatement(listen, this.#toUnlisten)
    // From here on: who joins one of these now has it listened to anew.
    for (const channel of this.#toUnlisten) this.#heard.delete(channel)
    this.#toListen.clear()
    this.#toUnlisten.clear()
    this.#asked = { listen, atMs: this.#options.clock.monotonicMs() }
    this.#server.tracker.sentOwnQuery()
    this.#server.transport.write(statement)
  }

  #onProgress(): void {
    const { clock, upstreamBackoff } = this.#options
    this.#lastHeardMs = clock.monotonicMs()
    if (this.#asked === null || this.#server?.tracker.isReleasable !== true) return
    const { listen } = this.#asked
    this.#asked = null
    this.#backoff.succeeded()
    upstreamBackoff().succeeded()
    for (const channel of listen) {
      this.#heard.add(channel)
      if (channel !== this.markChannel && !this.#listeners.has(channel)) {
        this.#toUnlisten.add(channel)
      }
    }
    if (this.#hasGap) this.#onGapOver()
    for (const [listener, missing] of this.#joining) {
      for (const channel of missing) if (this.#heard.has(channel)) missing.delete(channel)
      if (missing.size > 0) continue
      this.#joining.delete(listener)
      tell(listener, () => listener.onJoined())
    }
    this.#closeIfParked()
    this.#ask()
  }

  #onGapOver(): void {
    this.#hasGap = false
    const marks = [...this.#marks.values()]
    this.#marks.clear()
    for (const listener of [...this.#clients.keys()]) tell(listener, () => listener.onGap())
    // Where the streams part does not matter any more: what was in front of the marks is lost.
    for (const listener of marks) tell(listener, () => listener.onMark())
  }

  /** Keeps a connection for as long as somebody listens. Never rejects. */
  async #run(): Promise<void> {
    const { upstream, upstreamBackoff, onUpstreamClosing, clock, log } = this.#options
    const isGivenUp = (): boolean => !this.#isWanted
    for (;;) {
      await waitOut(upstreamBackoff, clock, isGivenUp)
      await waitOut(() => this.#backoff, clock, isGivenUp)
      if (!this.#isWanted) break
      const attempt = this.#attempts.begin()
      try {
        await upstream.listen((server) => this.#serve(server, attempt), attempt.signal)
      } catch (error) {
        attempt.end()
        if (attempt.signal.aborted) continue
        this.#backoff.failed()
        log.warn({ err: error }, 'no connection to listen with')
        const address = error instanceof ServerOpenError ? error.closingAddress : null
        if (address !== null) onUpstreamClosing(address)
      }
    }
    this.#isRunning = false
  }

  get #isWanted(): boolean {
    return !this.#isClosed && !this.#isHeldBack && this.#listeners.size > 0
  }

  /** Parked, and no client waits for it to listen, or for a mark. */
  get #isHeldBack(): boolean {
    return this.#isParked && this.#joining.size + this.#marks.size === 0
  }

  #closeIfParked(): void {
    if (!this.#isHeldBack) return
    this.#attempts.giveUp()
    this.#lose(null)
  }

  /** Fulfilled when the connection is lost, or not needed any more. */
  #serve(server: ServerConnection, attempt: OpenAttempt): Promise<void> {
    attempt.end()
    const isOutdated = attempt.isOutdatedAt(server.address)
    return new Promise((resolve) => {
      this.#onLost = () => {
        server.handTo(mutedSink)
        resolve()
      }
      this.#server = server
      this.#lastHeardMs = this.#options.clock.monotonicMs()
      server.handTo(this.#sink)
      if (this.#isClosed || this.#isHeldBack || isOutdated || !server.isUsable) {
        this.#lose(server.isUsable ? null : 'closed')
        return
      }
      this.#toUnlisten.clear()
      this.#toListen.clear()
      this.#toListen.add(this.markChannel)
      for (const channel of this.#listeners.keys()) this.#toListen.add(channel)
      this.#ask()
    })
  }

  /** null: as was meant. */
  #lose(reason: string | null): void {
    if (this.#server === null) return
    if (reason !== null) {
      this.#options.log.warn(
        { reason, clients: this.clients },
        'the connection that listens was lost',
      )
      // Opened again at once, unless that leads nowhere.
      if (this.#heard.size === 0) this.#backoff.failed()
    }
    this.#server = null
    this.#asked = null
    if (this.#heard.size > 0) this.#hasGap = true
    this.#heard.clear()
    for (const listener of [...this.#clients.keys()]) tell(listener, () => listener.onLost())
    this.#onLost?.()
    this.#onLost = null
  }
}

function tell(listener: NotificationListener, run: () => void): void {
  try {
    run()
  } catch (error) {
    listener.onFault(error)
  }
}
