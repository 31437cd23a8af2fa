// What the clients of a soak do. Each activity knows what it must be told, and throws a WrongAnswer
// when it is told something else, which nothing explains.
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Client } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import type { SeededRandom } from '../support/seeded-random.ts'

export class WrongAnswer extends Error {}

/** One client's life, as far as its activities need to remember it. */
export interface SoakClient {
  readonly client: Client
  readonly random: SeededRandom
  /** No other client of the run has it. */
  readonly token: string
  /** It sends without waiting, as drivers that pipeline do; `pg` then knows no COPY. */
  readonly isPipelining: boolean
  /** What it has set and has not taken back. */
  zone: string | null
  count: number
  readonly rows: RowBook
}

/** Rows of one database that must be there in the end, and those that may be. */
export interface RowBook {
  committed: number
  doubtful: number
}

type Activity = (soak: SoakClient) => Promise<void>

function expectAnswer(what: string, answer: unknown, expected: unknown): void {
  const [got, wanted] = [JSON.stringify(answer), JSON.stringify(expected)]
  if (got !== wanted) throw new WrongAnswer(`${what}: ${got?.slice(0, 300)} instead of ${wanted}`)
}

const zones = ['Asia/Tokyo', 'America/Lima', 'Europe/Oslo']
const notificationTimeoutMs = 10_000

export const soakActivities: Readonly<Record<string, Activity>> = {
  async 'simple query'({ client, token, count }) {
    const { rows } = await client.query(`select '${token}' as token, ${count} as count`)
    expectAnswer('simple query', rows, [{ token, count }])
  },

  async 'several statements'({ client, random }) {
    const n = random.below(500)
    const results = (await client.query(
      `select 1; select n from generate_series(1, ${n}) n; select 'end' as e`,
    )) as unknown as { rowCount: number }[]
    const counts = results.map(({ rowCount }) => rowCount)
    expectAnswer('several statements', counts, [1, n, 1])
  },

  async 'extended queries at once'({ client, token, count }) {
    const asked = Array.from({ length: 6 }, (_, n) =>
      client.query('select $1::text as token, $2::int as n, repeat($1, 50) as long', [
        token,
        count + n,
      ]),
    )
    const told = (await Promise.all(asked)).map(({ rows }) => [rows[0]?.token, rows[0]?.n])
    expectAnswer(
      'extended',
      told,
      asked.map((_, n) => [token, count + n]),
    )
  },

  async 'named statements'({ client, random, token }) {
    for (let left = 4; left > 0; left--) {
      const n = random.below(8)
      const text = `select $1::text as token, ${n} as n`
      const { rows } = await client.query({ name: `n${n}`, text, values: [token] })
      expectAnswer('named', rows, [{ token, n }])
    }
  },

  async 'an error, and on'({ client, random }) {
    const wrong = random.pick(['select 1/0', 'selec', 'select * from nowhere'])
    const error = await client.query(wrong).then(
      () => new WrongAnswer(`${wrong} did not fail`),
      (reason: { code?: string }) => reason,
    )
    if (!('code' in error) || !/^(22012|42601|42P01)$/.test(String(error.code))) throw error
    expectAnswer('after an error', (await client.query('select 7 as n')).rows, [{ n: 7 }])
  },

  async transaction(soak) {
    const { client, random, rows } = soak
    const isWanted = random.below(3) > 0
    await client.query('begin')
    const insert = 'insert into soak_rows values ($1, $2) returning id'
    expectAnswer('insert', (await client.query(insert, [soak.count, isWanted])).rowCount, 1)
    if (random.below(2) === 0) await client.query('savepoint s; select 1; release s')
    if (!isWanted) {
      await client.query('rollback')
      return
    }
    rows.doubtful += 1
    await client.query('commit')
    rows.doubtful -= 1
    rows.committed += 1
  },

  async 'COPY in'({ client, random, token, isPipelining }) {
    if (isPipelining) return
    const lines = 1 + random.below(3000)
    await client.query('begin; create temp table copied (token text, n int) on commit drop')
    const source = Readable.from(
      (function* () {
        for (let n = 0; n < lines; n++) yield `${token}\t${n}\n`
      })(),
    )
    await pipeline(source, client.query(copyFrom('copy copied from stdin')))
    const { rows } = await client.query(
      'select count(*)::int as n, min(token) as token from copied',
    )
    expectAnswer('COPY in', rows, [{ n: lines, token }])
    await client.query('commit')
  },

  async 'COPY out'({ client, random, isPipelining }) {
    if (isPipelining) return
    const lines = 1 + random.below(20_000)
    let bytes = 0
    const sql = `copy (select repeat('x', 60) from generate_series(1, ${lines})) to stdout`
    for await (const chunk of client.query(copyTo(sql))) bytes += chunk.length
    expectAnswer('COPY out', bytes, lines * 61)
  },

  async 'large rows'({ client }) {
    const { rows } = await client.query(
      'select repeat(n::text, 100000) as text from generate_series(1, 9) n',
    )
    expectAnswer(
      'large rows',
      rows.map(({ text }) => String(text).length),
      Array(9).fill(100_000),
    )
  },

  async 'a setting'(soak) {
    const { client, random } = soak
    if (random.below(4) === 0) {
      await client.query('reset timezone')
      soak.zone = null
    } else {
      const zone = random.pick(zones)
      await client.query(`set timezone to '${zone}'`)
      soak.zone = zone
    }
  },

  async 'a look at the settings'({ client, zone, token }) {
    const { rows } = await client.query(
      "select current_setting('timezone') as zone, current_setting('application_name') as name",
    )
    expectAnswer('application_name', rows[0]?.name, token)
    if (zone !== null) expectAnswer('timezone', rows[0]?.zone, zone)
    else if (zones.includes(String(rows[0]?.zone)))
      throw new WrongAnswer(`zone of another: ${zone}`)
  },

  async notifications({ client, token, count }) {
    const heard = once(client, 'notification', {
      signal: AbortSignal.timeout(notificationTimeoutMs),
    })
    heard.catch(() => {})
    await client.query(`listen "${token}"`)
    await client.query('select pg_notify($1, $2)', [token, String(count)])
    const [{ channel, payload }] = (await heard) as [{ channel: string; payload: string }]
    expectAnswer('notification', [channel, payload], [token, String(count)])
    await client.query('unlisten *')
  },

  async 'a temporary table'({ client, count }) {
    await client.query('create temp table own (n int)')
    await client.query('insert into own values ($1)', [count])
    expectAnswer('temporary', (await client.query('select n from own')).rows, [{ n: count }])
    await client.query('drop table own')
  },

  async 'an advisory lock'({ client, token }) {
    await client.query('select pg_advisory_lock(hashtext($1))', [token])
    const { rows } = await client.query('select pg_advisory_unlock(hashtext($1)) as had', [token])
    expectAnswer('unlock', rows, [{ had: true }])
  },

  async 'a cursor in SQL'({ client }) {
    await client.query('begin; declare c cursor for select n from generate_series(1, 100) n')
    expectAnswer('cursor', (await client.query('fetch 3 from c')).rows, [
      { n: 1 },
      { n: 2 },
      { n: 3 },
    ])
    await client.query('commit')
  },

  async 'a slow query'({ client, random }) {
    await client.query('select pg_sleep($1)', [random.below(40) / 1000])
  },
}
