import { randomBytes, randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { EndedSessionStore } from '../../pooler/store/ended-sessions.ts'
import { StoreSetup } from '../support/store-setup.ts'

const setup = new StoreSetup()
const hourMs = 3_600_000
const newKey = () => randomBytes(32).toString('hex')

test('of several ends of one session the latest counts', async () => {
  const { database } = setup.metadata
  const ended = new EndedSessionStore(database)
  const [key, id, now] = [newKey(), randomUUID(), Date.now()]
  for (const hours of [1, 3, 2]) await ended.end(key, id, now + hours * hourMs)
  const row = await database.db
    .selectFrom('ended_sessions')
    .select('ends_at')
    .where('key', '=', Buffer.from(key, 'hex'))
    .executeTakeFirst()
  expect(row).toEqual({ ends_at: new Date(now + 3 * hourMs) })
})

test('a session that is over by itself goes with the next log-out', async () => {
  const ended = new EndedSessionStore(setup.metadata.database)
  const [key, other, id] = [newKey(), newKey(), randomUUID()]
  await ended.end(key, id, Date.now() - hourMs)
  expect(await ended.isEnded(key)).toBe(true)
  await ended.end(other, id, Date.now() + hourMs)
  expect([await ended.isEnded(key), await ended.isEnded(other)]).toEqual([false, true])
})
