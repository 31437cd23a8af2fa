// `pg` with its companions, as applications use it: the same program direct and through either port.
import type { Client, ClientConfig, PoolClient } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { failureOf, withClient, withPool } from '../support/pg-programs.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { Ways } from '../support/ways.ts'

let ways: Ways
beforeAll(async () => {
  ways = await Ways.open(sharedPostgres(), {
    prepare: `create table item (id int primary key, name text not null, at timestamptz);
      insert into item select n, 'item ' || n, timestamptz '2026-01-01 00:00Z' + n * interval '1 h'
      from generate_series(1, 1000) n`,
  })
})
afterAll(() => ways.close())

test('a pool of clients and many queries at once, of every kind of value', async () => {
  const told = await ways.agree((address) =>
    withPool(address, async (pool) => {
      const queries = Array.from({ length: 120 }, (_, n) =>
        pool.query(
          `select $1::int as n, $2::text as t, $3::jsonb as j, $4::bytea as b, $5::timestamptz as at,
             $6::int[] as list, $7::numeric as d, $8::bigint as big, $9::bool as yes, $10::text as nil`,
          [
            n,
            `text ${n} ü`,
            { n, deep: [n] },
            Buffer.of(0, n, 255),
            new Date(Date.UTC(2026, 0, 1, n)),
            [n, n + 1],
            `${n}.5`,
            `${2n ** 40n + BigInt(n)}`,
            n % 2 === 0,
            null,
          ],
        ),
      )
      return (await Promise.all(queries)).map(({ rows, fields }) => ({
        rows,
        types: fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
      }))
    }),
  )
  expect(told).toHaveLength(120)
})

test('one client of the transaction port meets several servers meanwhile', async () => {
  await ways.agree((address, way) =>
    withClient(address, async (client) => {
      const pids = new Set<number>()
      const look = async () => {
        const { rows } = await client.query('select pg_backend_pid() as pid')
        return pids.add(rows[0].pid).size > 1
      }
      if (way === 'transaction') await eventually(look)
      return null
    }),
  )
})

test('named statements, the same on many clients and used again behind an error', async () => {
  await ways.agree((address) =>
    withPool(address, async (pool) => {
      const find = (id: unknown) => ({
        name: 'one',
        text: 'select name from item where id = $1',
        values: [id],
      })
      const found = Array.from({ length: 200 }, (_, n) => pool.query(find(n)))
      const names = (await Promise.all(found)).map(({ rows }) => rows)
      const failed = await failureOf(pool.query(find('not a number')))
      const again = await Promise.all(Array.from({ length: 20 }, (_, n) => pool.query(find(n))))
      const other = { name: 'fails', text: 'select 1 / ($1::int - 5) as n' }
      const mixed = await Promise.all(
        [4, 5, 6, 5, 7].map((n) =>
          pool.query({ ...other, values: [n] }).then(
            ({ rows }) => rows,
            ({ code }) => code,
          ),
        ),
      )
      return [names, failed, again.map(({ rows }) => rows), mixed]
    }),
  )
})

test('a statement whose text does not parse poisons neither its name nor the connection', async () => {
  await ways.agree((address) =>
    withClient(address, async (client) => [
      await failureOf(client.query({ name: 'new', text: 'selec 1' })),
      (await client.query({ name: 'new', text: 'select 2 as two' })).rows,
      await failureOf(client.query('select * from nowhere where id = $1', [1])),
      (await client.query('select $1::text as fine', ['yes'])).rows,
    ]),
  )
})

