import { PoolCounters } from '../../pooler/metrics/counters.ts'
import { ConnectBackoff } from '../../pooler/pool/connect-backoff.ts'
import { Pool } from '../../pooler/pool/pool.ts'
import type { PoolOptions } from '../../pooler/pool/pool-options.ts'
import { Lane } from '../../pooler/relay/lanes.ts'
import { SchemaVersion } from '../../pooler/relay/schema-version.ts'
import type { ServerLink } from '../../pooler/relay/server-link.ts'
import { StatementCatalog } from '../../pooler/relay/statement-catalog.ts'
import { openStreamTransport } from '../../pooler/relay/stream-transport.ts'
import { systemClock } from '../../shared/clock.ts'
import { nextClientId } from '../../shared/ids.ts'
import { nullLog } from '../../shared/log.ts'

const unused = () => Promise.reject(new Error('no server is opened here'))

export const poolTimes: PoolOptions['times'] = {
  serverResetTimeoutMs: 1000,
  serverIdleTimeoutMs: 600_000,
  serverLifetimeMs: 0,
  queryWaitNotifyMs: 5000,
  serverSilenceProbeMs: 60_000,
}

/** A pool on its own; `changes` says what a test is about. */
export function makePool(changes: Partial<PoolOptions> = {}): Pool {
  const { clock = systemClock } = changes
  const upstreamBackoff = new ConnectBackoff(clock)
  const schema = new SchemaVersion()
  return new Pool({
    key: { tenantRef: 'ref', role: 'app', database: 'db', mode: 'transaction' },
    upstream: { open: unused, cancel: unused, terminate: unused, probe: unused, listen: unused },
    limits: () => ({ size: 1, checkoutTimeoutMs: 1000 }),
    minSize: () => 0,
    times: poolTimes,
    budgets: [],
    waitersMax: 1000,
    peopleShare: 1,
    upstreamBackoff: () => upstreamBackoff,
    onUpstreamClosing: () => {},
    openTransport: openStreamTransport,
    lane: new Lane(),
    schema,
    counters: new PoolCounters(),
    statements: {
      catalog: new StatementCatalog(Buffer.alloc(32), schema, systemClock),
      serverStatementsMax: 10,
      clientStatementsMax: 10,
    },
    clock,
    log: nullLog,
    random: Math.random,
    ...changes,
  })
}

/** For a client that comes to an empty pool: the server that is opened for it. */
export const firstServerOf = (pool: Pool): Promise<ServerLink> =>
  new Promise((resolve, reject) => {
    const waiter = {
      clientId: nextClientId(),
      person: null,
      asides: null,
      onServer: resolve,
      onNoServer: reject,
    }
    if (pool.checkout(waiter) !== null) reject(new Error('a server was there'))
  })
