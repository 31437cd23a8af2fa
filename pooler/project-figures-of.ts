import type { ProjectFigures } from './api/api-deps.ts'
import type { DataPlane } from './data-plane.ts'
import { bucketBoundsSeconds } from './metrics/histogram.ts'

type Mutable = { -readonly [Name in keyof ProjectFigures]: ProjectFigures[Name] }

/** Sums over the pools that the project has in this process. */
export function projectFiguresOf(ref: string, data: DataPlane): ProjectFigures {
  const checkouts = Array.from({ length: bucketBoundsSeconds.length + 1 }, () => 0)
  const sums: Mutable = {
    clients: data.clientCounts.of(ref),
    waiting: 0,
    oldestWaitMs: 0,
    serversBusy: 0,
    servers: 0,
    serversMax: 0,
    transactions: 0,
    queries: 0,
    bytesFromClients: 0,
    bytesToClients: 0,
    checkouts,
  }
  for (const { pool } of data.pools.entriesOf(ref)) {
    const { counters } = pool
    sums.waiting += pool.waiters
    sums.oldestWaitMs = Math.max(sums.oldestWaitMs, pool.oldestWaiterMs)
    for (const { state } of pool.servers) if (state !== 'idle') sums.serversBusy += 1
    sums.servers += pool.servers.size
    sums.serversMax += pool.size
    sums.transactions += counters.transactions
    sums.queries += counters.queries
    sums.bytesFromClients += counters.bytesFromClients
    sums.bytesToClients += counters.bytesToClients
    for (const [bucket, count] of counters.checkouts.counts.entries()) checkouts[bucket]! += count
  }
  return sums
}
