// The shared connection is at another Postgres than the client's own server, as behind a move of the project.
import { expect, test } from 'vitest'
import { Listening, type ListeningHost } from '../../../pooler/relay/listening.ts'
import type { NotificationSource } from '../../../pooler/relay/notification-source.ts'
import type { ServerLink } from '../../../pooler/relay/server-link.ts'
import type { Notification } from '../../../shared/protocol/notification.ts'
import { notificationResponse } from '../../support/raw-messages.ts'

const source: NotificationSource = {
  markChannel: 'marks',
  isConnected: true,
  isElsewhere: () => true,
  join: () => 'joined',
  leave() {},
  expect: () => {
    throw new Error('no mark would come')
  },
  forget() {},
}

const link = { reported: new Map(), processId: 7 } as unknown as ServerLink

function world() {
  const told: string[] = []
  const host = {
    mayBeTold: true,
    processId: 99,
    serverProcessId: 7,
    notify: () => void told.push('notice'),
    tellNotification: (bytes: Buffer) => void told.push(`from ${bytes.readInt32BE(5)}`),
    onMove: () => void told.push('moved'),
  } as unknown as ListeningHost
  const listening = new Listening(source, host, 1000)
  listening.take(new Set(['news']), link)
  return { listening, told }
}

test('the streams are divided at once, and the client is told of a gap', () => {
  const { listening, told } = world()
  expect(listening.mayDivide).toBe(true)
  expect(listening.divide(link)).toBe(false)
  expect(listening.needsServer).toBe(false)
  expect(told).toEqual(['notice', 'moved'])
})

test('what is notified there is no echo of what the client has notified here', () => {
  const { listening, told } = world()
  listening.divide(link)
  const bytes = notificationResponse(7, 'news', 'the same')
  const notification: Notification = { processId: 7, channel: 'news', bytes }
  listening.onNotification(notification, link)
  listening.onShared(notification)
  expect(told.slice(2)).toEqual(['from 99', 'from 7'])
})
