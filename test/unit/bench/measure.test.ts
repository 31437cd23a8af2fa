import { expect, test } from 'vitest'
import { caseText } from '../../../bench/support/case-text.ts'
import { htmlPage } from '../../../bench/support/html-page.ts'
import {
  type Case,
  faultsOf,
  latencies,
  type Measure,
  percentile,
  ratioIn,
  spreadIn,
} from '../../../bench/support/measure.ts'

const measure = (changes: Partial<Measure>): Measure => ({
  target: 'latchkey',
  round: 1,
  turn: 1,
  work: 100,
  perSecond: 50,
  cpuUsPerUnit: 40,
  p50Ms: 1,
  p95Ms: 2,
  p99Ms: 3,
  maxMs: 4,
  peakMb: 100,
  errors: 0,
  firstError: null,
  othersShare: 0,
  stolenShare: 0,
  ...changes,
})

const one: Case = {
  name: 'a <case>',
  unit: 'transactions',
  measures: [
    measure({ target: 'pgbouncer', perSecond: 100, extra: { kb: 2 } }),
    measure({ target: 'latchkey', perSecond: 50, extra: { kb: 4 } }),
    measure({ target: 'latchkey', round: 2, perSecond: 90, extra: { kb: 4 } }),
    measure({ target: 'pgbouncer', round: 2, perSecond: 100, extra: { kb: 2 } }),
  ],
}

test('a percentile is a value that was measured', () => {
  const sorted = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
  expect([0.5, 0.95, 0.99, 1].map((part) => percentile(sorted, part))).toEqual([5, 10, 10, 10])
  expect(percentile([], 0.5)).toBeNull()
  expect(latencies(Float64Array.of(9, 1, 5))).toEqual({ p50Ms: 5, p95Ms: 9, p99Ms: 9, maxMs: 9 })
})

test('ratios are made round by round, in whatever order targets took turns', () => {
  expect(ratioIn(one, 'latchkey', 'pgbouncer', 'perSecond')).toEqual({
    min: 0.5,
    median: 0.7,
    max: 0.9,
  })
  expect(ratioIn(one, 'latchkey', 'pgbouncer', 'kb')?.median).toBe(2)
  expect(spreadIn(one, 'direct', 'perSecond')).toBeNull()
})

test('a round that failed has no figure and spoils no ratio', () => {
  const failed = measure({ round: 3, work: 0, perSecond: null, errors: 2, firstError: 'refused' })
  const spoilt = { ...one, measures: [...one.measures, failed] }
  expect(ratioIn(spoilt, 'latchkey', 'pgbouncer', 'perSecond')?.median).toBe(0.7)
  expect(faultsOf(spoilt)).toEqual(['a <case>, latchkey, round 3: 2 errors: refused'])
})

test('table and page show every target, ratio and further figure, and escape what they show', () => {
  const text = caseText(one)
  for (const part of ['pgbouncer', 'latchkey / pgbouncer', 'kb']) expect(text).toContain(part)
  const machine = {
    cores: 2,
    model: 'm',
    memoryGb: 1,
    kernel: 'k',
    node: 'n',
    pgbench: 'p',
    system: 's',
    processorShares: 'of each thread' as const,
    commit: 'c',
  }
  const scenario = {
    name: 'select',
    about: 'What?',
    world: {},
    settings: {},
    cases: [one],
    figures: null,
    faults: [],
  }
  const page = htmlPage({ startedAt: '2026-01-01', endedAt: '', machine, scenarios: [scenario] })
  expect(page).toContain('a &#60;case&#62;')
  expect(page).not.toContain('<case>')
  expect(page.match(/<svg/g)).toHaveLength(4)
  expect(page).not.toMatch(/src=|href=/)
})
