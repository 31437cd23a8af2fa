// What becomes of prepared statements on servers: limits, what closes them behind our back, plans
// that go stale, servers that are replaced, long texts, and drivers that prepare by themselves.
import pg from 'pg'
import postgres from 'postgres'
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { pgbench } from '../support/pgbench.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { needsProgram } from '../support/program.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

async function start(options: PooledPostgresOptions = {}): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...options })
}
const open = (settings: Record<string, string> = {}) => pooled.client('transaction', { settings })

async function say(client: RawClient, ...messages: Buffer[]): Promise<raw.RawMessage[]> {
  await client.send(Buffer.concat(messages))
  return client.untilReady()
}

const run = (statement: string, values: string[] = []) => [
  raw.bind({ statement, values }),
  raw.execute(),
]
const rowOf = async (client: RawClient, statement: string) =>
  rowsOf(await say(client, ...run(statement), raw.sync()))[0]?.[0]
const statusOf = (replies: raw.RawMessage[]) => replies.at(-1)?.body.toString()
const errorOf = (replies: raw.RawMessage[]) => {
  const error = replies.find(({ type }) => type === 'E')
  return error === undefined ? null : errorFields(error.body)
}
const statementsOn = async (client: RawClient): Promise<string[]> => {
  await client.query('select statement from pg_prepared_statements order by 1')
  return rowsOf(await client.untilReady()).map(([text]) => text ?? '')
}
const url = () => {
  const { user, port } = pooled.target('transaction')
  return `postgres://${user}:any@127.0.0.1:${port}/${pooled.database}`
}

test('one text under another search_path is another statement', async () => {
  await start()
  const { postgres: server, database, role } = pooled
  for (const name of ['one', 'two']) {
    await server.query(`create schema ${name} authorization "${role}"`, undefined, database)
    await server.query(`create table ${name}.t as select '${name}' as v`, undefined, database)
    await server.query(`grant all on ${name}.t to "${role}"`, undefined, database)
  }
  const clients = [
    await open({ options: '-c search_path=one' }),
    await open({ options: '-c search_path=two' }),
  ] as const
  for (const client of clients) await say(client, raw.parse('s', 'select v from t'), raw.sync())
  for (let turn = 0; turn < 2; turn += 1) {
    expect(await rowOf(clients[0], 's')).toBe('one')
    expect(await rowOf(clients[1], 's')).toBe('two')
  }
})

test('beyond its limit a server’s oldest statements are closed, none that the batch uses', async () => {
  await start({ config: { serverPreparedStatementsMax: 3 } })
  const [client, other] = [await open(), await open()]
  const texts = Array.from({ length: 8 }, (_, index) => `select ${index}`)
  for (const text of texts.slice(0, 4)) await say(client, raw.parse(text, text), raw.sync())
  expect((await statementsOn(other)).length).toBe(3)
  const replies = await say(
    client,
    ...texts.slice(4).map((text) => raw.parse(text, text)),
    ...texts.flatMap((text) => run(text)),
    ...texts.flatMap((text) => run(text)),
    raw.sync(),
  )
  const wanted = texts.map((_, index) => [String(index)])
  expect(rowsOf(replies)).toEqual([...wanted, ...wanted])
  expect(typesOf(replies)).toBe(`1111${'2DC'.repeat(16)}Z`)
  await say(other, raw.parse('new', 'select 100'), ...run('new'), raw.sync())
  expect((await statementsOn(other)).length).toBeLessThanOrEqual(3)
  for (const [index, text] of texts.entries()) expect(await rowOf(client, text)).toBe(String(index))
})

const closers = ['discard all', 'deallocate all', 'select 1; deallocate all; select 2']
test.each(closers)('%s as a Query closes its client’s names and no other’s', async (sql) => {
  await start()
  const [client, other] = [await open(), await open()]
  for (const one of [client, other]) await say(one, raw.parse('s', 'select 5'), raw.sync())
  const closed = await say(client, raw.query(sql))
  expect(errorOf(closed)).toBe(null)
  const gone = await say(client, ...run('s'), raw.sync())
  expect(errorOf(gone)).toMatchObject({ C: '26000', M: 'prepared statement "s" does not exist' })
  expect(await rowOf(other, 's')).toBe('5')
  const again = await say(client, raw.parse('s', 'select 6'), ...run('s'), raw.sync())
  expect(rowsOf(again)).toEqual([['6']])
})

