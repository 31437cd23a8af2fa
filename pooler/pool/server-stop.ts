// Ways to part from a server that is in the middle of something.
import { type Clock, sleep } from '../../shared/clock.ts'
import { status } from '../../shared/protocol/message-types.ts'
import type { PoolUpstream } from './pool-options.ts'
import type { ServerConnection } from './server-connection.ts'
import { rollbackServer } from './server-reset.ts'

/** A cancel connection that has not closed by then costs the server its place in the pool. */
const cancelMsMax = 5000
/** A server whose person lost access has so long to become idle by itself. */
const endingMsMax = 1000

/**
 * Cancels what the server does. Fulfilled when the cancel connection has closed, so that a late
 * cancel hits nobody else: true; or false when it did not close in time.
 */
export async function cancelServer(
  server: ServerConnection,
  upstream: PoolUpstream,
  clock: Clock,
): Promise<boolean> {
  if (server.processId === 0) return true
  server.cancelsInFlight++
  const isClosed = await Promise.race([
    upstream.cancel(server).then(() => true),
    sleep(clock, cancelMsMax).then(() => false),
  ])
  server.cancelsInFlight--
  return isClosed
}

/**
 * Stops the server of a person whose access ended: cancel, then ROLLBACK. True when it is clean
 * after that. A server that is not idle a second later, or that owed more than one reply (a
 * pipelined statement runs on after the cancel of the one before it), is terminated: a function
 * may catch the cancel.
 */
export async function stopServer(
  server: ServerConnection,
  upstream: PoolUpstream,
  clock: Clock,
): Promise<boolean> {
  const tracker = server.tracker
  const deadlineMs = clock.monotonicMs() + endingMsMax
  const owedAtFirst = tracker.readyOwed
  if (tracker.isSettled && !server.isCutOff) {
    if (await rollbackServer(server, endingMsMax, clock)) return true
  } else {
    await Promise.race([cancelServer(server, upstream, clock), sleep(clock, endingMsMax)])
    while (!tracker.isSettled && server.isUsable && clock.monotonicMs() < deadlineMs) {
      await sleep(clock, 10)
    }
    const isQuiet = tracker.isSettled && !server.isCutOff
    const isStopped = isQuiet && owedAtFirst <= 1 && server.cancelsInFlight === 0
    if (isStopped && tracker.status === status.idle) return true
    if (isStopped && (await rollbackServer(server, endingMsMax, clock))) return true
  }
  if (server.processId !== 0) await upstream.terminate(server.processId)
  return false
}
