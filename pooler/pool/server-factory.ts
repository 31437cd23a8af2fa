// What generic-pool asks of its factory. The library retries a creation that rejects at once and
// hides the cause, so `create` never rejects: a failure comes out as a FailedOpen that its taker
// destroys. It also forgets servers that are being destroyed, so slots are counted here: one from
// before the attempt to open until the server has closed its end.
import type { Factory } from 'generic-pool'
import { mutedSink } from '../relay/server-sink.ts'
import type { PoolOptions } from './pool-options.ts'
import { ServerConnection } from './server-connection.ts'
import type { OpenedServer } from './server-login.ts'
import { isAlive } from './server-reset.ts'

/** An attempt to open a server that failed, with the cause. */
export class FailedOpen {
  readonly cause: unknown

  constructor(cause: unknown) {
    this.cause = cause
  }
}

/** The pool was closed while a server was asked for. */
export class PoolClosed extends Error {
  override readonly name = 'PoolClosed'
}

export type PoolMember = ServerConnection | FailedOpen

/** A server idle for longer is asked for a sign of life before a client gets it. */
export const trustedIdleMs = 30_000
const aliveTimeoutMs = 1000
/** Lifetimes end spread over this part of the setting, so that a pool does not reopen all at once. */
const lifetimeSpread = 0.2

export class ServerFactory implements Factory<PoolMember> {
  readonly #options: PoolOptions
  readonly #waiting: (() => void)[] = []
  readonly #onClosing: (server: ServerConnection) => void
  #slots = 0
  #isClosed = false

  /** `onClosing` is told once of each server that starts to close, its reason set. */
  constructor(options: PoolOptions, onClosing: (server: ServerConnection) => void) {
    this.#options = options
    this.#onClosing = onClosing
  }

  /** Servers that Postgres may count: being opened, open, or not closed yet. */
  get slots(): number {
    return this.#slots
  }

  async create(): Promise<PoolMember> {
    await this.#takeSlot()
    try {
      if (this.#isClosed) throw new PoolClosed()
      await this.#options.upstreamBackoff.ready()
      return this.#connection(await this.#options.upstream.open())
    } catch (cause) {
      this.#freeSlot()
      return new FailedOpen(cause)
    }
  }

  /** Never rejects: the library would not handle it. */
  async validate(member: PoolMember): Promise<boolean> {
    if (member instanceof FailedOpen) return true
    const { clock } = this.#options
    if (!member.isUsable || member.isOver(clock.monotonicMs())) return false
    if (clock.monotonicMs() - member.idleSinceMs < trustedIdleMs) return true
    member.moveTo('working')
    if (!(await isAlive(member, aliveTimeoutMs, clock))) return false
    member.moveTo('idle')
    return member.isUsable
  }

  async destroy(member: PoolMember): Promise<void> {
    if (member instanceof FailedOpen) return
    const nowMs = this.#options.clock.monotonicMs()
    const closed = member.close(
      !member.isUsable ? 'lost' : member.isOver(nowMs) ? 'lifetime' : 'idle',
    )
    this.#onClosing(member)
    await closed
    this.#freeSlot()
  }

  /** Nothing is opened from here on. */
  close(): void {
    this.#isClosed = true
  }

  #connection(opened: OpenedServer): ServerConnection {
    const { clock, times, random } = this.#options
    const lifetimeMs = times.serverLifetimeMs * (1 - lifetimeSpread * random())
    // Read ahead by the login, and part of what the link reads.
    if (opened.rest.length > 0) opened.socket.unshift(opened.rest)
    return new ServerConnection({
      ...opened,
      sink: mutedSink,
      clock,
      retireAtMs:
        times.serverLifetimeMs === 0 ? Number.POSITIVE_INFINITY : clock.monotonicMs() + lifetimeMs,
    })
  }

  async #takeSlot(): Promise<void> {
    // Bounded: a creation waits only for servers that are closing, which takes 5 s at most.
    while (this.#slots >= this.#options.limits().size) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#slots++
  }

  #freeSlot(): void {
    this.#slots--
    this.#waiting.shift()?.()
  }
}
