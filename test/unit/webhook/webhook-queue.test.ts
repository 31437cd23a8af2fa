import { beforeEach, describe, expect, test } from 'vitest'
import type { PostOutcome, WebhookMessage } from '../../../pooler/webhook/signed-post.ts'
import { type WebhookEnd, WebhookQueue } from '../../../pooler/webhook/webhook-queue.ts'
import { nullLog } from '../../../shared/log.ts'
import { ManualClock } from '../../support/manual-clock.ts'

let clock: ManualClock
let posted: string[]
let outcomes: PostOutcome[]
let ends: [string, WebhookEnd][]
let queue: WebhookQueue

const delivered: PostOutcome = { kind: 'delivered' }
const failed: PostOutcome = { kind: 'failed', reason: 'status 503' }
const refused: PostOutcome = { kind: 'refused', reason: 'status 410' }

beforeEach(() => {
  clock = new ManualClock()
  posted = []
  outcomes = []
  ends = []
  queue = newQueue({ isOrdered: true })
})

function newQueue({ isOrdered }: { isOrdered: boolean }): WebhookQueue {
  return new WebhookQueue({
    name: 'test',
    poster: {
      post: async ({ id }) => {
        posted.push(id)
        return outcomes.shift() ?? delivered
      },
    },
    messagesMax: 3,
    isOrdered,
    clock,
    log: nullLog,
    onEnd: ({ id }, end) => {
      ends.push([id, end])
    },
  })
}

const message = (id: string): WebhookMessage => ({
  id,
  type: 'test',
  atMs: clock.wallMs(),
  data: {},
})

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

/** Lets time pass with everything that it sets going. */
async function pass(ms: number): Promise<void> {
  clock.advance(ms)
  await settled()
}

describe('a webhook queue', () => {
  test('delivers in order, one at a time', async () => {
    for (const id of ['a', 'b', 'c']) queue.push(message(id))
    expect(posted).toEqual(['a'])
    await settled()
    expect(posted).toEqual(['a', 'b', 'c'])
    expect(ends).toEqual([
      ['a', 'delivered'],
      ['b', 'delivered'],
      ['c', 'delivered'],
    ])
  })

  test('takes no more than its maximum', () => {
    for (const id of ['a', 'b', 'c']) expect(queue.push(message(id))).toBe(true)
    expect(queue.push(message('d'))).toBe(false)
  })

  test('tries again after 1, 2, 4 s, and what waits behind keeps its order', async () => {
    outcomes = [failed, failed, failed]
    queue.push(message('a'))
    queue.push(message('b'))
    await settled()
    await pass(999)
    expect(posted).toEqual(['a'])
    await pass(1)
    await pass(1999)
    expect(posted).toEqual(['a', 'a'])
    await pass(1)
    await pass(4000)
    expect(posted).toEqual(['a', 'a', 'a', 'a', 'b'])
    expect(ends.map(([id]) => id)).toEqual(['a', 'b'])
  })

  test('gives up after a day, and never waits longer than five minutes', async () => {
    outcomes = Array.from({ length: 1000 }, () => failed)
    queue.push(message('a'))
    await settled()
    for (let minute = 0; minute < 23 * 60; minute++) await pass(60_000)
    expect(ends).toEqual([])
    const before = posted.length
    await pass(5 * 60_000)
    expect(posted.length).toBe(before + 1)
    for (let minute = 0; minute < 2 * 60; minute++) await pass(60_000)
    expect(ends).toEqual([['a', 'given up']])
    expect(clock.timerCount).toBe(0)
  })

  test('does not insist on what is refused', async () => {
    outcomes = [refused]
    queue.push(message('a'))
    queue.push(message('b'))
    await settled()
    expect(ends).toEqual([
      ['a', 'refused'],
      ['b', 'delivered'],
    ])
  })

  test('tries once more when it closes, says what it loses, and takes nothing afterwards', async () => {
    outcomes = [failed, delivered, failed]
    for (const id of ['a', 'b', 'c']) queue.push(message(id))
    await settled()
    await queue.close()
    expect(ends).toEqual([
      ['a', 'delivered'],
      ['b', 'lost'],
      ['c', 'lost'],
    ])
    expect(queue.push(message('d'))).toBe(false)
    expect(clock.timerCount).toBe(0)
  })

  test('that closes while it posts does not post that message twice', async () => {
    queue.push(message('a'))
    await queue.close()
    expect(posted).toEqual(['a'])
    expect(ends).toEqual([['a', 'delivered']])
  })
})

describe('a webhook queue without order', () => {
  beforeEach(() => {
    queue = newQueue({ isOrdered: false })
  })

  test('lets what fails wait for its own time, behind what was not tried yet', async () => {
    outcomes = [failed, delivered, failed, delivered]
    queue.push(message('a'))
    queue.push(message('b'))
    await settled()
    expect(posted).toEqual(['a', 'b'])
    await pass(1000)
    expect(posted).toEqual(['a', 'b', 'a'])
    queue.push(message('c'))
    await settled()
    expect(posted).toEqual(['a', 'b', 'a', 'c'])
    await pass(1999)
    expect(posted).toHaveLength(4)
    await pass(1)
    expect(posted).toEqual(['a', 'b', 'a', 'c', 'a'])
    expect(ends.map(([id]) => id)).toEqual(['b', 'c', 'a'])
    expect(clock.timerCount).toBe(0)
  })

  test('gives each of several that fail its turns, and takes no more than its maximum', async () => {
    outcomes = Array.from({ length: 9 }, () => failed)
    for (const id of ['a', 'b', 'c']) queue.push(message(id))
    expect(queue.push(message('d'))).toBe(false)
    await settled()
    await pass(1000)
    await pass(2000)
    expect(posted).toEqual(['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c'])
    await pass(4000)
    expect(ends.map(([id]) => id)).toEqual(['a', 'b', 'c'])
    expect([queue.size, clock.timerCount]).toEqual([0, 0])
  })
})