test.each(['discard all', 'deallocate all'])('%s as a statement does the same', async (sql) => {
  await start()
  const [client, other] = [await open(), await open()]
  for (const one of [client, other]) await say(one, raw.parse('s', 'select 5'), raw.sync())
  await say(client, raw.parse('', sql), ...run(''), raw.sync())
  expect(errorOf(await say(client, ...run('s'), raw.sync()))?.C).toBe('26000')
  expect(await rowOf(other, 's')).toBe('5')
})

test('a name freed by DEALLOCATE ALL may be taken at once, and shares no other text', async () => {
  await start()
  const [client, other] = [await open(), await open()]
  for (const one of [client, other]) await say(one, raw.parse('s', 'select 5'), raw.sync())
  await client.send(
    Buffer.concat([
      raw.query('deallocate all'),
      raw.parse('s', 'select 6'),
      ...run('s'),
      raw.sync(),
    ]),
  )
  const replies = await client.untilReadies(2)
  expect(typesOf(replies)).toBe('CZ12DCZ')
  expect(rowsOf(replies)).toEqual([['6']])
  expect(await rowOf(other, 's')).toBe('5')
  expect(await rowOf(client, 's')).toBe('6')
  expect(await rowOf(other, 's')).toBe('5')
})

const asQueries = closers.map((sql) => [sql, [raw.query(sql)]] as const)
const asBatch = [raw.parse('', 'discard all'), ...run(''), raw.sync()]
const allClosers = [...asQueries, ['a batch with DISCARD ALL', asBatch] as const]
test.each(allClosers)(
  'behind %s of a client without names a text runs that the server had',
  async (_, closing) => {
    await start()
    const [client, other] = [await open(), await open()]
    await say(other, raw.parse('s', 'select 5'), raw.sync())
    const statement = [raw.parse('s', 'select 5'), ...run('s'), raw.sync()]
    await client.send(Buffer.concat([...closing, ...statement]))
    const replies = await client.untilReadies(2)
    expect(errorOf(replies)).toBe(null)
    expect(rowsOf(replies).at(-1)).toEqual(['5'])
    expect(await rowOf(other, 's')).toBe('5')
  },
)

test('a statement that SQL closes unseen costs one error in its transaction, and is made anew', async () => {
  await start()
  const client = await open()
  const close = "do $$begin execute 'deallocate all'; end$$"
  await say(client, raw.parse('s', 'select 5'), raw.sync())
  await say(client, raw.query('begin'))
  await say(client, raw.query(close))
  const lost = errorOf(await say(client, ...run('s'), raw.sync()))
  expect(lost).toMatchObject({ C: '26000', M: 'prepared statement "s" does not exist' })
  await say(client, raw.query('rollback'))
  expect(await rowOf(client, 's')).toBe('5')
  // Behind it the server is asked, and tells how many there are.
  await say(client, raw.query(close))
  expect(await rowOf(client, 's')).toBe('5')
})

const staleText = 'select * from t'
const makeTable = (client: RawClient) =>
  say(client, raw.query('drop table if exists t; create table t as select 1 as a'))
const widenTable = (client: RawClient) => say(client, raw.query('alter table t add b int'))

test.each(['outside', 'inside'])(
  'a plan that no longer fits the table is an error until it is made anew, %s of a transaction',
  async (where) => {
    await start()
    const [client, other] = [await open(), await open()]
    await makeTable(client)
    const first = await say(
      client,
      raw.parse('s', staleText),
      raw.describeMessage('statement', 's'),
      ...run('s'),
      raw.sync(),
    )
    expect(rowsOf(first)).toEqual([['1']])
    await widenTable(other)
    if (where === 'inside') await say(client, raw.query('begin'))
    const failed = await say(client, ...run('s'), raw.sync())
    expect(errorOf(failed)?.C).toBe('0A000')
    if (where === 'inside') await say(client, raw.query('rollback'))
    expect(errorOf(await say(client, ...run('s'), raw.sync()))?.C).toBe('0A000')
    const anew = [raw.closeMessage('statement', 's'), raw.parse('s', staleText)]
    expect(rowsOf(await say(client, ...anew, ...run('s'), raw.sync()))).toEqual([['1', null]])
  },
)

