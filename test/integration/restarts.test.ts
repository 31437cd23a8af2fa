// Postgres is restarted, or short of connections, while clients work; a process that is full.
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { allMoved, hubOf, Listener } from '../support/listeners.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import {
  type StartPostgresOptions,
  sharedPostgres,
  startPostgres,
  type TestPostgres,
} from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import { LoginRefused } from '../support/raw-login.ts'
import { describeReply, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function startOnOwn(options: PooledPostgresOptions, settings?: StartPostgresOptions) {
  const own = await startPostgres(settings)
  closers.push(() => own.stop('immediate'))
  pooled = await PooledPostgres.start(own, options)
  // Fails where a client, a waiter or a busy server is left.
  closers.push(() => pooled.stop())
  return own
}

/** Runs transactions until told to stop; gives how many, and the words with which it was ended. */
class Worker {
  transactions = 0
  /** Of each connection that was lost, all that came since its last complete transaction. */
  readonly ends: string[] = []
  isOver = false

  async run(): Promise<void> {
    let client = await pooled.client('transaction')
    while (!this.isOver) {
      try {
        for (const sql of ['begin', 'select pg_sleep(0.003)', 'commit']) {
          await client.query(sql)
          const replies = await client.untilReady()
          // An ERROR would be one too many: what fails here fails with the connection.
          if (replies.some(({ type }) => type === 'E')) {
            throw new Error(`${sql}: ${replies.map(describeReply).join(' ')}`)
          }
        }
        this.transactions++
      } catch (error) {
        // The failure lists what came last, and the last thing to come is why.
        const codes = [...String(error).matchAll(/E\((?:FATAL|ERROR) (\w{5})/g)].map(
          ([, code]) => code,
        )
        this.ends.push(codes.join(' ') || String(error))
        client = await pooled.client('transaction')
      }
    }
  }
}

/** Ten clients at work on four servers, others idle, one listening, while `disturb` does its worst. */
async function underLoad(disturb: (own: TestPostgres) => Promise<void>): Promise<string[]> {
  const own = await startOnOwn({ poolSize: 4 })
  const idle: RawClient[] = []
  for (let count = 0; count < 4; count += 1) idle.push(await pooled.client('transaction'))
  for (const client of idle) expect(await pooled.value(client, 'select 1')).toBe('1')
  const listener = await Listener.start(pooled)
  expect(await listener.run('listen news')).toBe('CZ')
  await allMoved(pooled)
  const workers = Array.from({ length: 10 }, () => new Worker())
  const running = workers.map((worker) => worker.run())
  const done = () => workers.reduce((sum, { transactions }) => sum + transactions, 0)
  await eventually(() => done() > 30)
  await disturb(own)
  const before = done()
  await eventually(() => done() > before + 30)
  for (const worker of workers) worker.isOver = true
  await Promise.all(running)
  for (const client of idle) {
    expect(client.pending()).toEqual([])
    expect(await pooled.value(client, 'select 2')).toBe('2')
  }
  expect(workers.every(({ transactions }) => transactions > 0)).toBe(true)
  await eventually(() => hubOf(pooled).isConnected)
  await eventually(async () => {
    await pooled.value(idle[0] as RawClient, "select pg_notify('news', 'again')")
    return listener.payloads.includes('again')
  })
  return workers.flatMap((worker) => worker.ends)
}

/** It ended by itself, because nobody was left: nothing harder than asked for was needed. */
const endedSmartly = (own: TestPostgres): void => {
  const log = own.recentLog.join('\n')
  expect(log).toContain('received smart shutdown request')
  expect(log).not.toMatch(/received (fast|immediate) shutdown request/)
}

describe.each(['fast', 'immediate'] as const)('a %s restart under load', (mode) => {
  test('costs each running transaction one error, and nobody else anything', async () => {
    const ends = await underLoad((own) => own.restart(mode))
    // Four servers were there to be lost, those who waited for one went on waiting.
    expect(ends.length).toBeLessThanOrEqual(4)
    for (const end of ends) expect(end).toMatch(/^(57P0[12]|08006)$/)
  })
})

test('kill -9 of a backend under load costs each running transaction one error', async () => {
  const ends = await underLoad(async (own) => {
    own.kill9Backend((await pooled.running('pg_sleep')).pid)
  })
  expect(ends.length).toBeGreaterThan(0)
  expect(ends.length).toBeLessThanOrEqual(4)
  for (const end of ends) expect(end).toMatch(/^(57P0[12]|08006)$/)
})

describe('a smart restart under load', () => {
  test('comes to its end once a newcomer is refused, and costs nobody anything', async () => {
    const ends = await underLoad(async (own) => {
      const halted = own.halt('smart')
      await eventually(() => own.recentLog.some((line) => line.includes('smart shutdown request')))
      // Needs a server that there is none of, and so finds out; it waits for Postgres to come back.
      const newcomer = pooled.client('session')
      await halted
      endedSmartly(own)
      await own.start()
      expect(await pooled.value(await newcomer, 'select 3')).toBe('3')
    })
    expect(ends).toEqual([])
  })

  test('comes to its end while the pool is paused, and costs nobody anything', async () => {
    const ends = await underLoad(async (own) => {
      const pools = [...pooled.pooler.plane.pools.entries()].map(({ pool }) => pool)
      for (const pool of pools) pool.pause()
      await eventually(() => pools.every(({ isEmpty }) => isEmpty))
      expect(await pooled.backends()).toEqual([])
      await own.halt('smart')
      endedSmartly(own)
      await own.start()
      for (const pool of pools) pool.resume()
    })
    expect(ends).toEqual([])
  })
})

test('53300 from Postgres keeps clients waiting, and all are served in the end', async () => {
  const settings = { max_connections: '8', superuser_reserved_connections: '3' }
  await startOnOwn({ poolSize: 20 }, { settings: { ...settings, max_wal_senders: '0' } })
  const clients = await Promise.all(Array.from({ length: 15 }, () => pooled.client('transaction')))
  await Promise.all(
    clients.map(async (client) => {
      for (let round = 0; round < 3; round += 1) {
        await client.query('select pg_sleep(0.05)')
        expect(typesOf(await client.untilReady())).toBe('TDCZ')
      }
    }),
  )
})

test('a process that is full says so with 53300, and takes the next when one has left', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { config: { clientsMax: 2 } })
  closers.push(() => pooled.stop())
  const [one] = [await pooled.client('transaction'), await pooled.client('session')]
  const refused = await pooled.client('transaction').catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(LoginRefused)
  expect((refused as LoginRefused).fields).toMatchObject({ S: 'FATAL', C: '53300' })
  expect((refused as LoginRefused).fields.M).toMatch(/EMAXCONNPROCESS/)
  await one?.terminate()
  const next = await eventually(() => pooled.client('transaction'))
  expect(await pooled.value(next, 'select 1')).toBe('1')
})
