// Errors of ours behind which a client goes on are counted as those that end it, once each.
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const start = async (options: PooledPostgresOptions = {}): Promise<void> => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...options })
}

/** What the client is told, up to the next ReadyForQuery. */
async function say(client: RawClient, ...messages: Buffer[]): Promise<(string | undefined)[]> {
  await client.send(Buffer.concat(messages))
  const errors = (await client.untilReady()).filter(({ type }) => type === 'E')
  return errors.map(({ body }) => /^\((\w+)\)/.exec(errorFields(body).M ?? '')?.[1])
}

/** By code, of all that the project's clients were told. */
const counted = () => {
  const { counters, tenant } = pooled.pooler
  return Object.fromEntries(counters.of(tenant.ref).errors.entries())
}

test('a client that waits in vain for a server', async () => {
  await start()
  const holder = await pooled.client('transaction')
  const client = await pooled.client('transaction')
  await say(holder, raw.query('begin'))
  pooled.changeRole({ checkoutTimeoutMs: 200 })
  const select = raw.query('select 1')
  expect(await say(client, select, select)).toEqual(['ECHECKOUTTIMEOUT'])
  expect(await say(client)).toEqual(['ECHECKOUTTIMEOUT'])
  // Both were refused together.
  expect(counted()).toEqual({ ECHECKOUTTIMEOUT: 1 })
  expect(await say(client, select)).toEqual(['ECHECKOUTTIMEOUT'])
  expect(counted()).toEqual({ ECHECKOUTTIMEOUT: 2 })
})

test('a client that finds too many waiting', async () => {
  await start({ config: { poolWaitersMax: 1 } })
  const holder = await pooled.client('transaction')
  const waiter = await pooled.client('transaction')
  const client = await pooled.client('transaction')
  await say(holder, raw.query('begin'))
  await waiter.query('select 1')
  await eventually(async () => expect(await pooled.waiters()).toBe(1))
  expect(await say(client, raw.query('select 1'))).toEqual(['EMAXWAITERS'])
  expect(counted()).toEqual({ EMAXWAITERS: 1 })
})

test('a query that runs too long, and one that comes to its end', async () => {
  await start({ config: { queryTimeoutMs: 300 } })
  for (const port of ['transaction', 'session'] as const) {
    const client = await pooled.client(port)
    expect(await say(client, raw.query('select 1'))).toEqual([])
    expect(await say(client, raw.query('select pg_sleep(600)'))).toEqual(['EQUERYTIMEOUT'])
    client.close()
    await pooled.settled()
  }
  expect(counted()).toEqual({ EQUERYTIMEOUT: 2 })
})

test('names of statements beyond a limit, where the client is told', async () => {
  await start({ config: { clientPreparedStatementsMax: 1 } })
  const client = await pooled.client('transaction')
  const one = raw.parse('one', 'select 1')
  const more = raw.parse('two', 'select 2')
  expect(await say(client, one, more, more, raw.sync())).toEqual(['EPREPAREDLIMIT'])
  // The batch has failed before: nobody hears of the limit.
  expect(await say(client, raw.parse('', 'selekt'), more, raw.sync())).toEqual([undefined])
  expect(counted()).toEqual({ EPREPAREDLIMIT: 1 })
  const long = raw.parse('x'.repeat(3000), 'select 3')
  expect(await say(client, long, raw.sync())).toEqual(['ENAMETOOLONG'])
  expect(counted()).toEqual({ EPREPAREDLIMIT: 1, ENAMETOOLONG: 1 })
})