test('statements follow to the server that replaces a lost one', async () => {
  await start()
  const client = await open()
  await say(client, raw.parse('s', 'select pg_backend_pid()'), raw.sync())
  const before = await rowOf(client, 's')
  await pooled.postgres.query('select pg_terminate_backend($1)', [Number(before)])
  await eventually(async () => (await pooled.backends()).length === 0)
  const after = await rowOf(client, 's')
  expect(after).toMatch(/^\d+$/)
  expect(after).not.toBe(before)
})

test('Describe works on a server that has not met the statement', async () => {
  await start({ poolSize: 2 })
  const [client, blocker] = [await open(), await open()]
  await say(client, raw.parse('s', 'select $1::int'), raw.sync())
  await say(blocker, raw.query('begin'))
  expect(typesOf(await say(client, raw.describeMessage('statement', 's'), raw.sync()))).toBe('tTZ')
  await say(blocker, raw.query('rollback'))
})

test('more statements than a client may have are an ERROR as Postgres would make one', async () => {
  await start({ config: { clientPreparedStatementsMax: 2 } })
  const client = await open()
  await say(client, raw.parse('', "select 'unnamed'"), raw.sync())
  const full = await say(
    client,
    raw.parse('a', 'select 1'),
    raw.parse('b', 'select 2'),
    raw.parse('c', 'select 3'),
    ...run('a'),
    raw.sync(),
  )
  expect(typesOf(full)).toBe('11EZ')
  expect(errorOf(full)).toMatchObject({ S: 'ERROR', C: '54000' })
  expect(errorOf(full)?.M).toContain('EPREPAREDLIMIT')
  expect(statusOf(full)).toBe('I')
  expect(await rowOf(client, '')).toBe('unnamed')
  await say(client, raw.query('begin'))
  const inside = await say(client, raw.parse('c', 'select 3'), raw.sync())
  expect(typesOf(inside)).toBe('EZ')
  expect(statusOf(inside)).toBe('E')
  expect(errorOf(await say(client, raw.query('select 1')))?.C).toBe('25P02')
  await say(client, raw.query('rollback'))
  const room = await say(
    client,
    raw.closeMessage('statement', 'a'),
    raw.parse('c', 'select 3'),
    ...run('c'),
    raw.sync(),
  )
  expect(typesOf(room)).toBe('312DCZ')
  expect(await rowOf(client, 'b')).toBe('2')
})

test('names that look like ours are the client’s own', async () => {
  await start()
  const [client, other] = [await open(), await open()]
  await say(other, raw.parse('s', 'select 5'), raw.sync())
  await other.query('select name from pg_prepared_statements')
  const ours = rowsOf(await other.untilReady())[0]?.[0] ?? ''
  expect(ours).toMatch(/^lk_[0-9a-f]{40}$/)
  const unknown = await say(client, ...run(ours), raw.sync())
  expect(errorOf(unknown)).toMatchObject({
    C: '26000',
    M: `prepared statement "${ours}" does not exist`,
  })
  const closed = await say(client, raw.closeMessage('statement', ours), raw.sync())
  expect(typesOf(closed)).toBe('3Z')
  expect(await rowOf(other, 's')).toBe('5')
  await say(client, raw.parse(ours, 'select 6'), raw.sync())
  expect(await rowOf(client, ours)).toBe('6')
  expect(await rowOf(other, 's')).toBe('5')
  await say(client, raw.parse('PGBOUNCER_1', 'select 7'), raw.sync())
  expect(await rowOf(client, 'PGBOUNCER_1')).toBe('7')
})

test('one of ours that SQL closes or takes is made anew', async () => {
  await start()
  const client = await open()
  await say(client, raw.parse('s', 'select 5'), raw.sync())
  await client.query('select name from pg_prepared_statements')
  const ours = rowsOf(await client.untilReady())[0]?.[0] ?? ''
  await say(client, raw.query(`deallocate ${ours}`))
  expect(await rowOf(client, 's')).toBe('5')
  await say(client, raw.query(`deallocate ${ours}; prepare ${ours} as select 66`))
  expect(await rowOf(client, 's')).toBe('5')
})

