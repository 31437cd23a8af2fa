// max_server_connections: what all pools of a project have together, as Postgres counts it.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import { typesOf } from '../support/raw-replies.ts'
import { SeededRandom } from '../support/seeded-random.ts'

let pooled: PooledPostgres
beforeEach(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), {
    poolSize: 5,
    attributes: 'replication',
    tenant: { maxServerConnections: 2 },
  })
})
afterEach(() => pooled.stop())

/** Of the role, in whatever database. */
async function servers(): Promise<number> {
  const sql = 'select count(*)::int as n from pg_stat_activity where usename = $1'
  const [row] = await pooled.postgres.query(sql, [pooled.role])
  return Number(row?.n)
}

async function run(client: RawClient, text: string): Promise<string> {
  await client.query(text)
  return typesOf(await client.untilReady())
}

const elsewhere = { database: 'postgres' }

test('is kept by pools of both ports, and by direct hosts of replication', async () => {
  const counts: number[] = []
  let isOver = false
  const watch = async () => {
    while (!isOver) counts.push(await servers())
  }
  const watching = watch()
  const random = new SeededRandom(5)
  const live = async (chance: SeededRandom) => {
    for (let round = 0; round < 4; round += 1) {
      const kind = chance.int(4)
      const client = await (kind === 0
        ? pooled.client('session')
        : kind === 1
          ? pooled.client('session', { settings: { replication: 'database' } })
          : pooled.client('transaction', kind === 2 ? elsewhere : {}))
      await run(client, 'select pg_sleep(0.01)')
      if (chance.chance(0.3)) client.reset()
      else await client.terminate()
    }
  }
  await Promise.all(Array.from({ length: 8 }, () => live(random.fork())))
  isOver = true
  await watching
  expect(Math.max(...counts)).toBe(2)
})

test('shows how many there are, and how many are wanted and have no room', async () => {
  const figures = () => [...pooled.pooler.plane.budgets.tenants()]
  const clients = await Promise.all(Array.from({ length: 3 }, () => pooled.client('transaction')))
  const begun = clients.map((client) => run(client, 'begin'))
  const tenantRef = pooled.pooler.tenant.ref
  await eventually(() => expect(figures()).toEqual([{ tenantRef, limit: 2, used: 2, wanted: 1 }]))
  const [first] = await Promise.race(begun.map(async (one, index) => [index, await one] as const))
  await run(clients[first] as RawClient, 'commit')
  await Promise.all(begun)
  await eventually(() => expect(figures()).toEqual([{ tenantRef, limit: 2, used: 2, wanted: 0 }]))
})

test('has an idle server of one pool closed, so that another can open one', async () => {
  const [one, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await run(one, 'begin')
  await run(other, 'begin')
  await run(one, 'commit')
  await run(other, 'commit')
  expect(await servers()).toBe(2)
  const session = await pooled.client('session')
  expect(await run(session, 'select 1')).toBe('TDCZ')
  const third = await pooled.client('transaction', elsewhere)
  expect(await run(third, 'select 1')).toBe('TDCZ')
  expect(await servers()).toBe(2)
})

test('that is used up keeps a client waiting, and names itself when that takes too long', async () => {
  const sessions = [await pooled.client('session'), await pooled.client('session')]
  pooled.changeRole({ checkoutTimeoutMs: 300 })
  const refused = await pooled.client('transaction').then(
    () => null,
    (error: { fields: Record<string, string> }) => error.fields,
  )
  expect(refused).toMatchObject({ S: 'FATAL', C: '53300' })
  expect(refused?.D).toMatch(/max_server_connections of the project: 2/)
  pooled.changeRole({ checkoutTimeoutMs: 30_000 })
  const login = pooled.client('transaction')
  await eventually(() => {
    const entries = [...pooled.pooler.plane.pools.entries()]
    return entries.some(({ pool }) => pool.waiters === 1)
  })
  await sessions[0]?.terminate()
  expect(await run(await login, 'select 1')).toBe('TDCZ')
})

test('that a project’s change lowers or raises applies to what is open', async () => {
  const clients = [
    await pooled.client('transaction'),
    await pooled.client('transaction', elsewhere),
  ]
  const all = (text: string) => Promise.all(clients.map((client) => run(client, text)))
  await all('begin')
  await all('commit')
  const change = (maxServerConnections: number | null) => {
    pooled.pooler.tenant = { ...pooled.pooler.tenant, maxServerConnections }
    pooled.pooler.plane.budgets.review(pooled.pooler.tenant.ref)
  }
  change(1)
  await eventually(async () => (await servers()) === 1)
  await all('select 1')
  change(null)
  expect(await all('begin')).toEqual(['CZ', 'CZ'])
  expect(await servers()).toBe(2)
  await all('rollback')
})
