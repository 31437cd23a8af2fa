// Live figures of a project for the dashboard: what each pool of a worker says, and the sums over all.
import type { ProjectFigures } from './api/api-deps.ts'
import type { DataPlane } from './data-plane.ts'
import { bucketBoundsSeconds } from './metrics/histogram.ts'
import { poolKeyText } from './pool/pool-key.ts'

/** Of one worker; crosses processes as JSON. */
export interface FiguresHere {
  readonly clients: number
  readonly pools: readonly PoolFigures[]
  readonly counts: readonly PoolCounts[]
}

type Gauges = 'waiting' | 'oldestWaitMs' | 'serversBusy' | 'servers' | 'serversMax'
/** Of pools that are counted together, those that have gone too. */
export type PoolCounts = Omit<ProjectFigures, 'clients' | Gauges>

export interface PoolFigures extends Pick<ProjectFigures, Gauges> {
  /** The same in every worker; null: one client's pool. */
  readonly identity: string | null
}

export function figuresHereOf(ref: string, data: DataPlane): FiguresHere {
  return {
    clients: data.clientCounts.of(ref),
    pools: [...data.pools.entriesOf(ref)].map(({ key, pool }) => {
      const servers = [...pool.servers]
      return {
        identity: key.mode === 'direct' ? null : poolKeyText(key),
        waiting: pool.waiters,
        oldestWaitMs: pool.oldestWaiterMs,
        serversBusy: servers.filter(({ state }) => state !== 'idle').length,
        servers: servers.length,
        serversMax: pool.size,
      }
    }),
    counts: [...data.pools.groups.of(ref)].map(({ counters }) => {
      const { transactions, queries, bytesFromClients, bytesToClients, checkouts } = counters
      const buckets = [...checkouts.counts]
      return { transactions, queries, bytesFromClients, bytesToClients, checkouts: buckets }
    }),
  }
}

export function sumFigures(workers: readonly FiguresHere[]): ProjectFigures {
  const pools = workers.flatMap((worker) => worker.pools)
  const counts = workers.flatMap((worker) => worker.counts)
  const count = (of: (one: PoolCounts) => number): number =>
    counts.reduce((total, one) => total + of(one), 0)
  const sum = (of: (one: PoolFigures) => number): number =>
    pools.reduce((total, one) => total + of(one), 0)
  // A pool's size is a limit over all workers.
  const sizes = new Map(pools.map((one) => [one.identity ?? one, one.serversMax]))
  return {
    clients: workers.reduce((total, { clients }) => total + clients, 0),
    waiting: sum(({ waiting }) => waiting),
    oldestWaitMs: pools.reduce((oldest, { oldestWaitMs }) => Math.max(oldest, oldestWaitMs), 0),
    serversBusy: sum(({ serversBusy }) => serversBusy),
    servers: sum(({ servers }) => servers),
    serversMax: [...sizes.values()].reduce((total, size) => total + size, 0),
    transactions: count(({ transactions }) => transactions),
    queries: count(({ queries }) => queries),
    bytesFromClients: count(({ bytesFromClients }) => bytesFromClients),
    bytesToClients: count(({ bytesToClients }) => bytesToClients),
    checkouts: Array.from({ length: bucketBoundsSeconds.length + 1 }, (_bucket, at) =>
      count(({ checkouts }) => checkouts[at] ?? 0),
    ),
  }
}
