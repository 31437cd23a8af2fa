// What clients are told that have waited long for a server, once for each wait.
import { noticeResponse } from '../../shared/protocol/error-response.ts'
import type { PoolOptions } from './pool-options.ts'
import type { WaitingLine } from './waiting-line.ts'

interface WaitFacts {
  readonly seconds: number
  /** From 1. */
  readonly place: number
  readonly waiters: number
  /** pool_size. */
  readonly size: number
  /** Why no server is opened; null where all are in use. */
  readonly hindrance: string | null
}

function waitNotice({ seconds, place, waiters, size, hindrance }: WaitFacts): Buffer {
  return noticeResponse(
    `waiting for a server for ${seconds} s: place ${place} of ${waiters} in the queue (pool size ${size})`,
    hindrance ?? 'Look for long or idle transactions, or raise pool_size.',
  )
}

/** Those who have waited for QUERY_WAIT_NOTIFY_MS and have not been told. */
export function tellLongWaiters(
  line: WaitingLine,
  nowMs: number,
  { times, limits }: Pick<PoolOptions, 'times' | 'limits'>,
  supply: { readonly hindrance: string | null },
): void {
  const afterMs = times.queryWaitNotifyMs
  if (afterMs === 0 || line.oldestMs(nowMs) < afterMs) return
  const facts = {
    seconds: Math.round(afterMs / 1000),
    size: limits().size,
    hindrance: supply.hindrance,
  }
  const waiters = line.size
  line.tellLate(nowMs - afterMs, (waiter, place) =>
    waiter.asides?.notify(waitNotice({ ...facts, place, waiters })),
  )
}
