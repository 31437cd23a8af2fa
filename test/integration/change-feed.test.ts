import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Change, ChangeFeed } from '../../pooler/store/change-feed.ts'
import type { RuleInput } from '../../pooler/store/rules.ts'
import { systemClock } from '../../shared/clock.ts'
import { nullLog } from '../../shared/log.ts'
import { eventually } from '../support/eventually.ts'
import { openTestMetadata, someTenant, type TestMetadata } from '../support/metadata.ts'
import { sharedPostgres } from '../support/postgres.ts'

let metadata: TestMetadata
const feeds: ChangeFeed[] = []
beforeAll(async () => {
  metadata = await openTestMetadata()
})
afterEach(async () => {
  for (const feed of feeds.splice(0)) await feed.close()
})
afterAll(() => metadata.close())

async function openFeed() {
  const { url, database } = metadata
  const feed = new ChangeFeed({ url, database, clock: systemClock, log: nullLog })
  feeds.push(feed)
  await feed.start()
  const heard: Change[] = []
  feed.onChange((change) => heard.push(change))
  return { feed, heard }
}

/** Ends the listening connections of this metadata database, as a failover does. */
const cutFeeds = () =>
  sharedPostgres().query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'latchkey (changes)' and datname = $1`,
    [new URL(metadata.url).pathname.slice(1)],
  )

const rule = (role: string): RuleInput => ({
  role,
  expiresAtMs: null,
  networksV4: [],
  networksV6: [],
  branchesOnly: false,
})

async function member() {
  const userId = randomUUID()
  await metadata.members.put(userId, { email: null, name: 'Ada' })
  return userId
}

test('every change of a row is heard in every process, whoever makes it', async () => {
  const [one, two] = [await openFeed(), await openFeed()]
  const userId = await member()
  await metadata.tenants.put('heard', someTenant())
  await metadata.members.putMembership('heard', userId, 'developer', 'operator')
  await metadata.rules.replaceForMember('heard', userId, [rule('app')])
  const { record } = await metadata.tokens.create({ userId, name: 'laptop' })
  await metadata.tokens.revoke(record.id)
  await metadata.database.db
    .updateTable('tenants')
    .set({ enforce_ssl: true })
    .where('ref', '=', 'heard')
    .execute()
  const expected = [
    { kind: 'member', userId },
    { kind: 'tenant', ref: 'heard' },
    { kind: 'membership', ref: 'heard', userId },
    { kind: 'rule', ref: 'heard', userId },
    { kind: 'token', id: record.id },
    { kind: 'token', id: record.id },
    { kind: 'tenant', ref: 'heard' },
  ]
  for (const { heard } of [one, two]) {
    await eventually(() => heard.length === expected.length)
    expect(heard).toEqual(expected)
  }
})

test('what goes along with a deleted row is heard too', async () => {
  const userId = await member()
  await metadata.tenants.put('parent', someTenant())
  await metadata.tenants.put('branch', someTenant({ parentRef: 'parent' }))
  await metadata.members.putMembership('parent', userId, 'guest', 'operator')
  await metadata.rules.replaceForMember('parent', userId, [rule('app')])
  const { record } = await metadata.tokens.create({ userId, name: 'laptop' })
  const { heard } = await openFeed()
  await metadata.members.remove(userId)
  await eventually(() => heard.length === 4)
  expect(heard).toEqual(
    expect.arrayContaining([
      { kind: 'member', userId },
      { kind: 'membership', ref: 'parent', userId },
      { kind: 'rule', ref: 'parent', userId },
      { kind: 'token', id: record.id },
    ]),
  )
  await metadata.tenants.remove('parent')
  await eventually(() => heard.length === 6)
  expect(heard.slice(4)).toEqual(
    expect.arrayContaining([
      { kind: 'tenant', ref: 'parent' },
      { kind: 'tenant', ref: 'branch' },
    ]),
  )
})

test("a change of the parent's state is a change of its branches", async () => {
  await metadata.tenants.put('upper', someTenant({ enforceSsl: true }))
  await metadata.tenants.put('lower', someTenant({ parentRef: 'upper' }))
  const { heard } = await openFeed()
  await metadata.tenants.setJit('upper', true)
  await eventually(() => heard.length === 2)
  expect(heard).toContainEqual({ kind: 'tenant', ref: 'lower' })
})

test('a change that is rolled back, and a use of a token, are not heard', async () => {
  const userId = await member()
  const { record } = await metadata.tokens.create({ userId, name: 'laptop' })
  const { heard } = await openFeed()
  const rollingBack = metadata.database.db.transaction().execute(async (transaction) => {
    await transaction.deleteFrom('members').where('user_id', '=', userId).execute()
    throw new Error('changed my mind')
  })
  await expect(rollingBack).rejects.toThrow('changed my mind')
  await metadata.tokens.touchLastUsed(new Map([[record.id, Date.now()]]))
  await metadata.tokens.revoke(record.id)
  await eventually(() => heard.length > 0)
  expect(heard).toEqual([{ kind: 'token', id: record.id }])
})

test('a session’s end by hand reaches every process', async () => {
  const [one, two] = [await openFeed(), await openFeed()]
  const change = { kind: 'session-end', ref: 'shop', sessionId: 'x', reason: 'by hand' } as const
  await one.feed.announce(change)
  for (const { heard } of [one, two]) {
    await eventually(() => heard.length === 1)
    expect(heard).toEqual([change])
  }
})

test('after its connection was cut the feed says that changes may have been missed', async () => {
  const { feed, heard } = await openFeed()
  await cutFeeds()
  await eventually(() => heard.length > 0)
  expect(heard).toEqual([{ kind: 'reread-all' }])
  expect(feed.isBlind).toBe(false)
  const userId = await member()
  await eventually(() => heard.length > 1)
  expect(heard[1]).toEqual({ kind: 'member', userId })
})

test('what anybody else says on the channel is no change', async () => {
  const { feed, heard } = await openFeed()
  const postgres = sharedPostgres()
  const database = new URL(metadata.url).pathname.slice(1)
  const texts = ['', 'hello', '{}', 'null', '[]', '{"kind":"rule","ref":1}', '{"kind":"toString"}']
  for (const text of texts) {
    await postgres.query(`select pg_notify('latchkey_changes', $1)`, [text], database)
  }
  const userId = await member()
  await eventually(() => heard.length > 0)
  expect(heard).toEqual([{ kind: 'member', userId }])
  expect(feed.isBlind).toBe(false)
})