async function inTransaction(client: PoolClient | Client): Promise<unknown[]> {
  const told: unknown[] = []
  const run = async (sql: string, values?: unknown[]) => {
    const { command, rowCount, rows } = await client.query(sql, values)
    told.push([command, rowCount, rows])
  }
  await run('begin isolation level repeatable read')
  await run('show transaction_isolation')
  await run('update item set name = $1 where id <= $2 returning id', ['new', 3])
  await run('savepoint before')
  told.push(await failureOf(client.query('insert into item values ($1, $2)', [1, 'again'])))
  told.push(await failureOf(client.query('select 1')))
  await run('rollback to before')
  await run('select name from item where id = $1', [1])
  await run('commit')
  await run('begin')
  told.push(await failureOf(client.query('select 1 / $1::int', [0])))
  await run('commit')
  await run('select count(*) from item')
  return told
}

test('transactions with savepoints and failures, side by side', async () => {
  await ways.agree((address) =>
    withPool(address, async (pool) => {
      const alone = await pool.connect()
      const told = await inTransaction(alone)
      alone.release()
      const counts = await Promise.all(
        Array.from({ length: 8 }, async (_, n) => {
          const client = await pool.connect()
          try {
            await client.query('begin')
            await client.query('insert into item values ($1, $2)', [5000 + n, 'side'])
            const seen = await client.query('select count(*)::int as n from item where id = $1', [
              5000 + n,
            ])
            await client.query(n % 2 === 0 ? 'commit' : 'rollback')
            return seen.rows
          } finally {
            client.release()
          }
        }),
      )
      const { rows } = await pool.query("select id from item where name = 'side' order by id")
      return [told, counts, rows]
    }),
  )
})

test('settings of the connection and of its own stay with the client', async () => {
  await ways.agree((address) =>
    withClient(
      {
        ...address,
        application_name: 'the shop',
        statement_timeout: 60_000,
        options: '-c search_path=public,pg_catalog -c extra_float_digits=0',
      },
      async (client) => {
        const settings = async () => {
          const { rows } = await client.query(
            `select name, setting from pg_settings where name in ('application_name',
             'statement_timeout', 'search_path', 'extra_float_digits', 'TimeZone', 'work_mem') order by 1`,
          )
          return rows
        }
        const told = [await settings()]
        await client.query("set timezone to 'Asia/Tokyo'; set work_mem to '5MB'")
        told.push(
          await settings(),
          (await client.query('select $1::timestamptz::text', ['2026-01-01 00:00Z'])).rows,
        )
        await client.query("begin; set timezone to 'UTC'; rollback")
        told.push(await settings())
        await client.query('reset all')
        told.push(await settings())
        return told
      },
    ),
  )
})

test('several statements in one query, rows as arrays, and notices', async () => {
  await ways.agree((address) =>
    withClient(address, async (client) => {
      const notices: unknown[] = []
      client.on('notice', ({ severity, message }) => notices.push([severity, message]))
      const several = (await client.query(
        "select 1 as n; update item set name = 'x' where id < 3; do $$begin raise notice 'said'; end$$",
      )) as unknown as { command: string; rows: unknown[] }[]
      const arrays = await client.query({
        text: 'select id, name, id as name from item where id < $1 order by id',
        values: [4],
        rowMode: 'array',
      })
      return [several.map(({ command, rows }) => [command, rows]), arrays.rows, notices]
    }),
  )
})

test('a client that pipelines its queries, failing ones among them', async () => {
  await ways.agree((address) =>
    withClient({ ...address, pipeline: true } as ClientConfig, async (client) => {
      const queries = Array.from({ length: 150 }, (_, n) => {
        if (n % 10 === 3) return client.query('select 1 / $1::int', [0])
        if (n % 10 === 5)
          return client.query({
            name: `s${n % 3}`,
            text: `select ${n % 3} + $1::int as n`,
            values: [n],
          })
        if (n % 10 === 7) return client.query('selec')
        if (n % 10 === 8) return client.query(`select ${n} as n; select 2 as n`)
        return client.query('select $1::int as n, name from item where id = $1', [n])
      })
      return (await Promise.allSettled(queries)).map((one) =>
        one.status === 'fulfilled'
          ? [one.value].flat().map(({ rows }) => rows)
          : [one.reason.code, one.reason.message],
      )
    }),
  )
})
