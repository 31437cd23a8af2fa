// The stream that keeps open pages up to date, over a real API port.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'
import { eventually } from '../support/eventually.ts'

let api: ApiSetup
let base: string
let ref: string
let owner: Person
let guest: Person
let open: AbortController[] = []

beforeAll(async () => {
  api = await setUpApi()
  base = await api.app.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(async () => {
  // The clock that would end what fetch keeps open stands still.
  const closed = api.close()
  api.app.server.closeAllConnections()
  await closed
})
beforeEach(async () => {
  api.clock.advance(61_000)
  ref = await api.project()
  owner = await api.person({ [ref]: 'owner' })
  guest = await api.person({ [ref]: 'guest' })
})
afterEach(async () => {
  for (const one of open) one.abort()
  open = []
  // With no page open nothing ticks.
  await eventually(() => api.clock.timerCount === 0)
})

async function signIn(person: Person): Promise<string> {
  const answer = await fetch(`${base}/auth/sign-in`, {
    method: 'POST',
    headers: { origin: base, 'content-type': 'application/json' },
    body: JSON.stringify({ token: person.token }),
  })
  expect(answer.status).toBe(200)
  return answer.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
}

interface Stream {
  readonly status: number
  /** What came so far. */
  readonly text: () => string
  readonly isOver: () => boolean
}

async function listen(cookie: string): Promise<Stream> {
  const controller = new AbortController()
  open.push(controller)
  const answer = await fetch(`${base}/v1/projects/${ref}/live`, {
    headers: { cookie },
    signal: controller.signal,
  })
  let text = ''
  let isOver = false
  const read = async () => {
    for await (const part of answer.body ?? []) text += Buffer.from(part).toString()
  }
  void read()
    .catch(() => {})
    .finally(() => {
      isOver = true
    })
  return { status: answer.status, text: () => text, isOver: () => isOver }
}

const figuresIn = (stream: Stream) =>
  [...stream.text().matchAll(/event: figures\ndata: (.*)\n\n/g)].map(([, data]) =>
    JSON.parse(data ?? ''),
  )

test('tells figures at once and at each tick, and what changed as it is announced', async () => {
  api.world.figures = { ...api.world.figures, clients: 7 }
  const stream = await listen(await signIn(owner))
  expect(stream.status).toBe(200)
  await eventually(() => figuresIn(stream).length === 1)
  expect(figuresIn(stream)[0]).toMatchObject({ clients: 7, at: api.clock.wallMs() })
  api.world.figures = { ...api.world.figures, clients: 8 }
  api.clock.advance(2000)
  await eventually(() => figuresIn(stream).at(-1)?.clients === 8)
  api.world.changes.announce({ kind: 'rule', ref: 'other', userId: guest.userId })
  expect(stream.text()).not.toContain('"rules"')
  api.world.changes.announce({ kind: 'rule', ref, userId: guest.userId })
  await eventually(() => stream.text().includes('event: changed\ndata: {"what":"rules"}'))
})

test('begins with everything, for the page asked before it could be told, and says so once', async () => {
  const stream = await listen(await signIn(owner))
  await eventually(() => stream.text().includes('event: changed\ndata: {"what":"everything"}'))
  api.clock.advance(2000)
  await eventually(() => figuresIn(stream).length === 2)
  expect(stream.text().split('"everything"')).toHaveLength(2)
})

test('tells of sessions only to those who may see them, and figures not to guests', async () => {
  const seen = await listen(await signIn(owner))
  const narrow = await listen(await signIn(guest))
  await eventually(() => figuresIn(seen).length > 0 && narrow.text().includes('event: beat'))
  api.world.sessions.set(ref, [
    {
      sessionId: 's1',
      userId: owner.userId,
      email: null,
      role: 'app',
      address: '192.0.2.1',
      applicationName: null,
      startedAtMs: 0,
      endsAtMs: null,
    },
  ])
  api.clock.advance(2000)
  await eventually(() => seen.text().includes('"sessions"'))
  api.clock.advance(2000)
  await eventually(() => narrow.text().split('event: beat').length >= 3)
  expect(narrow.text()).not.toMatch(/sessions|figures/)
})

test('ends with the membership, with the token, and is nothing that keeps a session', async () => {
  const cookie = await signIn(owner)
  const other = await api.person({ [ref]: 'owner' })
  const lasting = await listen(await signIn(other))
  const stream = await listen(cookie)
  await eventually(() => figuresIn(stream).length === 1)
  await api.deps.tokens.revoke(owner.tokenId)
  api.world.changes.announce({ kind: 'token', id: owner.tokenId })
  await eventually(() => stream.isOver())
  expect((await listen(cookie)).status).toBe(401)
  expect(lasting.isOver()).toBe(false)
  await api.deps.members.removeMembership(ref, other.userId, 'operator')
  api.world.changes.announce({ kind: 'membership', ref, userId: other.userId })
  await eventually(() => lasting.isOver())
})

test('a session that idles out ends its stream, for all that it told', async () => {
  const stream = await listen(await signIn(owner))
  await eventually(() => figuresIn(stream).length === 1)
  api.clock.advance(31 * 60_000)
  await eventually(() => {
    api.clock.advance(2000)
    return stream.isOver()
  })
})

test('of one sign-in are four at most, and a closed one makes room', async () => {
  const cookie = await signIn(owner)
  for (let at = 0; at < 4; at += 1) expect((await listen(cookie)).status).toBe(200)
  expect((await listen(cookie)).status).toBe(429)
  open[0]?.abort()
  await eventually(async () => (await listen(cookie)).status === 200, { pollMs: 100 })
})

test('an API that closes ends its streams, and does not wait for them', async () => {
  const closing = await setUpApi()
  const address = await closing.app.listen({ host: '127.0.0.1', port: 0 })
  const project = await closing.project()
  const { token } = await closing.person({ [project]: 'owner' })
  const answer = await fetch(`${address}/v1/projects/${project}/live`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const whole = answer.text()
  await closing.close()
  expect(await whole).toContain('retry: ')
})
