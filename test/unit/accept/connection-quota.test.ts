import { expect, test } from 'vitest'
import { ConnectionQuota, quotaLimitsFor } from '../../../pooler/accept/connection-quota.ts'
import { PoolerError } from '../../../shared/errors.ts'
import { freshSeed, withSeed } from '../../support/seeded-random.ts'

const quotaOf = (clientsMax: number, beforeLoginMax: number, beforeLoginPerSourceMax: number) =>
  new ConnectionQuota({ clientsMax, beforeLoginMax, beforeLoginPerSourceMax })

function refusalOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof PoolerError) return `${error.row.sqlState} ${error.wireText}`
    throw error
  }
  return 'none'
}

test('the process takes no more than its limit, logged in or not', () => {
  const quota = quotaOf(2, 2, 2)
  const first = quota.admit('10.0.0.1')
  first.logIn()
  quota.admit('10.0.0.2')
  expect(refusalOf(() => quota.admit('10.0.0.3'))).toBe(
    '53300 (EMAXCONNPROCESS) the pooler takes no more clients: it has 2',
  )
  first.leave()
  expect(refusalOf(() => quota.admit('10.0.0.3'))).toBe('none')
})

test('connections before login are capped in all, and a login makes room', () => {
  const quota = quotaOf(10, 2, 2)
  const first = quota.admit('10.0.0.1')
  quota.admit('10.0.0.2')
  expect(refusalOf(() => quota.admit('10.0.0.3'))).toContain('2 are still logging in')
  first.logIn()
  expect(refusalOf(() => quota.admit('10.0.0.3'))).toBe('none')
})

test('connections before login are capped per source, and other sources come in', () => {
  const quota = quotaOf(10, 10, 1)
  quota.admit('2001:db8::1')
  expect(refusalOf(() => quota.admit('2001:db8::2'))).toContain('from your address')
  expect(refusalOf(() => quota.admit('2001:db8:0:1::1'))).toBe('none')
  quota.admit('::ffff:10.0.0.1')
  expect(refusalOf(() => quota.admit('10.0.0.1'))).toContain('from your address')
})

test('a flood from one source leaves room for another, and those logged in stay', () => {
  const quota = new ConnectionQuota(quotaLimitsFor(1_000))
  const established = Array.from({ length: 100 }, () => quota.admit('10.0.0.1'))
  for (const admission of established) admission.logIn()
  for (let count = 0; count < 10_000; count++) refusalOf(() => quota.admit('203.0.113.1'))
  expect(quota.beforeLoginCount).toBe(250)
  expect(refusalOf(() => quota.admit('10.0.0.1').logIn())).toBe('none')
  expect(quota.loggedInCount).toBe(101)
})

test('leaving twice gives back one place', () => {
  const quota = quotaOf(2, 2, 2)
  const first = quota.admit('10.0.0.1')
  quota.admit('10.0.0.1')
  first.leave()
  first.leave()
  quota.admit('10.0.0.1')
  expect(refusalOf(() => quota.admit('10.0.0.1'))).toContain('it has 2')
})

test('nobody logs in twice or after leaving', () => {
  const admission = quotaOf(2, 2, 2).admit('10.0.0.1')
  admission.logIn()
  expect(() => admission.logIn()).toThrow('a connection may not go')
  admission.leave()
  expect(() => admission.logIn()).toThrow('a connection may not go')
})

test('a small pooler is not hindered by shares of its limit', () => {
  expect(quotaLimitsFor(10)).toEqual({
    clientsMax: 10,
    beforeLoginMax: 64,
    beforeLoginPerSourceMax: 64,
  })
})

test('after any order of coming, logging in and leaving all counts return to zero', async () => {
  await withSeed(freshSeed(), (random) => {
    const quota = quotaOf(20, 10, 5)
    const waiting: ReturnType<ConnectionQuota['admit']>[] = []
    const loggedIn: typeof waiting = []
    const takeAny = (from: typeof waiting) => from.splice(random.int(from.length), 1)[0]
    for (let step = 0; step < 5_000; step++) {
      const act = random.pick(['come', 'login', 'leave', 'leave-early'] as const)
      if (act === 'come') {
        refusalOf(() => waiting.push(quota.admit(`10.0.0.${random.int(4)}`)))
      } else if (act === 'login' && waiting.length > 0) {
        const admission = takeAny(waiting)
        admission?.logIn()
        if (admission) loggedIn.push(admission)
      } else if (act === 'leave' && loggedIn.length > 0) takeAny(loggedIn)?.leave()
      else if (act === 'leave-early' && waiting.length > 0) takeAny(waiting)?.leave()
      expect(quota.beforeLoginCount).toBe(waiting.length)
      expect(quota.loggedInCount).toBe(loggedIn.length)
      expect(waiting.length).toBeLessThanOrEqual(10)
      expect(waiting.length + loggedIn.length).toBeLessThanOrEqual(20)
    }
    for (const admission of [...waiting, ...loggedIn]) admission.leave()
    expect([quota.beforeLoginCount, quota.loggedInCount]).toEqual([0, 0])
    for (let count = 0; count < 5; count++) quota.admit('10.0.0.1')
  })
})
