// lastval() and currval() tell what the session's own nextval() gave. On a server that many clients share
// they never tell what another's gave; and who asks for them across transactions keeps its server.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { identifier, sharedPostgres, uniqueName } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
beforeEach(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const owner = await open()
  await say(owner, raw.query('create table made (id serial, text text)'))
  await say(owner, raw.query('create sequence counter start 100'))
  owner.close()
})
afterEach(() => pooled.stop())

const open = () => pooled.client('transaction')

/** The last value of the answer, or its error's code. */
async function say(client: RawClient, ...messages: Buffer[]): Promise<string | null> {
  await client.send(Buffer.concat(messages))
  const replies = await client.untilReady()
  const error = replies.find(({ type }) => type === 'E')
  if (error !== undefined) return errorFields(error.body).C ?? ''
  return rowsOf(replies).at(-1)?.[0] ?? null
}
const query = (client: RawClient, sql: string) => say(client, raw.query(sql))

const notYet = '55000'
const inserts = "insert into made (text) values ('one')"

const ways: Record<string, (sql: string) => Buffer[]> = {
  'a Query': (sql) => [raw.query(sql)],
  'a batch': (sql) => [
    raw.parse('', sql),
    raw.bind(),
    raw.describeMessage('portal'),
    raw.execute(),
    raw.sync(),
  ],
  'a named statement': (sql) => {
    const statement = uniqueName('asks')
    return [
      raw.parse(statement, sql),
      raw.describeMessage('statement', statement),
      raw.bind({ statement }),
      raw.execute(),
      raw.sync(),
    ]
  },
}
const asking = [
  'select lastval()',
  'SELECT pg_catalog.LastVal ()',
  "select currval('made_id_seq')",
  "with one as (select currval('made_id_seq'::regclass) as id) select id from one",
  'select "lastval"()',
]

describe.each(Object.entries(ways))('by %s', (_way, messages) => {
  test.each(asking)("%s does not tell another's value", async (sql) => {
    const [one, other] = [await open(), await open()]
    await query(one, inserts)
    expect(await say(other, ...messages(sql))).toBe(notYet)
  })

  test.each(asking)('%s tells its own value where nobody had its server since', async (sql) => {
    const [first, one, other] = [await open(), await open(), await open()]
    // From here on it is known that somebody asks.
    expect(await say(first, ...messages(sql))).toBe(notYet)
    first.close()
    await query(other, inserts)
    await query(one, inserts)
    expect(await say(one, ...messages(sql))).toBe('2')
    // The server is kept, and then not handed on as it is.
    await query(one, inserts)
    expect(await say(one, ...messages(sql))).toBe('3')
    one.close()
    expect(await say(other, ...messages(sql))).toBe(notYet)
  })
})

test('a client whose settings are brought to its server in front of the question', async () => {
  const one = await open()
  const other = await pooled.client('transaction', {
    settings: { application_name: 'other', options: '-c work_mem=1MB' },
  })
  await query(one, inserts)
  expect(await query(other, 'select lastval()')).toBe(notYet)
  expect(await query(other, 'show work_mem')).toBe('1MB')
})

test('a named statement that is run on another server than it was parsed on', async () => {
  const [one, other] = [await open(), await open()]
  await say(one, raw.parse('asks', 'select lastval()'), raw.sync())
  await query(other, inserts)
  const run = [raw.bind({ statement: 'asks' }), raw.execute(), raw.sync()]
  expect(await say(one, ...run)).toBe(notYet)
})

test('who asks across transactions keeps its server, and has its own values beside others', async () => {
  await pooled.stop()
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const [one, other] = [await open(), await open()]
  await query(one, 'create sequence counter')
  expect(await query(one, "select nextval('counter')")).toBe('1')
  expect(await query(one, 'select lastval()')).toBe('1')
  const pid = await query(one, 'select pg_backend_pid()')
  for (let turn = 0; turn < 3; turn++) {
    const value = await query(one, "select nextval('counter')")
    expect(await query(other, "select nextval('counter')")).not.toBe(value)
    expect(await query(other, 'select pg_backend_pid()')).not.toBe(pid)
    expect(await query(one, 'select lastval()')).toBe(value)
  }
  await query(one, 'discard all')
  expect(await query(one, 'select lastval()')).toBe(notYet)
})

