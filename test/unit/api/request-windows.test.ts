import { expect, test } from 'vitest'
import { RequestWindows } from '../../../pooler/api/request-windows.ts'
import { ManualClock } from '../../support/manual-clock.ts'

function openWindows(): { windows: RequestWindows; clock: ManualClock } {
  const clock = new ManualClock()
  return { clock, windows: new RequestWindows({ clock, windowMs: 60_000, keysMax: 2 }) }
}

test('requests of one key are counted together and of another apart', () => {
  const { windows } = openWindows()
  windows.add('a')
  expect(windows.add('a').count).toBe(2)
  expect(windows.add('b').count).toBe(1)
})

test('a window ends a minute after its first request, to the millisecond', () => {
  const { windows, clock } = openWindows()
  clock.advance(1_000)
  windows.add('a')
  clock.advance(59_999)
  expect(windows.look('a')).toEqual({ count: 1, resetSeconds: 1 })
  clock.advance(1)
  expect(windows.look('a').count).toBe(0)
  expect(windows.add('a')).toEqual({ count: 1, resetSeconds: 60 })
})

test('looking counts nothing', () => {
  const { windows } = openWindows()
  windows.look('a')
  expect(windows.add('a').count).toBe(1)
})

test('no more keys are held than allowed', () => {
  const { windows } = openWindows()
  windows.add('a')
  windows.add('b')
  windows.add('c')
  expect(windows.look('a').count).toBe(0)
  expect(windows.look('c').count).toBe(1)
})
