import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { StoreSetup } from '../support/store-setup.ts'

const setup = new StoreSetup()

test('events come back newest first, page by page, each once', async () => {
  const ref = setup.newRef()
  const batch = Array.from({ length: 5 }, (_, index) => ({
    atMs: Date.UTC(2026, 0, 1) + index,
    ref,
    actor: 'operator',
    action: 'state_changed' as const,
    reason: String(index),
  }))
  await setup.metadata.events.append(batch)
  const first = await setup.metadata.events.query({ ref, limit: 3 })
  expect(first.events.map((event) => event.reason)).toEqual(['4', '3', '2'])
  const second = await setup.metadata.events.query({ ref, limit: 3, before: first.next ?? '' })
  expect(second.events.map((event) => event.reason)).toEqual(['1', '0'])
  expect(second.next).toBeNull()
})

test('every field of an event is kept, and a NUL from a client does not lose the batch', async () => {
  const ref = setup.newRef()
  const event = {
    atMs: Date.UTC(2026, 0, 1),
    ref,
    actor: randomUUID(),
    action: 'ended' as const,
    subject: randomUUID(),
    role: 'postgres',
    address: '192.0.2.1',
    tokenId: randomUUID(),
    tokenName: 'laptop',
    applicationName: 'psql\0',
    sessionId: 'abc',
    reason: 'rule expired',
    durationMs: 12,
    transactions: 3,
    bytes: 2 ** 40,
    count: 1,
    details: { self: true },
  }
  await setup.metadata.events.append([event])
  const { events } = await setup.metadata.events.query({ ref, concerning: event.subject })
  expect(events).toEqual([
    { ...event, applicationName: 'psql\uFFFD', id: expect.any(Number), process: 'test' },
  ])
  expect((await setup.metadata.events.query({ ref, actor: randomUUID() })).events).toEqual([])
})

test('events outlive the project, and old ones are removed by age alone', async () => {
  const { ref } = await setup.newProject()
  const at = (atMs: number) => ({ atMs, ref, actor: null, action: 'login' as const })
  await setup.metadata.events.append([at(Date.UTC(2000, 0, 1)), at(Date.UTC(2026, 0, 1))])
  await setup.metadata.tenants.remove(ref)
  expect((await setup.metadata.events.query({ ref })).events).toHaveLength(2)
  expect(await setup.metadata.events.removeOlderThan(Date.UTC(2000, 0, 2))).toBe(1)
  expect((await setup.metadata.events.query({ ref })).events).toHaveLength(1)
})
