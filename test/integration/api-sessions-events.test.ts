import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SessionView } from '../../pooler/api/api-deps.ts'
import type { AccessEvent } from '../../pooler/store/events.ts'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'

let api: ApiSetup
let ref: string
let owner: Person
let guest: Person

beforeAll(async () => {
  api = await setUpApi()
  ref = await api.project()
  owner = await api.person({ [ref]: 'owner' })
  guest = await api.person({ [ref]: 'guest' })
})
afterAll(() => api.close())

const startedAtMs = Date.UTC(2026, 0, 1)

function sessionOf(person: Person, sessionId: string): SessionView {
  return {
    sessionId,
    userId: person.userId,
    email: `${person.userId}@example.com`,
    role: 'app',
    address: '192.0.2.7',
    applicationName: 'psql',
    startedAtMs,
    endsAtMs: startedAtMs + 3_600_000,
  }
}

describe('sessions', () => {
  const url = (rest = '') => `/v1/projects/${ref}/database/jit/sessions${rest}`
  const end = (by: Person, id: string) =>
    api.ask(by.token, { method: 'DELETE', url: url(`/${id}`) })

  test('are all shown to an owner and one’s own to a guest', async () => {
    api.world.sessions.set(ref, [sessionOf(owner, 's1'), sessionOf(guest, 's2')])
    const all = (await api.ask(owner.token, { url: url() })).json()
    expect(all.items.map((item: { id: string }) => item.id)).toEqual(['s1', 's2'])
    const own = (await api.ask(guest.token, { url: url() })).json()
    expect(own.items).toEqual([
      {
        id: 's2',
        user_id: guest.userId,
        email: `${guest.userId}@example.com`,
        role: 'app',
        address: '192.0.2.7',
        application_name: 'psql',
        started_at: '2026-01-01T00:00:00.000Z',
        expires_at: startedAtMs / 1000 + 3600,
      },
    ])
  })

  test('of others cannot be ended by a guest, not even seen', async () => {
    api.world.sessions.set(ref, [sessionOf(owner, 's1'), sessionOf(guest, 's2')])
    api.world.ended.length = 0
    expect((await end(guest, 's1')).statusCode).toBe(404)
    expect(api.world.ended).toEqual([])
    expect((await end(guest, 's2')).statusCode).toBe(200)
    expect((await end(owner, 's2')).statusCode).toBe(200)
    expect(api.world.ended).toEqual([
      { ref, sessionId: 's2', reason: 'session closed by yourself' },
      { ref, sessionId: 's2', reason: 'session closed by an administrator' },
    ])
    expect(api.world.lastEvent('session_ended_by_hand')).toMatchObject({
      actor: owner.userId,
      subject: guest.userId,
      sessionId: 's2',
    })
  })

  test('are looked up within the project that the path names', async () => {
    const other = await api.project()
    const person = await api.person({ [other]: 'owner' })
    api.world.sessions.set(ref, [sessionOf(owner, 's1')])
    const answer = await api.ask(person.token, {
      method: 'DELETE',
      url: `/v1/projects/${other}/database/jit/sessions/s1`,
    })
    expect(answer.statusCode).toBe(404)
  })
})

describe('events', () => {
  const store = (): { append(batch: readonly AccessEvent[]): Promise<void> } =>
    api.deps.events as never
  const url = (query = '') => `/v1/projects/${ref}/database/jit/events${query}`
  const ask = async (person: Person, query = '') =>
    (await api.ask(person.token, { url: url(query) })).json()

  beforeAll(async () => {
    const base = { atMs: startedAtMs, ref, role: 'app', address: '192.0.2.7' }
    await store().append([
      { ...base, actor: owner.userId, action: 'login', sessionId: randomUUID() },
      { ...base, actor: guest.userId, action: 'login', role: 'reader' },
      { ...base, actor: guest.userId, action: 'ended', atMs: startedAtMs + 1000, durationMs: 5 },
      { ...base, actor: owner.userId, action: 'rule_changed', subject: guest.userId },
      { ...base, ref: 'another', actor: guest.userId, action: 'login' },
    ])
  })

  test('come newest first, page by page, each once', async () => {
    const actions: string[] = []
    let cursor = ''
    do {
      const page = await ask(owner, `?limit=3${cursor}`)
      actions.push(...page.items.map((item: { action: string }) => item.action))
      cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`
    } while (cursor !== '')
    expect(actions).toEqual(['rule_changed', 'ended', 'login', 'login'])
  })

  test('are one’s own for a guest: done by or to them, in this project', async () => {
    const { items } = await ask(guest)
    expect(items.map((item: { action: string }) => item.action)).toEqual([
      'rule_changed',
      'ended',
      'login',
    ])
    expect((await ask(guest, `?user_id=${owner.userId}`)).items).toEqual([])
  })

  test('can be filtered', async () => {
    expect((await ask(owner, '?action=ended')).items).toHaveLength(1)
    expect((await ask(owner, '?role=reader')).items).toHaveLength(1)
    expect((await ask(owner, `?user_id=${guest.userId}`)).items).toHaveLength(3)
    expect((await ask(owner, '?since=2026-01-01T00:00:01Z')).items).toHaveLength(1)
    expect((await ask(owner, '?until=2026-01-01T00:00:01Z')).items).toHaveLength(3)
  })

  test.each(['?limit=0', '?limit=501', '?cursor=x', '?action=nonsense', '?since=yesterday'])(
    'with %s are 400',
    async (query) => {
      expect((await api.ask(owner.token, { url: url(query) })).statusCode).toBe(400)
    },
  )
})
