// What generic-pool asks of its factory. The library retries a creation that rejects at once and
// hides the cause, so `create` never rejects: a failure comes out as a FailedOpen that its taker
// destroys. It also forgets servers that are being destroyed, so slots are counted here: one from
// before the attempt to open until the server has closed its end.
import type { Factory } from 'generic-pool'
import { mutedSink } from '../relay/server-sink.ts'
import type { BudgetMember, Decide } from './budget.ts'
import { waitOut } from './connect-backoff.ts'
import { OpenAttempts } from './open-attempts.ts'
import type { PoolOptions } from './pool-options.ts'
import { type ServerCloseReason, ServerConnection } from './server-connection.ts'
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

/** Whoever the server was wanted for has got another, or has left; or it would be an outdated one. */
export class NotWanted extends Error {
  override readonly name = 'NotWanted'
}

export type PoolMember = ServerConnection | FailedOpen

/** A server idle for longer is asked for a sign of life before a client gets it. */
export const trustedIdleMs = 30_000
const aliveTimeoutMs = 1000
/** Lifetimes end spread over this part of the setting, so that a pool does not reopen all at once. */
const lifetimeSpread = 0.2

export class ServerFactory implements Factory<PoolMember> {
  readonly attempts = new OpenAttempts()
  readonly #options: PoolOptions
  readonly #waiting: (() => void)[] = []
  readonly #onClosing: (server: ServerConnection) => void
  readonly #member: BudgetMember
  /** Granted by all budgets. */
  #slots = 0
  /** Asked of budgets and not granted yet. */
  #claims = 0
  #opening = 0
  #closing = 0
  #isClosed = false

  /** `onClosing` is told once of each server that starts to close, its reason set. */
  constructor(
    options: PoolOptions,
    member: BudgetMember,
    onClosing: (server: ServerConnection) => void,
  ) {
    this.#options = options
    this.#member = member
    this.#onClosing = onClosing
  }

  /** Servers that Postgres may count: being opened, open, or not closed yet. */
  get slots(): number {
    return this.#slots
  }

  get opening(): number {
    return this.#opening
  }

  get closing(): number {
    return this.#closing
  }

  /** The budget that keeps this pool from opening a server just now; null: none does. */
  get shortOf(): string | null {
    if (this.#claims === 0) return null
    for (const { shortage } of this.#options.budgets) if (shortage !== null) return shortage
    return null
  }

  async create(): Promise<PoolMember> {
    if (!(await this.#takeSlot())) return new FailedOpen(new NotWanted())
    const attempt = this.attempts.begin()
    const { signal } = attempt
    const { upstream, upstreamBackoff, clock } = this.#options
    try {
      if (this.#isClosed) throw new PoolClosed()
      await waitOut(upstreamBackoff, clock, () => signal.aborted)
      signal.throwIfAborted()
      const server = this.#connection(await upstream.open(signal))
      // The library closes it then, as it does with all that fail its check, and asks again.
      server.isRetired = attempt.isOutdatedAt(server.address)
      return server
    } catch (cause) {
      this.#freeSlot()
      return new FailedOpen(signal.aborted ? new NotWanted() : cause)
    } finally {
      attempt.end()
      this.#opening--
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
    const closed = member.close(this.#reasonToClose(member))
    this.#onClosing(member)
    this.#closing++
    await closed
    this.#closing--
    this.#freeSlot()
  }

  /** The size may have been raised: creations that wait for a slot look again. */
  retryNow(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** Nothing is opened from here on. */
  close(): void {
    this.#isClosed = true
    for (const budget of this.#options.budgets) budget.withdraw(this.#member)
  }

  #reasonToClose(server: ServerConnection): ServerCloseReason {
    if (!server.isUsable) return 'lost'
    if (server.isRetired) return 'retired'
    return server.isOver(this.#options.clock.monotonicMs()) ? 'lifetime' : 'idle'
  }

  #connection(opened: OpenedServer): ServerConnection {
    const { clock, times, random, openTransport } = this.#options
    const lifetimeMs = times.serverLifetimeMs * (1 - lifetimeSpread * random())
    // Read ahead by the login, and part of what the link reads.
    if (opened.rest.length > 0) opened.socket.unshift(opened.rest)
    return new ServerConnection({
      ...opened,
      openTransport,
      sink: mutedSink,
      lane: this.#options.lane,
      clock,
      retireAtMs:
        times.serverLifetimeMs === 0 ? Number.POSITIVE_INFINITY : clock.monotonicMs() + lifetimeMs,
    })
  }

  /** False when the server is not wanted any more; else one more is opening. */
  async #takeSlot(): Promise<boolean> {
    // Bounded: a creation waits only for servers that are closing, which takes 5 s at most.
    while (this.#slots + this.#claims >= this.#options.limits().size) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#claims++
    const isGranted = await new Promise(this.#claimAll)
    if (!isGranted) this.#waiting.shift()?.()
    return isGranted
  }

  /** One budget after the other; counted in the very turn of the last one's decision. */
  readonly #claimAll = (decide: Decide, _reject: unknown, index = 0): void => {
    const budget = this.#options.budgets[index]
    if (budget === undefined) {
      this.#claims--
      this.#slots++
      this.#opening++
      decide(true)
      return
    }
    budget.claim(this.#member, (isGranted) => {
      if (isGranted && !this.#isClosed) {
        this.#claimAll(decide, null, index + 1)
        return
      }
      if (isGranted) budget.free()
      for (const earlier of this.#options.budgets.slice(0, index)) earlier.free()
      this.#claims--
      decide(false)
    })
  }

  #freeSlot(): void {
    this.#slots--
    this.#waiting.shift()?.()
    for (const budget of this.#options.budgets) budget.free()
  }
}
