// How many servers there are, as Postgres counts them, and who gets the next one.
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import type * as raw from '../support/raw-messages.ts'
import { SeededRandom } from '../support/seeded-random.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

async function start(options: PooledPostgresOptions = {}): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...options })
}

async function run(client: RawClient, text: string): Promise<raw.RawMessage[]> {
  await client.query(text)
  return client.untilReady()
}

const waiters = () =>
  [...pooled.pooler.plane.pools.entries()].reduce((sum, { pool }) => sum + pool.waiters, 0)

describe('pool_size', () => {
  test('is never exceeded as Postgres counts, whatever clients do', async () => {
    await start({ poolSize: 3 })
    const counts: number[] = []
    let isOver = false
    const watch = async () => {
      while (!isOver) counts.push((await pooled.backends()).length)
    }
    const watching = watch()
    const random = new SeededRandom(11)
    const live = async (chance: SeededRandom) => {
      for (let round = 0; round < 6; round += 1) {
        const client = await pooled.client('transaction')
        await run(client, 'select 1')
        await client.query('begin; select pg_sleep(0.02)')
        if (chance.chance(0.5)) await client.untilReady()
        if (chance.chance(0.5)) client.reset()
        else await client.terminate()
      }
    }
    await Promise.all(Array.from({ length: 12 }, () => live(random.fork())))
    isOver = true
    await watching
    expect(Math.max(...counts)).toBe(3)
  })

  test('of one gives the server to who came first', async () => {
    await start()
    const holder = await pooled.client('transaction')
    await run(holder, 'begin')
    const order: number[] = []
    const waiting: Promise<void>[] = []
    for (let number = 1; number <= 6; number += 1) {
      const client = await pooled.client('transaction')
      await client.query(`select ${number}`)
      await eventually(() => waiters() === number)
      waiting.push(client.untilReady().then(() => void order.push(number)))
    }
    await run(holder, 'commit')
    await Promise.all(waiting)
    expect(order).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('that is lowered or raised applies to what is open', async () => {
    await start({ poolSize: 3 })
    const clients = await Promise.all([1, 2, 3].map(() => pooled.client('transaction')))
    const begin = () => Promise.all(clients.map((client) => run(client, 'begin')))
    const commit = () => Promise.all(clients.map((client) => run(client, 'commit')))
    await begin()
    await commit()
    expect((await pooled.backends()).length).toBe(3)
    const resize = (poolSize: number) => pooled.changeRole({ poolSize })
    resize(1)
    await eventually(async () => {
      await Promise.all(clients.map((client) => run(client, 'select pg_sleep(0.01)')))
      return (await pooled.backends()).length === 1
    })
    resize(3)
    await begin()
    expect((await pooled.backends()).length).toBe(3)
    await commit()
  })
})
