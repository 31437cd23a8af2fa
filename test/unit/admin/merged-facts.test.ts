import { expect, test } from 'vitest'
import type { AdminFacts, ClientRow, PoolRow, TenantRow } from '../../../pooler/admin/admin-view.ts'
import { mergeFacts } from '../../../pooler/admin/merged-facts.ts'

const none: AdminFacts = {
  pools: [],
  clients: [],
  servers: [],
  totals: [],
  rates: [],
  tenants: [],
  processes: [],
}

const pool = (changes: Partial<PoolRow>): PoolRow => ({
  tenantRef: 'shop',
  role: 'app',
  database: 'main',
  mode: 'transaction',
  clientsActive: 2,
  clientsWaiting: 1,
  serversActive: 1,
  serversIdle: 1,
  serversWorking: 1,
  serversBeingCanceled: 1,
  serversLogin: 1,
  size: 10,
  oldestWaiterMs: 5,
  backoffMs: 0,
  isPaused: false,
  ...changes,
})

const merge = (...parts: Partial<AdminFacts>[]) =>
  mergeFacts(parts.map((facts, worker) => ({ worker, facts: { ...none, ...facts } })))

test('a pool of several workers is one row: sums, its size once, the longest wait', () => {
  const { pools } = merge(
    { pools: [pool({}), pool({ role: 'other' })] },
    { pools: [pool({ oldestWaiterMs: 70, backoffMs: 9, isPaused: true })] },
  )
  expect(pools).toEqual([
    pool({
      clientsActive: 4,
      clientsWaiting: 2,
      serversActive: 2,
      serversIdle: 2,
      serversWorking: 2,
      serversBeingCanceled: 2,
      serversLogin: 2,
      oldestWaiterMs: 70,
      backoffMs: 9,
      isPaused: true,
    }),
    pool({ role: 'other' }),
  ])
})

test('pools that are not the same stay apart: direct ones, and those of different tokens', () => {
  const direct = () => pool({ mode: 'direct', size: 1 })
  const { pools } = merge({ pools: [direct()] }, { pools: [direct()] })
  expect(pools).toEqual([direct(), direct()])
  const [one, other] = [pool({ tokenName: 'one' }), pool({ tokenName: 'other' })]
  expect(merge({ pools: [one] }, { pools: [other] }).pools).toEqual([one, other])
})

test('clients say whose they are, and a project counts them all', () => {
  const row = { id: 7 } as ClientRow
  expect(merge({}, { clients: [row] }).clients).toEqual([{ id: 7, worker: 1 }])
  const tenant = (clients: number, isDisabled: boolean) =>
    ({
      ref: 'shop',
      clients,
      servers: 1,
      isDisabled,
      isPaused: false,
      roles: [{ role: 'app', poolSize: 3, maxClients: 9, clients }],
    }) as unknown as TenantRow
  expect(merge({ tenants: [tenant(2, false)] }, { tenants: [tenant(3, true)] }).tenants).toEqual([
    {
      ref: 'shop',
      clients: 5,
      servers: 2,
      isDisabled: true,
      isPaused: false,
      roles: [{ role: 'app', poolSize: 3, maxClients: 9, clients: 5 }],
    },
  ])
})
