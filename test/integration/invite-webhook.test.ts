// Invitations on their way out of a running process, to a receiver that checks the signature.
import { createHmac } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { RunningPooler } from '../support/running-pooler.ts'

const secret = 'a secret for webhooks of this run, long enough'
const received: { headers: IncomingHttpHeaders; body: string }[] = []
let status = 503
let receiver: Server
let pooler: RunningPooler

beforeAll(async () => {
  receiver = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ headers: request.headers, body })
    response.writeHead(status).end()
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const { port } = receiver.address() as AddressInfo
  pooler = await RunningPooler.start({
    env: {
      INVITE_WEBHOOK_URL: `http://127.0.0.1:${port}/hook`,
      WEBHOOK_SECRET: secret,
      API_PUBLIC_URL: 'https://latchkey.example.com/',
    },
  })
})
afterAll(async () => {
  await pooler?.stop()
  receiver.close()
})

test('an invitation is delivered signed, again after a failure, and its link lets its person in', async () => {
  const project = await pooler.project()
  const owner = await pooler.person(project, { membership: 'owner' })
  const path = `/v1/projects/${project.ref}/database/jit`
  const roles = [{ role: project.people.role, expires_after_seconds: 3600 }]
  const email = 'grace@example.org'
  const answer = await pooler.api('POST', `${path}/invite`, owner.token, { email, roles })
  expect([answer.status, answer.text]).toEqual([200, expect.not.stringContaining('"link"')])
  await eventually(() => received.length > 0)
  status = 204
  await eventually(() => received.length > 1)
  const [first, second] = received
  expect(second?.body).toBe(first?.body)
  expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
  for (const { headers, body } of received) {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
    const mac = createHmac('sha256', secret).update(signed).digest('base64')
    expect(headers['webhook-signature']).toBe(`v1,${mac}`)
  }
  const { invitations } = pooler.pooler.control
  await eventually(async () => {
    const [open] = await invitations.list(project.ref, Date.now())
    return open?.delivery === 'delivered'
  })
  const { data } = JSON.parse(first?.body ?? '')
  const link = new URL(data.link)
  expect(link.origin).toBe('https://latchkey.example.com')
  const { token } = Object.fromEntries(new URLSearchParams(link.hash.slice(1)))
  const response = await fetch(`${pooler.apiUrl}${path}/invite/accept`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, token }),
  })
  expect(response.status).toBe(200)
  const made = (await response.json()) as { token: string }
  const client = await pooler.raw({ tls: 'request' })
  await client.login({
    user: `${project.people.role}.${project.ref}`,
    password: made.token,
    database: project.database,
    settings: { options: '-c jit=on' },
  })
  client.close()
  await pooler.settled()
  for (const known of [token, made.token]) expect(pooler.captured.text).not.toContain(known)
})
