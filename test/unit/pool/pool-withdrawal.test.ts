import { expect, test } from 'vitest'
import { PoolCounters } from '../../../pooler/metrics/counters.ts'
import { ConnectBackoff } from '../../../pooler/pool/connect-backoff.ts'
import { Pool } from '../../../pooler/pool/pool.ts'
import type { Refusal, ServerWaiter } from '../../../pooler/relay/server-source.ts'
import { StatementCatalog } from '../../../pooler/relay/statement-catalog.ts'
import { systemClock } from '../../../shared/clock.ts'
import { DeadlineQueue } from '../../../shared/deadline-queue.ts'
import { nextClientId } from '../../../shared/ids.ts'
import { nullLog } from '../../../shared/log.ts'

const unused = () => Promise.reject(new Error('no server is opened here'))

/** In its line there is room for nobody. */
function fullPool(): Pool {
  return new Pool({
    key: { tenantRef: 'ref', role: 'app', database: 'db', mode: 'transaction' },
    upstream: { open: unused, cancel: unused, terminate: unused },
    limits: () => ({ size: 1, checkoutTimeoutMs: 1000 }),
    times: { serverResetTimeoutMs: 1000, serverIdleTimeoutMs: 1000, serverLifetimeMs: 0 },
    waitersMax: 0,
    peopleShare: 1,
    upstreamBackoff: new ConnectBackoff(systemClock),
    deadlines: new DeadlineQueue(systemClock),
    counters: new PoolCounters(),
    statements: {
      catalog: new StatementCatalog(Buffer.alloc(32)),
      serverStatementsMax: 10,
      clientStatementsMax: 10,
    },
    clock: systemClock,
    log: nullLog,
    random: Math.random,
  })
}

function waiterOf(refusals: Refusal[]): ServerWaiter {
  return {
    clientId: nextClientId(),
    person: null,
    onServer() {},
    onNoServer: (refusal) => void refusals.push(refusal),
  }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

test('a waiter that is refused at once hears of it once', async () => {
  const refusals: Refusal[] = []
  expect(fullPool().checkout(waiterOf(refusals))).toBeNull()
  expect(refusals).toEqual([])
  await nextTurn()
  expect(refusals).toHaveLength(1)
})

test('a waiter that withdraws before it is refused hears nothing', async () => {
  const refusals: Refusal[] = []
  const pool = fullPool()
  const waiter = waiterOf(refusals)
  pool.checkout(waiter)
  pool.withdraw(waiter)
  await nextTurn()
  expect(refusals).toEqual([])
})
