// `postgres` as applications use it, its defaults on: it prepares every statement and pipelines what
// is asked at the same time over one connection.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { type WayAddress, Ways } from '../support/ways.ts'

let ways: Ways
beforeAll(async () => {
  ways = await Ways.open(sharedPostgres(), {
    prepare: `create table item (id int primary key, name text not null, tags text[], data jsonb);
      insert into item select n, 'item ' || n, array['a', n::text], jsonb_build_object('n', n)
      from generate_series(1, 500) n`,
  })
})
afterAll(() => ways.close())

type Sql = ReturnType<typeof postgres>

async function withSql<Told>(
  address: WayAddress,
  use: (sql: Sql) => Promise<Told>,
  options: postgres.Options<Record<string, postgres.PostgresType>> = {},
): Promise<Told> {
  const { user, ...rest } = address
  const sql = postgres({ ...rest, username: user, max: 3, onnotice: () => {}, ...options })
  try {
    return await use(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

async function failureOf(work: PromiseLike<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    const { code, severity, message, position, constraint_name } = error as Record<string, unknown>
    return { code, severity, message, position, constraint_name }
  }
  throw new Error('it did not fail')
}

const onOneConnection = { max: 1 }

test.each([
  ['one connection, prepared', { max: 1, prepare: true }],
  ['one connection, unnamed', { max: 1, prepare: false }],
  ['three connections', { max: 3 }],
  ['ten queries a pipeline', { max: 1, max_pipeline: 10 }],
])('many queries at once on %s', async (_name, options) => {
  await ways.agree((address) =>
    withSql(
      address,
      async (sql) => {
        const queries = Array.from({ length: 120 }, (_, n): PromiseLike<unknown> => {
          if (n % 9 === 2) return sql`select 1 / ${n % 2}::int as n`
          if (n % 9 === 4) return sql.unsafe(`select ${n} as n; select 'second' as t`)
          if (n % 9 === 5) return sql`selec ${n}`
          if (n % 9 === 6) return sql`insert into item ${sql({ id: 1, name: 'twice' })}`
          if (n % 9 === 7) return sql`select * from item where id in ${sql([n, n + 1])} order by id`
          if (n % 9 === 8) return sql.unsafe('select $1::int + $2::int as sum', [n, 1])
          return sql`select ${n}::int as n, name, tags, data from item where id = ${n}`
        })
        return (await Promise.allSettled(queries)).map((one) =>
          one.status === 'fulfilled' ? one.value : [one.reason.code, one.reason.message],
        )
      },
      options,
    ),
  )
})

test('transactions, nested savepoints, and what is thrown inside of them', async () => {
  await ways.agree((address) =>
    withSql(address, async (sql) => {
      const told: unknown[] = []
      told.push(
        await sql.begin('isolation level serializable', async (tx) => {
          await tx`insert into item ${tx([
            { id: 901, name: 'in' },
            { id: 902, name: 'too' },
          ])}`
          const inner = tx.savepoint(async (nested) => {
            await nested`insert into item ${nested({ id: 903, name: 'not' })}`
            await nested`insert into item ${nested({ id: 901, name: 'not' })}`
          })
          told.push(await failureOf(inner))
          return tx`select id from item where id > 900 order by id`
        }),
      )
      const thrown = sql.begin(async (tx) => {
        await tx`delete from item`
        throw new Error('thought better of it')
      })
      told.push(await failureOf(thrown))
      told.push(
        await sql.begin((tx) => [
          tx`select 1 as a`,
          tx`select 2 as b`,
          tx`select count(*) from item`,
        ]),
      )
      told.push(await failureOf(sql.begin((tx) => [tx`select 1`, tx`select 1/0`, tx`select 2`])))
      const side = Array.from({ length: 12 }, (_, n) =>
        sql.begin(async (tx) => {
          await tx`set local timezone to ${tx.unsafe(`'Etc/GMT-${n}'`)}`
          const [row] = await tx`select current_setting('timezone') as zone, ${n}::int as n`
          return row
        }),
      )
      told.push(await Promise.all(side))
      return told
    }),
  )
})

test('cursors, forEach, and a cursor left in the middle', async () => {
  await ways.agree((address) =>
    withSql(
      address,
      async (sql) => {
        const told: unknown[] = []
        await sql`select id from item where id <= 25 order by id`.cursor(10, (rows) => {
          told.push(rows.map(({ id }) => id))
        })
        for await (const rows of sql`select id from item order by id`.cursor(7)) {
          told.push(rows.map(({ id }) => id))
          if (told.length === 6) break
        }
        await sql`select id from item order by id`.cursor(4, (rows) => {
          told.push(rows.length)
          return sql.CLOSE
        })
        const each: unknown[] = []
        await sql`select id, name from item where id < 40 order by id`.forEach((row) => {
          each.push(row.name)
        })
        told.push(each)
        told.push(
          await failureOf(sql`select 10 / (5 - id) as n from item order by id`.cursor(2, () => {})),
        )
        const both = await Promise.all([
          sql`select count(*) from item`,
          sql.begin(async (tx) => {
            const seen: unknown[] = []
            for await (const [row] of tx`select id from item order by id limit 5`.cursor()) {
              seen.push(row?.id)
            }
            return seen
          }),
        ])
        return [told, both]
      },
      onOneConnection,
    ),
  )
})

test('COPY streams', async () => {
  await ways.agree((address) =>
    withSql(address, async (sql) => {
      await pipeline(
        Readable.from(
          (function* () {
            for (let n = 0; n < 20_000; n++)
              yield `${10_000 + n}\tcopied ${n}\t{a,b}\t{"n": ${n}}\n`
          })(),
        ),
        await sql`copy item from stdin`.writable(),
      )
      const chunks: Buffer[] = []
      for await (const chunk of await sql`copy (select * from item order by id) to stdout`.readable()) {
        chunks.push(chunk as Buffer)
      }
      const given = await sql`copy item from stdin`.writable()
      given.on('error', () => {})
      given.write('90000\tgiven up\t{}\t{}\n')
      given.destroy(new Error('enough'))
      return [Buffer.concat(chunks).toString(), await sql`select count(*) from item`]
    }),
  )
})

test('a large object, written and read in pieces', async () => {
  await ways.agree((address) =>
    withSql(address, async (sql) => {
      const large = await sql.largeObject()
      for (let piece = 0; piece < 20; piece++) await large.write(Buffer.alloc(100_000, piece))
      const told: unknown[] = [await large.size(), await large.tell(), await large.seek(150_000)]
      told.push(await large.read(100_000), await large.truncate(1000), await large.size())
      told.push(await large.close())
      const streamed = await sql.largeObject()
      const pieces = Array.from({ length: 50 }, (_, n) => Buffer.alloc(10_000, n))
      await pipeline(Readable.from(pieces), await streamed.writable())
      await streamed.close()
      // The package commits behind its back.
      await eventually(async () => {
        const [row] = await sql`select count(*)::int as n from pg_largeobject_metadata`
        return row?.n === 2
      })
      told.push(await sql`select lo_unlink(oid) from pg_largeobject_metadata`)
      return told
    }),
  )
})

test('several statements at once, described ones, rows as values and as bytes', async () => {
  await ways.agree((address) =>
    withSql(address, async (sql) => {
      const several = await sql.unsafe(
        "create temp table t (n int); insert into t values (1), (2); select * from t; drop table t; select 'end' as e",
      )
      const simple = await sql`select 1 as a; select 2 as b`.simple()
      const described = await sql`select id, name from item where id = ${1}`.describe()
      const values = await sql`select id, name from item where id < ${3} order by id`.values()
      const bytes = await sql`select id, name from item where id < ${3} order by id`.raw()
      const types = described.columns.map(({ name, type }) => [name, type])
      return [several, simple, [described.string, described.types, types], values, bytes]
    }),
  )
})

test('a query that is cancelled, and the connection after it', async () => {
  await ways.agree((address) =>
    withSql(
      address,
      async (sql) => {
        const long = sql`select pg_sleep(600), 'to be cancelled'`
        const failure = failureOf(long)
        await ways.pooled.running('to be cancelled')
        long.cancel()
        return [await failure, await sql`select 1 as after`]
      },
      onOneConnection,
    ),
  )
})

test('a reserved connection keeps what is its own', async () => {
  await ways.agree((address) =>
    withSql(address, async (sql) => {
      const own = await sql.reserve()
      await own`create temp table mine (n int)`
      await own`set work_mem to '7MB'`
      await own`insert into mine values (1), (2)`
      await Promise.all(Array.from({ length: 10 }, () => sql`select 1`))
      const told = [await own`select count(*) from mine`, await own`show work_mem`]
      await own`drop table mine`
      await own`reset work_mem`
      own.release()
      return told
    }),
  )
})

test('startup settings of the connection hold for every query', async () => {
  await ways.agree((address) =>
    withSql(
      address,
      async (sql) => {
        const look = () => sql`
          select name, setting from pg_settings
          where name in ('application_name', 'search_path', 'statement_timeout') order by name`
        return Promise.all(Array.from({ length: 12 }, look))
      },
      {
        connection: {
          application_name: 'the shop',
          search_path: 'public',
          statement_timeout: 50_000,
        },
      },
    ),
  )
})

test('notifications are heard through both ports as they are direct', async () => {
  const heard = async (address: WayAddress) =>
    withSql(address, async (sql) => {
      const texts: string[] = []
      let onAll: () => void = () => {}
      const all = new Promise<void>((resolve) => {
        onAll = resolve
      })
      const ear = await sql.listen('News "of" today', (text) => {
        texts.push(text)
        if (text === 'last') onAll()
      })
      await sql.notify('News "of" today', 'first')
      await sql.begin((tx) => [tx`select pg_notify('News "of" today', 'second')`])
      await failureOf(
        sql.begin(async (tx) => [
          await tx`notify "News ""of"" today", 'never'`,
          await tx`select 1/0`,
        ]),
      )
      await sql.notify('News "of" today', 'last')
      await all
      await ear.unlisten()
      return texts
    })
  const direct = await heard(ways.address('direct'))
  expect(direct).toEqual(['first', 'second', 'last'])
  for (const port of ['session', 'transaction'] as const) {
    expect(await heard(ways.address(port)), `${port} port`).toEqual(direct)
  }
})
