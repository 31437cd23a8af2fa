import { describe, expect, test } from 'vitest'
import { NotificationQueue } from '../../../pooler/relay/notification-queue.ts'
import { type Notification, readNotification } from '../../../shared/protocol/notification.ts'
import * as raw from '../../support/raw-messages.ts'

const own = 7
const other = 8

function notification(processId: number, payload: string, channel = 'c'): Notification {
  const message = raw.notificationResponse(processId, channel, payload)
  return readNotification(message, 5, message.length) as Notification
}

const payloads = (taken: readonly Notification[]): string[] =>
  taken.map(({ bytes }) => bytes.toString('latin1').split('\0').at(-2) ?? '')

function queueOf(...waiting: Notification[]): NotificationQueue {
  const queue = new NotificationQueue()
  for (const one of waiting) queue.add(one, one.processId === own)
  return queue
}

describe('what the client’s server brings', () => {
  test('comes behind what waits in front of its copy, which is told no more', () => {
    const queue = queueOf(
      notification(other, 'a'),
      notification(own, 'mine'),
      notification(other, 'b'),
    )
    expect(payloads(queue.takeBefore(notification(own, 'mine'), true))).toEqual(['a'])
    expect(payloads(queue.take())).toEqual(['b'])
    expect(queue).toMatchObject({ isEmpty: true, bytes: 0, awaitedBytes: 0, echoes: 0 })
  })

  test('before its copy is known for one when that comes, once', () => {
    const queue = queueOf(notification(other, 'a'))
    expect(payloads(queue.takeBefore(notification(own, 'mine'), true))).toEqual(['a'])
    expect(queue.isEcho(notification(other, 'mine'))).toBe(false)
    expect(queue.isEcho(notification(own, 'mine'))).toBe(true)
    expect(queue.isEcho(notification(own, 'mine'))).toBe(false)
  })

  test('while nothing can repeat it leaves nothing behind', () => {
    const queue = queueOf()
    queue.takeOut(notification(own, 'mine'), false)
    expect(queue.echoes).toBe(0)
    expect(queue.isEcho(notification(own, 'mine'))).toBe(false)
  })

  test('is taken out of what goes on waiting, however often the same was sent', () => {
    const mine = notification(own, 'mine')
    const queue = queueOf(mine, notification(other, 'a'), mine, notification(other, 'b'), mine)
    queue.takeOut(mine, true)
    queue.takeOut(mine, true)
    expect(payloads(queue.take())).toEqual(['a', 'b', 'mine'])
    queue.takeOut(mine, true)
    expect(queue.isEcho(mine)).toBe(true)
  })

  test('what never came in front of an echo is forgotten with it, channel by channel', () => {
    const queue = queueOf()
    for (const payload of ['1', '2', '3']) queue.takeOut(notification(own, payload), true)
    queue.takeOut(notification(own, '1', 'd'), true)
    expect(queue.isEcho(notification(own, '2'))).toBe(true)
    expect(queue.isEcho(notification(own, '1'))).toBe(false)
    expect(queue.isEcho(notification(own, '3'))).toBe(true)
    expect(queue.isEcho(notification(own, '1', 'd'))).toBe(true)
    expect(queue.echoes).toBe(0)
  })
})

test('a channel that is left takes along what is kept of it', () => {
  const queue = queueOf(
    notification(other, 'a'),
    notification(own, 'b'),
    notification(own, 'c', 'd'),
  )
  queue.takeOut(notification(own, 'x'), true)
  queue.keepOnly(new Set(['d']))
  expect(queue.echoes).toBe(0)
  expect(queue.bytes).toBe(0)
  expect(queue.awaitedBytes).toBe(notification(own, 'c', 'd').bytes.length)
  expect(payloads(queue.take())).toEqual(['c'])
})

test('what waits is compared once, however many of the client’s own are looked for', () => {
  let compared = 0
  const waiting = Array.from({ length: 1000 }, (_, index) => {
    // The server that the client has was another's before.
    const one = notification(own, `other ${index}`)
    one.bytes.equals = (bytes) => {
      compared++
      return Buffer.compare(one.bytes, bytes) === 0
    }
    return one
  })
  const queue = queueOf(...waiting)
  for (let index = 0; index < 1000; index++) queue.takeOut(notification(own, `${index}`), true)
  expect(compared).toBe(1000)
  expect(queue.echoes).toBe(1000)
  expect(queue.take()).toHaveLength(1000)
})
