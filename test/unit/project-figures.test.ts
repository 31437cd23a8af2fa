import { expect, test } from 'vitest'
import { type PoolCounts, type PoolFigures, sumFigures } from '../../pooler/project-figures-of.ts'

const pool = (identity: string | null, changes: Partial<PoolFigures> = {}): PoolFigures => ({
  identity,
  waiting: 1,
  oldestWaitMs: 10,
  serversBusy: 1,
  servers: 2,
  serversMax: 5,
  ...changes,
})
const counts = (checkouts: number[]): PoolCounts => ({
  transactions: 100,
  queries: 200,
  bytesFromClients: 300,
  bytesToClients: 400,
  checkouts,
})

test('a pool in two workers counts twice what it did and once what it may', () => {
  const sums = sumFigures([
    {
      clients: 3,
      pools: [pool('app'), pool('other', { serversMax: 7 })],
      counts: [counts([1, 2]), counts([1, 2])],
    },
    { clients: 4, pools: [pool('app', { oldestWaitMs: 90 })], counts: [counts([0, 5])] },
  ])
  expect(sums).toMatchObject({
    clients: 7,
    waiting: 3,
    oldestWaitMs: 90,
    serversBusy: 3,
    servers: 6,
    serversMax: 12,
    transactions: 300,
    bytesToClients: 1200,
  })
  expect(sums.checkouts.slice(0, 3)).toEqual([2, 9, 0])
})

test('pools of one client each are as many as there are', () => {
  const direct = () => pool(null, { serversMax: 1 })
  const sums = sumFigures([
    { clients: 2, pools: [direct(), direct()], counts: [] },
    { clients: 1, pools: [direct()], counts: [] },
  ])
  expect(sums.serversMax).toBe(3)
})
