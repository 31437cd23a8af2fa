import { beforeEach, expect, test } from 'vitest'
import { RefusalLog } from '../../../pooler/client/refusal-log.ts'
import { CapturedLog } from '../../support/captured-log.ts'
import { ManualClock } from '../../support/manual-clock.ts'

let clock: ManualClock
let captured: CapturedLog
let refusals: RefusalLog
beforeEach(() => {
  clock = new ManualClock()
  captured = new CapturedLog()
  refusals = new RefusalLog(clock, captured.log)
})

const one = '192.0.2.1'
const lines = (count: number, source = one, ref: string | null = null): number => {
  let logged = 0
  for (let n = 0; n < count; n++) if (refusals.mayLog('ENOTFOUND', source, ref)) logged++
  return logged
}

test('a few have a line each, and nothing is told of them later', () => {
  expect(lines(20)).toBe(20)
  clock.advance(10_000)
  expect(captured.lines).toEqual([])
  expect(clock.timerCount).toBe(0)
})

test('of a flood some have one, and the others are counted', () => {
  expect(lines(5000)).toBe(20)
  expect(lines(30, '192.0.2.2')).toBe(20)
  clock.advance(9_999)
  expect(captured.lines).toEqual([])
  clock.advance(1)
  const sources = { [one]: 4980, '192.0.2.2': 10 }
  expect(captured.lines).toHaveLength(1)
  expect(captured.lines[0]).toMatchObject({
    level: 'warn',
    code: 'ENOTFOUND',
    count: 4990,
    sources,
  })
  expect(lines(30)).toBe(20)
})

test('who is refused at one project does not hide who is at another', () => {
  expect([lines(30, one, 'shop'), lines(30, one, 'bank')]).toEqual([20, 20])
})

test('a flood from everywhere has no more lines than one from few', () => {
  let logged = 0
  for (let source = 0; source < 5000; source++) logged += lines(1, `source ${source}`)
  expect(logged).toBe(200)
  clock.advance(10_000)
  expect(captured.lines).toHaveLength(1)
  expect(captured.lines[0]?.count).toBe(4800)
})

test('a bug of ours always has its line', () => {
  for (let n = 0; n < 500; n++) expect(refusals.mayLog('EINTERNAL', one, null)).toBe(true)
})
