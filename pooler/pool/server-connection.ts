// One server of one pool: a link with a life. Closing is the only way out and happens once; the
// slot in the pool is free when the promise of `close` is fulfilled, not before.
import type { Clock } from '../../shared/clock.ts'
import { nextServerId, type ServerId } from '../../shared/ids.ts'
import { terminate } from '../../shared/protocol/frontend-messages.ts'
import { StateMachine } from '../../shared/state-machine.ts'
import { ServerLink, type ServerLinkOptions } from '../relay/server-link.ts'
import { mutedSink, type ServerSink } from '../relay/server-sink.ts'
import type { ServerPlace } from './server-place.ts'
import { type ServerState, serverMoves } from './server-state.ts'

/** Why a server was closed; a label in metrics. */
export type ServerCloseReason =
  | 'idle'
  | 'lifetime'
  | 'retired'
  | 'pool_closed'
  | 'lost'
  | 'broken'
  | 'client_left'
  | 'reset_failed'
  | 'access_ended'
  | 'unresponsive'
  | 'made_room'

/** Postgres closes its end after Terminate; a server that does not is not waited for longer. */
const closingMsMax = 5000

export interface ServerConnectionOptions extends ServerLinkOptions {
  readonly clock: Clock
  readonly place: ServerPlace
  /** Monotonic ms after which it is not handed on any more; Infinity: never. */
  readonly retireAtMs: number
}

export class ServerConnection extends ServerLink {
  readonly id: ServerId = nextServerId()
  readonly place: ServerPlace
  readonly openedAtMs: number
  readonly retireAtMs: number
  /** Monotonic ms since when it has been idle; only meaningful while it is. */
  idleSinceMs: number
  /** Statements that clients had sent when the last one was asked for. */
  cancelledAtQueries = 0
  /** Who has the server then has asked for another meanwhile, for a later statement; null: nobody has. */
  cancelDueFor: ServerSink | null = null
  /** Called when the last cancel connection has closed, in state settling. */
  onSettled: (() => void) | null = null
  /** What had come from it, and when, as of a tick that found something new or nothing owed. */
  heardBytes = 0
  heardAtMs = 0
  /** Probes in a row that reached nobody at its address. */
  failedProbes = 0
  /** The pool's own ear, made once. */
  watcher: ServerSink | null = null
  readonly #machine = new StateMachine<ServerState>('server', serverMoves, 'idle')
  readonly #clock: Clock
  #closed: Promise<void> | null = null
  #onClosed: (() => void) | null = null
  #closeReason: ServerCloseReason | null = null

  constructor(options: ServerConnectionOptions) {
    super(options)
    this.#clock = options.clock
    this.place = options.place
    this.openedAtMs = options.clock.monotonicMs()
    this.idleSinceMs = this.openedAtMs
    this.retireAtMs = options.retireAtMs
  }

  get address(): string {
    return this.place.address
  }

  get state(): ServerState {
    return this.#machine.state
  }

  get closeReason(): ServerCloseReason | null {
    return this.#closeReason
  }

  moveTo(state: ServerState): void {
    this.#machine.moveTo(state)
  }

  isOver(nowMs: number): boolean {
    return this.isRetired || nowMs >= this.retireAtMs
  }

  /** Ends the connection; fulfilled when the server has closed its end, or has been given up on. */
  close(reason: ServerCloseReason): Promise<void> {
    this.#closed ??= this.#close(reason)
    return this.#closed
  }

  override onTransportClosed(cause: Error | null): void {
    if (this.state === 'closing') this.#onClosed?.()
    else super.onTransportClosed(cause)
  }

  #close(reason: ServerCloseReason): Promise<void> {
    this.#closeReason = reason
    const wasOpen = this.transport.isOpen
    this.moveTo('closing')
    this.handTo(mutedSink)
    this.transport.resume()
    return new Promise<void>((resolve) => {
      const finish = (): void => {
        if (this.state === 'closed') return
        this.moveTo('closed')
        resolve()
      }
      this.#onClosed = finish
      if (!wasOpen) {
        this.transport.destroy()
        finish()
        return
      }
      if (!this.isCutOff) this.transport.write(terminate())
      this.transport.end()
      this.#clock.after(closingMsMax, () => {
        this.transport.destroy()
        finish()
      })
    })
  }
}