test("another's value is not its own because it has had the server since", async () => {
  const [one, other] = [await open(), await open()]
  await query(one, inserts)
  await query(other, inserts)
  await query(one, 'select 1')
  await query(one, 'select 1')
  expect(await query(one, 'select lastval()')).toBe(notYet)
})

test.each([
  ['outside of a transaction', 'select lastval()'],
  ['in front of its transaction', 'begin; select lastval()'],
])(
  'its own value of before the last one, from another server, is not told: %s',
  async (_way, asks) => {
    await pooled.stop()
    pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
    const [one, other] = [await open(), await open()]
    await query(one, 'create sequence counter')
    await query(other, 'begin')
    expect(await query(one, "select nextval('counter')")).toBe('1')
    await query(other, 'commit')
    const first = await query(one, 'begin; select pg_backend_pid()')
    expect(await query(one, "select nextval('counter')")).toBe('2')
    await query(one, 'commit')
    expect(await query(other, 'begin; select pg_backend_pid()')).toBe(first)
    expect(await query(one, asks)).toBe(notYet)
  },
)

test('who asks for the name of the sequence stays where its values are', async () => {
  await pooled.stop()
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const [one, other] = [await open(), await open()]
  await query(one, 'create table made (id serial)')
  await query(other, 'begin')
  await query(one, 'select 1')
  // From here on it is known that somebody asks.
  expect(await query(other, 'select lastval()')).toBe(notYet)
  await query(other, 'rollback')
  for (const id of ['1', '2', '3']) {
    await query(one, 'insert into made default values')
    expect(await query(one, "select pg_get_serial_sequence('made', 'id')")).toBe(
      'public.made_id_seq',
    )
    expect(await query(one, "begin; select currval('made_id_seq')")).toBe(id)
    await query(one, 'commit')
  }
})

test("who keeps its server for something else does not meet another's value there", async () => {
  const [one, other] = [await open(), await open()]
  await query(other, inserts)
  await query(one, 'create temp table mine (a int)')
  expect(await query(one, 'select lastval()')).toBe(notYet)
  await query(one, inserts)
  expect(await query(one, 'select lastval()')).toBe('2')
})

test('who was kept at its server by something else when it asked is kept when that has gone', async () => {
  const [one, other] = [await open(), await open()]
  await query(one, 'create temp table mine (a int)')
  await query(one, inserts)
  expect(await query(one, 'select lastval()')).toBe('1')
  await query(one, 'drop table mine')
  const waits = query(other, inserts)
  expect(await query(one, 'select lastval()')).toBe('1')
  await query(one, 'discard all')
  await waits
  expect(await query(one, 'select lastval()')).toBe(notYet)
})

test('who asks in the transaction that has the value keeps no server', async () => {
  const [one, other] = [await open(), await open()]
  for (const value of ['1', '3', '5']) {
    await query(one, 'begin')
    await query(one, inserts)
    expect(await query(one, 'select lastval()')).toBe(value)
    expect(await query(one, "select currval('made_id_seq')")).toBe(value)
    await query(one, 'commit')
    await query(other, inserts)
  }
  expect(await query(one, `${inserts}; select lastval()`)).toBe('7')
  await query(other, inserts)
  expect(await query(one, "select nextval('counter'), currval('counter')")).toBe('100')
  expect(await query(other, 'select 1')).toBe('1')
})

test("in a transaction, too, another's value is not told to who has asked before", async () => {
  const [one, other] = [await open(), await open()]
  await query(one, `begin; ${inserts}; select lastval(); commit`)
  await query(other, "select nextval('counter')")
  await query(one, 'begin')
  await query(one, inserts)
  expect(await query(one, "select currval('counter')")).toBe(notYet)
  await query(one, 'rollback')
  expect(await query(other, 'select 1')).toBe('1')
})

test('who waits for its server and then for its role there is not kept waiting', async () => {
  const role = uniqueName('other')
  await sharedPostgres().createRole(role, null)
  try {
    await sharedPostgres().query(`grant ${identifier(role)} to ${identifier(pooled.role)}`)
    const [one, other] = [await open(), await open()]
    await query(one, `set role ${identifier(role)}`)
    // It keeps the server, which is then reset and handed on.
    await query(other, 'select lastval()')
    const waits = query(one, 'select current_user')
    await eventually(async () => (await pooled.waiters()) === 1)
    other.close()
    expect(await waits).toBe(role)
    one.close()
  } finally {
    await pooled.settled()
    await sharedPostgres().dropRole(role)
  }
})
