import { expect, test } from 'vitest'
import { cpuMsAt } from '../../../bench/support/cpu-log.ts'

const samples = [
  [1000, 500],
  [1020, 520],
  [1040, 520],
] as const

test.each([
  [0, 500],
  [1000, 500],
  [1005, 505],
  [1020, 520],
  [1030, 520],
  [5000, 520],
])('at %d ms %d ms of processor time have been used', (atMs, cpuMs) => {
  expect(cpuMsAt(samples, atMs)).toBe(cpuMs)
})
