// A mark that cannot be sent, as behind a NOTIFY that is stuck in its COMMIT: what a listening client's
// channels do until the next one.
import { expect, test } from 'vitest'
import { Listening, type ListeningHost } from '../../../pooler/relay/listening.ts'
import type { NotificationSource } from '../../../pooler/relay/notification-source.ts'
import { ReplyTracker } from '../../../pooler/relay/reply-tracker.ts'
import type { ServerLink } from '../../../pooler/relay/server-link.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const source: NotificationSource = {
  markChannel: 'marks',
  isConnected: true,
  isElsewhere: () => false,
  join: () => 'joined',
  leave() {},
  expect: () => true,
  forget() {},
}

const link = {
  reported: new Map(),
  tracker: new ReplyTracker(),
  transport: { write: () => true },
} as unknown as ServerLink

test('none is tried for a while, whatever is asked meanwhile', () => {
  const clock = new ManualClock()
  let moves = 0
  const host = {
    after: (ms: number, run: () => void) => void clock.after(ms, run),
    onMove: () => void moves++,
  } as unknown as ListeningHost
  const listening = new Listening(source, host, 1000)
  listening.take(new Set(['news']), link)
  for (let round = 1; round <= 2; round++) {
    expect(listening.mayDivide).toBe(true)
    expect(listening.divide(link)).toBe(true)
    listening.onDivided(true)
    for (const channels of [['news'], ['news', 'more'], ['news']]) {
      listening.take(new Set(channels), link)
      expect(listening.mayDivide).toBe(false)
      expect(listening.needsServer).toBe(true)
    }
    clock.advance(4999)
    expect(moves).toBe(round - 1)
    clock.advance(1)
    expect(moves).toBe(round)
  }
  expect(listening.divide(link)).toBe(true)
  listening.onMark()
  listening.onDivided(false)
  expect(listening.needsServer).toBe(false)
})
