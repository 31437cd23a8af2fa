// Ways to part from a server that is in the middle of something.
import { type Clock, sleep } from '../../shared/clock.ts'
import { status } from '../../shared/protocol/message-types.ts'
import type { PoolUpstream } from './pool-options.ts'
import type { ServerConnection } from './server-connection.ts'
import { rollbackServer } from './server-reset.ts'

/** A cancel connection that has not closed by then costs the server its place in the pool. */
export const cancelMsMax = 5000
/** A server that has not ended what it does so long after its cancel may have got that first. */
const overtakenMs = 500
const settlingCheckMs = 10
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
 * True when the server is being cancelled already: one at a time, since a second one would hit the same
 * statement. Where another statement has begun since, it comes behind the first.
 */
export function isCancelUnderWay(server: ServerConnection): boolean {
  if (server.cancelsInFlight === 0) return false
  if (server.tracker.queries !== server.cancelledAtQueries) server.cancelDueFor = server.sink
  return true
}

/** As cancelServer, with what `isCancelUnderWay` has put off. */
export async function cancelForClient(
  server: ServerConnection,
  upstream: PoolUpstream,
  clock: Clock,
): Promise<boolean> {
  for (;;) {
    server.cancelDueFor = null
    server.cancelledAtQueries = server.tracker.queries
    if (!(await cancelServer(server, upstream, clock))) return false
    // Another client's statement is none of its business, nor what runs for us.
    const { owed, isOwnReply } = server.tracker
    if (server.cancelDueFor !== server.sink || owed === 0 || isOwnReply) return true
  }
}

/**
 * Cancels what the server does for a client that has left, before it is closed: Postgres runs what it has
 * to its end, whoever is there. A cancel may overtake the statement that it is for, and then hits nothing:
 * a server that goes on gets a second one.
 */
export async function abortServer(
  server: ServerConnection,
  upstream: PoolUpstream,
  clock: Clock,
): Promise<void> {
  const { tracker } = server
  await cancelServer(server, upstream, clock)
  // It waits for a client that is not there any more.
  if (server.isCutOff || tracker.needsClient) return
  await untilSettled(server, clock.monotonicMs() + overtakenMs, clock)
  if (!tracker.isSettled && server.isUsable) await cancelServer(server, upstream, clock)
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
    await untilSettled(server, deadlineMs, clock)
    const isQuiet = tracker.isSettled && !server.isCutOff
    const isStopped = isQuiet && owedAtFirst <= 1 && server.cancelsInFlight === 0
    if (isStopped && tracker.status === status.idle) return true
    if (isStopped && (await rollbackServer(server, endingMsMax, clock))) return true
  }
  if (server.processId !== 0) await upstream.terminate(server)
  return false
}

/** Or until the server is lost. */
async function untilSettled(
  server: ServerConnection,
  deadlineMs: number,
  clock: Clock,
): Promise<void> {
  const { tracker } = server
  while (!tracker.isSettled && server.isUsable) {
    if (clock.monotonicMs() >= deadlineMs) return
    await sleep(clock, settlingCheckMs)
  }
}
