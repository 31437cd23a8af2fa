import { beforeEach, expect, test } from 'vitest'
import type { PermitOrder, PermitReport } from '../../../pooler/workers/permit-messages.ts'
import { PermitOffice, quarantineMs } from '../../../pooler/workers/permit-office.ts'
import { ManualClock } from '../../support/manual-clock.ts'

let clock: ManualClock
let office: PermitOffice
let orders: Map<number, PermitOrder>
beforeEach(() => {
  clock = new ManualClock()
  orders = new Map()
  office = new PermitOffice({ clock, send: (worker, order) => void orders.set(worker, order) })
})

let seq = 0
function report(worker: number, changes: Partial<PermitReport>): void {
  const seen = orders.get(worker)
  office.onReport(worker, {
    id: 1,
    key: 'pool',
    seq: ++seq,
    limit: 4,
    wants: 0,
    waitedMs: null,
    granted: seen?.granted ?? 0,
    given: 0,
    isBusy: false,
    isLast: false,
    ...changes,
  })
}

const held = (worker: number): number => (orders.get(worker)?.granted ?? 0) - given(worker)
const given = (worker: number): number => orders.get(worker)?.given ?? 0

test('permits are granted up to the limit, to whoever has waited longest', () => {
  report(1, { wants: 3, waitedMs: 5 })
  report(2, { wants: 3, waitedMs: 10 })
  expect([held(1), held(2), office.issued('pool')]).toEqual([3, 1, 4])
})

test('a worker with less than its even share is owed by the one that has more', () => {
  report(1, { wants: 4, waitedMs: 5 })
  report(2, { wants: 3, waitedMs: 0 })
  expect(orders.get(1)).toMatchObject({ granted: 4, owed: 2, wish: 1, isForNone: true })
  report(1, { given: 2 })
  expect([held(2), orders.get(1)?.owed]).toEqual([2, 0])
})

test('one idle worker is asked before another, and all when all are busy', () => {
  report(1, { limit: 3, wants: 1, waitedMs: 0 })
  report(2, { limit: 3, wants: 1, waitedMs: 0 })
  report(3, { limit: 3, wants: 1, waitedMs: 0 })
  report(3, { limit: 3, wants: 1, waitedMs: 0 })
  expect([orders.get(1)?.wish, orders.get(2)?.wish, orders.get(3)?.wish]).toEqual([1, 0, 0])
  report(1, { limit: 3, isBusy: true })
  expect([orders.get(1)?.wish, orders.get(2)?.wish]).toEqual([0, 1])
  report(2, { limit: 3, isBusy: true })
  expect([orders.get(1)?.wish, orders.get(2)?.wish]).toEqual([1, 1])
  report(2, { limit: 3, given: 1 })
  expect([held(3), orders.get(1)?.wish]).toEqual([2, 0])
})

test('what nobody waits for is granted where there is room, and demands nothing', () => {
  report(1, { wants: 4, waitedMs: 0 })
  report(2, { wants: 1, waitedMs: null })
  expect(orders.get(2)).toMatchObject({ granted: 0, seq })
  expect(orders.get(1)).toMatchObject({ owed: 0, wish: 0 })
})

test("a grant that crosses a worker's next report is not granted twice", () => {
  report(1, { wants: 1, waitedMs: 0 })
  report(1, { wants: 2, waitedMs: 0, granted: 0 })
  expect(held(1)).toBe(2)
})

test('a lowered limit is owed, and a raised one is used at once', () => {
  report(1, { wants: 4, waitedMs: 0 })
  report(1, { limit: 1 })
  expect(orders.get(1)?.owed).toBe(3)
  report(2, { limit: 6, wants: 2, waitedMs: 0 })
  expect([held(2), orders.get(1)?.owed]).toEqual([2, 0])
})

test('how long the first of another worker waits that has servers is as it was told, and told again when it is longer', () => {
  report(1, { wants: 2, waitedMs: 0 })
  report(2, { wants: 2, waitedMs: 0 })
  report(2, { wants: 1, waitedMs: 5 })
  expect(orders.get(1)).toMatchObject({ wish: 1, wishWaitedMs: 5, isForNone: false })
  clock.advance(200)
  report(1, { wants: 1, waitedMs: 3 })
  expect(orders.get(1)?.wishWaitedMs).toBe(5)
  report(2, { wants: 1, waitedMs: 40 })
  expect(orders.get(1)?.wishWaitedMs).toBe(5)
  report(2, { wants: 1, waitedMs: 80 })
  expect(orders.get(1)?.wishWaitedMs).toBe(80)
})

test("a dead worker's permits are held back until Postgres has noticed", () => {
  report(1, { wants: 4, waitedMs: 0 })
  report(2, { wants: 2, waitedMs: 0 })
  office.onWorkerGone(1)
  report(1, { wants: 4, waitedMs: 0 })
  clock.advance(quarantineMs - 1)
  expect([held(2), office.issued('pool')]).toEqual([0, 4])
  clock.advance(1)
  expect([held(2), office.issued('pool')]).toEqual([2, 2])
})

test('what nobody has anything of is forgotten', () => {
  report(1, { wants: 1, waitedMs: 0 })
  report(1, { given: 1 })
  report(1, { given: 1, isLast: true })
  expect(office.size).toBe(0)
})

test('what a worker wants is granted in bounds, also where there is no limit', () => {
  report(1, { limit: null, wants: 1e15, waitedMs: 0 })
  expect(held(1)).toBe(10_000)
})

test('a worker cannot claim more than it was granted, or take back what it gave', () => {
  report(1, { wants: 2, waitedMs: 0 })
  expect(() => report(1, { granted: 3 })).toThrow('granted')
  expect(() => report(1, { given: 3 })).toThrow('given back')
  report(1, { given: 2 })
  expect(() => report(1, { given: 1 })).toThrow('stays so')
  expect(office.issued('pool')).toBe(0)
})
