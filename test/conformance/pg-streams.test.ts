// `pg` with its companions for what is read or written in pieces: cursors, streams of rows, COPY.
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { afterAll, beforeAll, test } from 'vitest'
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

test('a cursor, in a transaction and without, read to its end and closed before', async () => {
  await ways.agree((address) =>
    withClient(address, async (client) => {
      const told: unknown[] = []
      for (const isInTransaction of [false, true]) {
        if (isInTransaction) await client.query('begin')
        const cursor = client.query(
          new Cursor('select id from item where id <= $1 order by id', [25]),
        )
        for (;;) {
          const rows = await cursor.read(10)
          told.push(rows)
          if (rows.length === 0) break
        }
        await cursor.close()
        const left = client.query(new Cursor('select id from item order by id'))
        told.push(await left.read(3))
        await left.close()
        told.push((await client.query('select count(*) from item')).rows)
        if (isInTransaction) await client.query('commit')
      }
      const failing = client.query(new Cursor('select 10 / (5 - id) as n from item order by id'))
      told.push(await failing.read(2), await failureOf(failing.read(10)))
      told.push((await client.query('select 1 as after')).rows)
      return told
    }),
  )
})

test('two cursors of one transaction by name, and a cursor declared in SQL', async () => {
  await ways.agree((address) =>
    withClient(address, async (client) => {
      const told: unknown[] = []
      const rows = async (sql: string) => {
        told.push((await client.query(sql)).rows)
      }
      await client.query('begin')
      await client.query('declare up scroll cursor for select id from item order by id')
      await client.query('declare down cursor for select id from item order by id desc')
      await rows('fetch 3 from up')
      await rows('fetch 2 from down')
      await rows('fetch backward 2 from up')
      await rows('move absolute 500 in up')
      await rows('fetch next from up')
      told.push(await failureOf(client.query('fetch 1 from nothing')))
      await client.query('rollback')
      told.push(await failureOf(client.query('fetch 1 from up')))
      await client.query(
        'begin; declare held cursor with hold for select id from item order by id; commit',
      )
      await rows('fetch 4 from held')
      await rows('fetch 1 from held')
      await client.query('close held')
      return told
    }),
  )
})

test('a stream of rows, read slowly, and one that is given up', async () => {
  await ways.agree((address) =>
    withClient(address, async (client) => {
      let sum = 0
      let count = 0
      const rows = client.query(
        new QueryStream('select n, repeat($1, 200) as t from generate_series(1, 5000) n', ['x'], {
          batchSize: 100,
        }),
      )
      await pipeline(
        rows,
        new Writable({
          objectMode: true,
          highWaterMark: 10,
          write: ({ n, t }: { n: number; t: string }, _encoding, done) => {
            sum += n + t.length
            count += 1
            setImmediate(done)
          },
        }),
      )
      const given = client.query(new QueryStream('select n from generate_series(1, 100000) n'))
      const first: unknown[] = []
      for await (const row of given) {
        first.push(row)
        if (first.length === 5) break
      }
      return [sum, count, first, (await client.query('select 1 as after')).rows]
    }),
  )
})

const lines = (count: number): Readable =>
  Readable.from(
    (function* () {
      for (let n = 0; n < count; n++) yield `${10_000 + n}\tline ${n} ü\t\\N\n`
    })(),
  )

const copyIn = 'copy item from stdin'

test('COPY streams in and out', async () => {
  await ways.agree((address) =>
    withPool(address, async (pool) => {
      const client = await pool.connect()
      const writing = client.query(copyFrom(copyIn))
      await pipeline(lines(20_000), writing)
      const chunks: Buffer[] = []
      for await (const chunk of client.query(
        copyTo('copy (select * from item order by id) to stdout'),
      )) {
        chunks.push(chunk)
      }
      const binary: Buffer[] = []
      for await (const chunk of client.query(copyTo('copy item to stdout (format binary)'))) {
        binary.push(chunk)
      }
      client.release()
      const { rows } = await pool.query('select count(*), sum(id) from item')
      return [
        writing.rowCount,
        Buffer.concat(chunks).toString(),
        Buffer.concat(binary).length,
        rows,
      ]
    }),
  )
})

test('COPY that fails at a row, and COPY that the application gives up', async () => {
  await ways.agree((address) =>
    withPool(address, async (pool) => {
      const client = await pool.connect()
      const told: unknown[] = []
      const bad = Readable.from(['1\tthere already\t\\N\n'])
      told.push(await failureOf(pipeline(bad, client.query(copyFrom(copyIn)))))
      told.push(await failureOf(pipeline(Readable.from(['x\n']), client.query(copyFrom(copyIn)))))
      const source = new Readable({ read() {} })
      source.push('30000\tgiven up\t\\N\n')
      const given = pipeline(source, client.query(copyFrom(copyIn)))
      source.destroy(new Error('enough'))
      told.push(await failureOf(given))
      told.push((await client.query('select count(*) from item')).rows)
      client.release()
      return told
    }),
  )
})
