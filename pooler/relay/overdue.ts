// Time limits of a client in the relay, looked at by a coarse tick and never by timers of their own.
import { PoolerError } from '../../shared/errors.ts'
import { status } from '../../shared/protocol/message-types.ts'
import type { Relay } from './relay.ts'
import type { ServerLink } from './server-link.ts'

/** Milliseconds; 0: off. */
export interface RelayTimeLimits {
  readonly clientIdleInTransactionTimeoutMs: number
  /** Only where the server held belongs to a transaction pool. */
  readonly clientSendTimeoutMs: number
  readonly queryTimeoutMs: number
}

/** Cancels a query that has run for longer than allowed; its client goes on. */
export function cancelIfOverdue(relay: Relay, nowMs: number, limits: RelayTimeLimits): void {
  const ms = limits.queryTimeoutMs
  const tracker = relay.server?.tracker
  if (ms === 0 || tracker === undefined || !tracker.isReplyDue || relay.isDeaf) return
  // What comes behind a stream begins then, and the client's query behind what runs for us.
  const isQuery = !tracker.copyIn.isStream && !tracker.isOwnReply
  if (isQuery && nowMs - relay.times.busySinceMs <= ms) return
  relay.times.onBusy(nowMs)
  if (!isQuery) return
  relay.session.errors.expectTimeout(new PoolerError('EQUERYTIMEOUT', { values: { ms } }), tracker)
  void relay.cancel()
}

/** The client may go on with its copy data, and does not. */
const isCopyLeft = ({ transport }: Relay, { tracker }: ServerLink): boolean =>
  tracker.copyIn.isOpen && !tracker.copyIn.isStream && transport.isReading

/** What a client is to be ended with at `nowMs` (monotonic); null: it is within its limits. */
export function overdue(
  relay: Relay,
  nowMs: number,
  limits: RelayTimeLimits,
  clientIdleTimeoutMs: number,
): PoolerError | null {
  const silentMs = nowMs - relay.lastActiveMs
  const server = relay.server
  if (relay.state !== 'idle' && relay.state !== 'joined') return null
  const sendMs = limits.clientSendTimeoutMs
  if (server !== null && sendMs > 0 && relay.times.stalledMs(nowMs) > sendMs) {
    return new PoolerError('ETERMINATED', {
      values: { reason: `the client took no byte of its replies for ${sendMs} ms` },
    })
  }
  const isDawdling = server !== null && relay.times.isDawdling
  if (isDawdling && sendMs > 0 && silentMs > sendMs) {
    return new PoolerError('ETERMINATED', {
      values: { reason: `the client left a message unfinished for ${sendMs} ms` },
    })
  }
  if (server?.tracker.isReplyDue === true && !isCopyLeft(relay, server)) return null
  if (server !== null && (!server.tracker.isSettled || server.tracker.status !== status.idle)) {
    const ms = limits.clientIdleInTransactionTimeoutMs
    if (ms === 0 || silentMs <= ms) return null
    return new PoolerError('EIDLEINTRANSACTION', { values: { ms } })
  }
  const ms = clientIdleTimeoutMs
  if (ms === 0 || silentMs <= ms) return null
  return new PoolerError('EIDLETIMEOUT', { values: { ms } })
}
