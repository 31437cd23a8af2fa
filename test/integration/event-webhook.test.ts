// The record on its way out of a running process, to a receiver that checks the signature.
import { createHmac } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EventWebhook } from '../../pooler/event-webhook.ts'
import { systemClock } from '../../shared/clock.ts'
import { CapturedLog } from '../support/captured-log.ts'
import { eventually } from '../support/eventually.ts'
import { RunningPooler } from '../support/running-pooler.ts'

const secret = 'a secret for webhooks of this run, long enough'
const received: { id: unknown; isSigned: boolean; body: string }[] = []
let status = 503
let receiver: Server
let pooler: RunningPooler

beforeAll(async () => {
  receiver = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const {
      'webhook-id': id,
      'webhook-timestamp': time,
      'webhook-signature': mac,
    } = request.headers
    const due = createHmac('sha256', secret).update(`${id}.${time}.${body}`).digest('base64')
    received.push({ id, isSigned: mac === `v1,${due}`, body })
    response.writeHead(status).end()
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const { port } = receiver.address() as AddressInfo
  pooler = await RunningPooler.start({
    env: { EVENT_WEBHOOK_URL: `http://127.0.0.1:${port}/events`, WEBHOOK_SECRET: secret },
  })
})
afterAll(async () => {
  await pooler?.stop()
  receiver?.close()
})

test('a login and its end arrive signed, also after a failure, also when the process stops', async () => {
  const project = await pooler.project()
  const person = await pooler.person(project)
  const client = await pooler.raw({ tls: 'request' })
  await client.login({
    user: `${project.people.role}.${project.ref}`,
    password: person.token,
    database: project.database,
    settings: { options: '-c jit=on' },
  })
  await eventually(() => received.length > 0)
  status = 204
  await eventually(() => received.length > 1)
  expect(received[1]).toEqual(received[0])
  client.close()
  await pooler.settled()
  await pooler.pooler.stop()
  const events = [...new Map(received.map(({ id, body }) => [id, body])).values()]
    .flatMap((body) => JSON.parse(body).data.events)
    .filter(({ actor }) => actor === person.userId)
  expect(events).toMatchObject([
    { action: 'login', project: project.ref, role: project.people.role },
    { action: 'ended', project: project.ref, session_id: events[0].session_id },
  ])
  expect(received.every(({ isSigned }) => isSigned)).toBe(true)
  expect(JSON.stringify(received)).not.toContain(person.token)
})

test('what finds no room is counted in the log, and holds nobody up', () => {
  const captured = new CapturedLog()
  const taken: unknown[] = []
  const queue = { push: (one: unknown) => taken.push(one) <= 2, close: async () => {} }
  const webhook = new EventWebhook(queue, systemClock, captured.log)
  const event = { atMs: 0, ref: 'shop', actor: null, action: 'refused' } as const
  webhook.tell(Array.from({ length: 250 }, () => event))
  expect(taken).toHaveLength(3)
  expect(captured.lines).toMatchObject([{ missed: 50 }])
})
