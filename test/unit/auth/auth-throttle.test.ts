import { beforeEach, describe, expect, it } from 'vitest'
import { AuthThrottle } from '../../../pooler/auth/auth-throttle.ts'
import { ManualClock } from '../../support/manual-clock.ts'

let clock: ManualClock
let throttle: AuthThrottle
beforeEach(() => {
  clock = new ManualClock()
  throttle = new AuthThrottle(clock)
})

function wrong(times: number, source = '1.2.3.4', ref = 'ref'): void {
  for (let time = 0; time < times; time++) throttle.recordWrong(ref, source)
}

describe('AuthThrottle', () => {
  it('blocks at the tenth wrong secret for 120 s, that source and that tenant only', () => {
    wrong(9)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBeNull()
    wrong(1)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBe(120)
    expect(throttle.isBlocked('ref', '1.2.3.5')).toBeNull()
    expect(throttle.isBlocked('other', '1.2.3.4')).toBeNull()
    clock.advance(119_001)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBe(1)
    clock.advance(999)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBeNull()
  })

  it('counts the latest 150 s, sliding', () => {
    wrong(5)
    clock.advance(149_999)
    wrong(4)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBeNull()
    clock.advance(1)
    wrong(1)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBeNull()
    wrong(5)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBe(120)
  })

  it('blocks again at once when guessing goes on right after the block', () => {
    wrong(10)
    clock.advance(120_000)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBeNull()
    wrong(1)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBe(120)
  })

  it('is not moved by a clock that somebody sets', () => {
    wrong(10)
    clock.jumpWall(86_400_000)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBe(120)
  })

  it('lists who is blocked, until when by wall time', () => {
    wrong(10)
    clock.advance(20_000)
    wrong(10, '2001:db8::/64')
    wrong(9, '5.6.7.8')
    expect(throttle.list('ref')).toEqual([
      { source: '1.2.3.4', untilMs: clock.wallMs() + 100_000 },
      { source: '2001:db8::/64', untilMs: clock.wallMs() + 120_000 },
    ])
    expect(throttle.list('other')).toEqual([])
  })

  it('lifts blocks by address in any spelling, or all of a tenant, and forgets their counts', () => {
    const sources = ['1.2.3.4', '2001:db8::/64', '9.9.9.9']
    for (const source of sources) wrong(10, source)
    wrong(10, '9.9.9.9', 'other')
    throttle.lift('ref', ['::ffff:1.2.3.4', '2001:DB8:0:0:1:2:3:4', 'no address'])
    expect(sources.map((source) => throttle.isBlocked('ref', source))).toEqual([null, null, 120])
    wrong(9)
    expect(throttle.isBlocked('ref', '1.2.3.4')).toBeNull()
    wrong(10, '2001:db8::/64')
    throttle.lift('ref', ['2001:db8::/64'])
    expect(throttle.isBlocked('ref', '2001:db8::/64')).toBeNull()
    throttle.lift('ref')
    expect(throttle.list('ref')).toEqual([])
    expect(throttle.isBlocked('other', '9.9.9.9')).toBe(120)
    throttle.lift('never seen')
  })

  it('lets a blocked source ask ten times in any second', () => {
    const ask = () => throttle.mayAsk('ref', '1.2.3.4')
    const tenTimes = Array.from({ length: 10 }, () => true)
    expect(tenTimes.map(ask)).toEqual(tenTimes)
    expect(ask()).toBe(false)
    expect(throttle.mayAsk('ref', '1.2.3.5')).toBe(true)
    clock.advance(999)
    expect(ask()).toBe(false)
    clock.advance(1)
    expect(tenTimes.map(ask)).toEqual(tenTimes)
    expect(ask()).toBe(false)
  })

  it('forgets sources that have been quiet for 150 s', () => {
    for (let source = 0; source < 100; source++) wrong(1, `1.2.3.${source}`)
    clock.advance(150_000)
    wrong(1)
    expect(throttle.size).toBe(1)
  })

  it('holds 10,000 sources of a tenant and forgets those that were wrong longest ago', () => {
    wrong(10, 'first')
    for (let source = 0; source < 9_999; source++) wrong(1, `s${source}`)
    wrong(1, 'first')
    wrong(1, 'one more')
    expect(throttle.size).toBe(10_000)
    expect(throttle.isBlocked('ref', 'first')).toBe(120)
  })

  it('holds 100,000 sources in all, and a flood pushes out those of its own tenant', () => {
    wrong(10, 'victim', 'quiet')
    for (let tenant = 0; tenant < 11; tenant++) {
      for (let source = 0; source < 10_000; source++) wrong(1, `s${source}`, `tenant ${tenant}`)
    }
    expect(throttle.size).toBe(100_000)
    expect(throttle.isBlocked('quiet', 'victim')).toBe(120)
  })
})
