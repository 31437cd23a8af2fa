// What a text leaves in a form that is easily overlooked does not reach the next client on the server.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { identifier, sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

/** The first value, or the SQLSTATE. */
async function say(client: RawClient, ...messages: Buffer[]): Promise<string | null> {
  await client.send(Buffer.concat(messages))
  const replies = await client.untilReady()
  const error = replies.find(({ type }) => type === 'E')
  return error === undefined
    ? (rowsOf(replies)[0]?.[0] ?? null)
    : (errorFields(error.body).C ?? null)
}

/** The other one has the server that was used last, unless that is kept for its client. */
async function start(settings: Record<string, string> = {}): Promise<[RawClient, RawClient]> {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  return [await pooled.client('transaction', { settings }), await pooled.client('transaction')]
}

const settingOf = (name: string) => `select coalesce(current_setting('${name}', true), '')`
const locks = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
const sets = (head: string) =>
  `create function ${head} returns bool language plpgsql as
   $$begin perform set_config('work_mem', $1, false); return true; end$$`

test.each([
  ["set request.jwt.claim.sub = 'mine'", settingOf('request.jwt.claim.sub'), ''],
  ["set app.größe = 'mine'", settingOf('app.größe'), ''],
  ["select set_config('app.größe', 'mine', false)", settingOf('app.größe'), ''],
  [`select U&"s!0065t_config" UESCAPE '!'('app.note', 'mine', false)`, settingOf('app.note'), ''],
  [
    "do $$begin set app.note = 'mine'; commit; raise exception 'no'; end$$",
    settingOf('app.note'),
    '',
  ],
  [
    "do $$begin execute 'create te' || 'mp table kept as select 5'; commit; raise exception 'no'; end$$",
    'select * from kept',
    '42P01',
  ],
  [
    "do $$begin execute 'pre' || 'pare own as select 7'; raise exception 'no'; end$$",
    'execute own',
    '26000',
  ],
  ['select 1 from (select 1) a join (select 2) b on pg_try_advisory_lock(5)', locks, '0'],
  [`select 'on "', pg_try_advisory_lock(5), '"('`, locks, '0'],
  [
    'select a.index from (select 1 as index) a join (select 5 as b) b on pg_try_advisory_lock(b)',
    locks,
    '0',
  ],
  [`create table U&"pg\\005ftemp".kept as select 5 as a`, 'select * from pg_temp.kept', '42P01'],
  [`select "Max"('5MB')`, 'show work_mem', '4MB', sets('"Max"(text)')],
  [`select public./**/lower('5MB', 'x')`, 'show work_mem', '4MB', sets('lower(text, text)')],
])('%s', async (text, probe, expected, setup = 'select 1') => {
  const [client, other] = await start()
  await sharedPostgres().query(setup, undefined, pooled.database)
  await say(client, raw.query(text))
  await say(other, raw.query('begin'))
  expect(await say(other, raw.query(probe))).toBe(expected)
})

test('a role that code has set and committed, and that then failed', async () => {
  const [client, other] = await start()
  const role = `${pooled.role}_b`
  await sharedPostgres().query(`create role ${identifier(role)}`)
  try {
    await sharedPostgres().query(`grant ${identifier(role)} to ${identifier(pooled.role)}`)
    const text = `do $$begin set role ${identifier(role)}; commit; raise exception 'no'; end$$`
    await say(client, raw.query(text))
    await say(other, raw.query('begin'))
    expect(await say(other, raw.query('select current_user'))).toBe(pooled.role)
    expect(await say(client, raw.query('select current_user'))).toBe(role)
  } finally {
    await sharedPostgres().query(`drop role ${identifier(role)}`)
  }
})

test('what a sequence gave another is not told by a FunctionCall', async () => {
  const [client, other] = await start()
  await say(client, raw.query('create sequence s'))
  await say(client, raw.query("select nextval('s')"))
  const lastval = 2559
  expect(await say(other, raw.functionCall(lastval))).toBe('55000')
})

test('statements of others that code has dropped are prepared anew', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const [client, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await say(other, raw.parse('q', 'select 1'), raw.sync())
  await say(client, raw.query("do $$begin execute 'deallocate all'; end$$"))
  expect(await say(other, raw.bind({ statement: 'q' }), raw.execute(), raw.sync())).toBe('1')
})

test('a client keeps what it has where a setting may not be read', async () => {
  const [client] = await start()
  await say(client, raw.query('create temp table kept as select 5 as a'))
  await say(client, raw.query("select set_config('dynamic_library_path', 'x', false)"))
  expect(await say(client, raw.query('select a from kept'))).toBe('5')
})

test('a client keeps what it has where its own time limit ends the question', async () => {
  const [client] = await start()
  const { superuser: user, password } = sharedPostgres()
  const operator = await RawClient.loggedIn({ ...pooled.direct(), user, password })
  await say(client, raw.query('create temp table kept as select 5 as a'))
  // The question behind that has been answered.
  await say(client, raw.query('select 1'))
  await say(operator, raw.query('begin; lock table pg_depend in access exclusive mode'))
  try {
    await say(client, raw.query("set statement_timeout = '1s'"))
    expect(await say(client, raw.query('select a from kept'))).toBe('5')
  } finally {
    operator.close()
  }
})

test('a temporary table of the name of a type is in nobody’s way', async () => {
  const [client, busy] = await start()
  await say(client, raw.parse('d', "select date '01/02/2003'"), raw.sync())
  // On the other server, where it is parsed by settings that are lent.
  await say(busy, raw.query('begin'))
  await say(client, raw.query('begin; create temp table text as select 5 as a'))
  await say(client, raw.query("set datestyle = 'ISO, DMY'"))
  const used = [raw.bind({ statement: 'd' }), raw.execute(), raw.sync()]
  expect(await say(client, ...used)).toBe('2003-01-02')
  await say(client, raw.query('commit'))
  await say(busy, raw.query('rollback'))
  expect(await say(client, raw.query('select a from text'))).toBe('5')
})

test('SQL that names a statement of other settings in a failed transaction is refused', async () => {
  const [client, busy] = await start()
  for (const name of ['d', 'e']) {
    await say(client, raw.parse(name, `select date '01/02/2003', '${name}'`), raw.sync())
  }
  // On the other server, which learns one of them and how settings are lent.
  await say(busy, raw.query('begin'))
  await say(client, raw.query("set datestyle = 'ISO, DMY'"))
  await say(client, raw.bind({ statement: 'd' }), raw.execute(), raw.sync())
  await say(client, raw.query('begin'))
  await say(client, raw.query('select 1/0'))
  expect(await say(client, raw.query('execute e'))).toBe('25P02')
  await say(client, raw.query('rollback'))
  expect(await say(client, raw.query('execute e'))).toBe('2003-01-02')
})

test('startup settings are put back beside an unnamed portal', async () => {
  const [client] = await start({ work_mem: '5MB' })
  const texts = { many: 'select generate_series(1, 4)', reset: 'reset work_mem', one: 'select 1' }
  for (const [name, text] of Object.entries(texts)) {
    await say(client, raw.parse(name, text), raw.sync())
  }
  await say(client, raw.query('begin'))
  await say(client, raw.bind({ statement: 'many' }), raw.execute('', 1), raw.sync())
  for (const name of ['reset', 'one']) {
    await say(client, raw.bind({ portal: name, statement: name }), raw.execute(name), raw.sync())
  }
  expect(await say(client, raw.execute('', 1), raw.sync())).toBe('2')
})
