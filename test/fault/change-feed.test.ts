import { afterEach, expect, test } from 'vitest'
import { type Change, ChangeFeed } from '../../pooler/store/change-feed.ts'
import { nullLog } from '../../shared/log.ts'
import { eventually } from '../support/eventually.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { openTestMetadata } from '../support/metadata.ts'
import { StallingProxy } from '../support/stalling-proxy.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

async function setup() {
  const metadata = await openTestMetadata()
  open.push(() => metadata.close())
  const url = new URL(metadata.url)
  const proxy = await StallingProxy.open(url.hostname, Number(url.port))
  open.push(() => proxy.close())
  url.host = `127.0.0.1:${proxy.port}`
  const clock = new ManualClock()
  const feed = new ChangeFeed({ url: url.href, database: metadata.database, clock, log: nullLog })
  open.push(() => feed.close())
  const heard: Change[] = []
  feed.onChange((change) => heard.push(change))
  return { metadata, proxy, clock, feed, heard }
}

test('a process is blind before its feed was ever heard', async () => {
  const { feed } = await setup()
  expect(feed.isBlind).toBe(true)
  await feed.start()
  expect(feed.isBlind).toBe(false)
})

test('heartbeats keep the process sighted for as long as they come', async () => {
  const { feed, clock, heard } = await setup()
  await feed.start()
  for (let second = 0; second < 20; second++) {
    clock.advance(1000)
    // Each beat has come back before the next second.
    await eventually(() => feed.lastBeatAgeMs === 0)
    expect(feed.isBlind).toBe(false)
  }
  expect(heard).toEqual([])
})

test('a feed that hangs makes the process blind after 5 s; a new one has all read again', async () => {
  const { feed, clock, proxy, heard, metadata } = await setup()
  await feed.start()
  await eventually(() => proxy.connectionCount === 1)
  proxy.stall()
  clock.advance(5000)
  expect(feed.isBlind).toBe(false)
  await metadata.tenants.put('missed', {
    dbHost: 'db.example.com',
    dbPort: 5432,
    dbDatabase: 'postgres',
    users: [],
  })
  clock.advance(1000)
  await eventually(() => heard.length > 0)
  expect(heard).toEqual([{ kind: 'reread-all' }])
  expect(feed.isBlind).toBe(false)
  await eventually(() => proxy.connectionCount === 1)
})

test('an event loop that was held up for more than 5 s has all read again', async () => {
  const { feed, clock, heard } = await setup()
  await feed.start()
  clock.advance(1000)
  await eventually(() => feed.lastBeatAgeMs === 0)
  clock.stall(8000)
  await eventually(() => heard.length > 0)
  expect(heard).toEqual([{ kind: 'reread-all' }])
  expect(feed.isBlind).toBe(false)
})

test('metadata that are away at start are an error, not a hang', async () => {
  const { feed, proxy } = await setup()
  await proxy.close()
  await expect(feed.start()).rejects.toThrow()
})