test.each(['reset', 'halfClose'] as const)(
  'a client that leaves (%s) between Parse and Sync leaves nothing that is taken for known',
  async (way) => {
    await start()
    const leaver = await open()
    await leaver.send(Buffer.concat([raw.parse('s', 'select 5'), raw.flush()]))
    await leaver.expect('1')
    leaver[way]()
    const next = await open()
    const replies = await say(next, raw.parse('s', 'select 5'), ...run('s'), raw.sync())
    expect(rowsOf(replies)).toEqual([['5']])
    const cut = await open()
    const half = Buffer.concat([...run('s'), raw.parse('t', 'select 6')])
    await cut.send(half.subarray(0, half.length - 3))
    cut[way]()
    const last = await say(next, raw.parse('t', 'select 6'), ...run('t'), ...run('s'), raw.sync())
    expect(rowsOf(last)).toEqual([['6'], ['5']])
  },
)

test('a named text too long to be kept pins its client until DISCARD ALL', async () => {
  await start({ poolSize: 2 })
  const [client, other] = [await open(), await open()]
  const text = `select pg_backend_pid() /* ${'x'.repeat(300 * 1024)} */`
  const replies = await say(client, raw.parse('large', text), ...run('large'), raw.sync())
  expect(typesOf(replies)).toBe('12DCZ')
  const pid = rowsOf(replies)[0]?.[0]
  await say(other, raw.query('select 1'))
  expect(await rowOf(client, 'large')).toBe(pid)
  const taken = await say(client, raw.parse('large', text), raw.sync())
  expect(errorOf(taken)).toMatchObject({
    C: '42P05',
    M: 'prepared statement "large" already exists',
  })
  await say(client, raw.query('discard all'))
  expect(errorOf(await say(client, ...run('large'), raw.sync()))?.C).toBe('26000')
})

test('an unnamed text of 10 MB streams, and runs', async () => {
  await start()
  const [client, other] = [await open(), await open()]
  const text = `select 1 /* ${'x'.repeat(10 * 1024 * 1024)} */`
  expect(typesOf(await say(client, raw.parse('', text), ...run(''), raw.sync()))).toBe('12DCZ')
  await say(other, raw.parse('', 'select 2'), raw.sync())
  const gone = await say(client, ...run(''), raw.sync())
  expect(errorOf(gone)?.C).toBe('26000')
})

test('through the session port names are the server’s own', async () => {
  await start()
  const client = await pooled.client('session')
  await say(client, raw.parse('mine', 'select 1'), raw.sync())
  await client.query('select name from pg_prepared_statements')
  expect(rowsOf(await client.untilReady())).toEqual([['mine']])
  const replies = await say(client, raw.query('execute mine'))
  expect(rowsOf(replies)).toEqual([['1']])
})

test('pg and postgres.js prepare by themselves, many at once on two servers', async () => {
  await start({ poolSize: 2, config: { serverPreparedStatementsMax: 3 } })
  const pool = new pg.Pool({ connectionString: url(), max: 6 })
  const sql = postgres(url(), { max: 6, prepare: true })
  const work = async (index: number) => {
    const number = index % 7
    const query = { name: `q${number}`, text: `select $1::int + ${number} as n`, values: [index] }
    expect((await pool.query(query)).rows).toEqual([{ n: index + number }])
    const rows = await sql`select ${index}::int as n, ${sql.unsafe(String(number))} as k`
    expect([...rows]).toEqual([{ n: index, k: number }])
  }
  try {
    await Promise.all(Array.from({ length: 200 }, (_, index) => work(index)))
  } finally {
    await pool.end()
    await sql.end()
  }
})

test('pgbench prepares in many sessions, in pipelines as well', async (context) => {
  needsProgram(context, 'pgbench')
  await start({ poolSize: 2, config: { serverPreparedStatementsMax: 2 } })
  const plain = '\\set n random(1, 9)\nselect :n;\nbegin;\nselect :n + 1;\nselect 2;\ncommit;\n'
  const piped = '\\startpipeline\nselect 1;\nselect 2;\nselect 3;\n\\endpipeline\n'
  for (const script of [plain, piped]) {
    // One thread each: it prepares with a call that blocks, also beside a transaction of its own.
    const args = ['--client', '6', '--jobs', '6', '--transactions', '40', '-M', 'prepared']
    const result = await pgbench(url(), { script, args })
    expect(result, result.stderr).toMatchObject({ exitCode: 0, transactions: 240, failed: 0 })
  }
})
