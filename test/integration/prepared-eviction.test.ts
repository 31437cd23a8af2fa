// SERVER_PREPARED_STATEMENTS_MAX while one client keeps its server: in a long transaction, in one
// long batch, and while it is pinned. The server itself is asked what it has.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

const limit = 3
const names = Array.from({ length: 12 }, (_, index) => `s${index}`)
const wanted = names.map((_, index) => [String(index)])

let pooled: PooledPostgres
let client: RawClient
afterEach(() => pooled.stop())

async function start(serverPreparedStatementsMax = limit): Promise<void> {
  const config = { serverPreparedStatementsMax }
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, config })
  client = await pooled.client('transaction')
}

async function say(...messages: Buffer[]): Promise<raw.RawMessage[]> {
  await client.send(Buffer.concat(messages))
  return client.untilReady()
}
const run = (statement: string) => [raw.bind({ statement }), raw.execute()]
const batch = (...messages: Buffer[]) => say(...messages, raw.sync())
const parseAll = () => names.map((name, index) => raw.parse(name, `select ${index}`))
const errorOf = (replies: raw.RawMessage[]) => {
  const error = replies.find(({ type }) => type === 'E')
  return error === undefined ? null : errorFields(error.body).C
}

/** How many statements of ours the server has; `sql` may be run where a transaction is open. */
const countSql = 'select count(*) from pg_prepared_statements where not from_sql'
async function countOnServer(): Promise<number> {
  return Number(rowsOf(await say(raw.query(countSql)))[0]?.[0])
}

test('a long transaction that uses many statements stays below the limit, and all of them run', async () => {
  await start()
  await say(raw.query('begin'))
  for (const message of parseAll()) await batch(message)
  expect(await countOnServer()).toBe(limit)
  for (let turn = 0; turn < 2; turn++) {
    for (const [index, name] of names.entries()) {
      expect(rowsOf(await batch(...run(name)))).toEqual([[String(index)]])
      expect(await countOnServer()).toBeLessThanOrEqual(limit)
    }
  }
  await say(raw.query('commit'))
  expect(await countOnServer()).toBe(limit)
})

test('one batch that uses more than the limit stays below it as well', async () => {
  await start()
  const asked = [raw.parse('', countSql), ...run('')]
  const uses = names.flatMap((name) => run(name))
  const replies = await batch(...parseAll(), ...uses, ...asked, ...uses, ...asked)
  const counted = [String(limit)]
  expect(rowsOf(replies)).toEqual([...wanted, counted, ...wanted, counted])
})

test('a pinned client’s own PREPARE is neither counted nor closed', async () => {
  await start()
  const own = names.map((name) => `prepare sql_${name} as select '${name}'`).join(';')
  await say(raw.query(own))
  await batch(...parseAll(), ...names.flatMap((name) => run(name)))
  expect(await countOnServer()).toBe(limit)
  for (const name of names) {
    expect(rowsOf(await say(raw.query(`execute sql_${name}`)))).toEqual([[name]])
  }
})

test('a text too long to be kept is not closed while its client has its server', async () => {
  await start()
  await batch(raw.parse('large', `select 'large' /* ${'x'.repeat(300 * 1024)} */`))
  await batch(...parseAll(), ...names.flatMap((name) => run(name)))
  // One of ours may be gone, so none that the server has is believed in.
  await say(raw.query('prepare one as select 1'))
  await batch(...names.flatMap((name) => run(name)))
  expect(await countOnServer()).toBe(limit + 1)
  expect(rowsOf(await batch(...run('large')))).toEqual([['large']])
})

test('a portal outlives the statement that it was bound to', async () => {
  await start()
  await say(raw.query('begin'))
  const first = await batch(
    raw.parse('rows', 'select n from generate_series(1, 3) as n'),
    raw.bind({ portal: 'p', statement: 'rows' }),
    raw.execute('p', 1),
  )
  expect(typesOf(first)).toBe('12DsZ')
  for (const message of parseAll()) await batch(message)
  const { length } = rowsOf(
    await say(
      raw.query(
        "select 1 from pg_prepared_statements where statement like '%generate_series(1, 3)%' and not statement like '%pg_prepared%'",
      ),
    ),
  )
  expect(length).toBe(0)
  const rest = await batch(raw.describeMessage('portal', 'p'), raw.execute('p'))
  expect(rowsOf(rest)).toEqual([['2'], ['3']])
})

test('a failed transaction evicts, and is left by a statement that was evicted', async () => {
  await start()
  await batch(raw.parse('leave', 'rollback'))
  await say(raw.query('begin'))
  for (const message of parseAll()) await batch(message)
  expect(errorOf(await say(raw.query('select 1/0')))).toBe('22012')
  for (const name of names) expect(errorOf(await batch(...run(name)))).toBe('25P02')
  const left = await batch(...run('leave'))
  expect(errorOf(left)).toBe(null)
  expect(left.at(-1)?.body.toString()).toBe('I')
  expect(await countOnServer()).toBeLessThanOrEqual(limit)
  for (const [index, name] of names.entries()) {
    expect(rowsOf(await batch(...run(name)))).toEqual([[String(index)]])
  }
})

test('SQL that names more statements than the limit gets them all, and the next closes them', async () => {
  await start()
  await say(raw.query('begin'))
  for (const message of parseAll()) await batch(message)
  const replies = await say(raw.query(names.map((name) => `execute ${name}`).join(';')))
  expect(rowsOf(replies)).toEqual(wanted)
  await say(raw.query('execute s0; execute s1'))
  await batch(raw.parse('new', 'select 100'))
  expect(await countOnServer()).toBe(limit)
})

test.each([1, 2])(
  'a prepared EXECUTE has what it names at its side, whatever the limit (%i)',
  async (few) => {
    await start(few)
    await batch(raw.parse('inner', 'select 5'), raw.parse('outer', 'execute inner'))
    await say(raw.query('begin'))
    await batch(...parseAll())
    for (let turn = 0; turn < 2; turn++) {
      await batch(...names.flatMap((name) => run(name)))
      const replies = await batch(...run('outer'), ...run('s1'), ...run('outer'))
      expect(rowsOf(replies)).toEqual([['5'], ['1'], ['5']])
      const bound = raw.bind({ portal: `p${turn}`, statement: 'outer' })
      const late = await batch(bound, ...run('s1'), ...run('s2'), raw.execute(`p${turn}`))
      expect(rowsOf(late)).toEqual([['1'], ['2'], ['5']])
    }
    expect(await countOnServer()).toBeLessThanOrEqual(Math.max(few, 2))
  },
)

test('batches that fail leave nothing behind that the server is thought to have', async () => {
  await start()
  await batch(...parseAll())
  const uses = names.flatMap((name) => run(name))
  for (let turn = 0; turn < 5; turn++) {
    const bad = raw.parse('bad', `selec ${turn}`)
    expect(errorOf(await batch(...uses.slice(0, 2 * turn), bad, ...uses))).toBe('42601')
    expect(await countOnServer()).toBeLessThanOrEqual(limit)
  }
  expect(rowsOf(await batch(...uses))).toEqual(wanted)
})

test('errors that a text raises with names like ours close nothing, and few are looked up', async () => {
  await start()
  await batch(raw.parse('s0', 'select 0'), raw.parse('s1', 'select 1'))
  const asked = await say(raw.query('select name from pg_prepared_statements order by statement'))
  const [ours = ''] = rowsOf(asked)[0] ?? []
  const raised = (words: string) =>
    say(raw.query(`do $$begin raise '%', ${words} using errcode = '42P05'; end$$`))
  for (let turn = 0; turn < 20; turn++) {
    expect(errorOf(await raised(`'lk_' || md5('${turn}') || '01234567'`))).toBe('42P05')
  }
  expect(rowsOf(await batch(raw.parse('s2', 'select 2'), ...run('s2')))).toEqual([['2']])
  const [entry] = [...pooled.pooler.plane.pools.entries()]
  expect(entry?.pool.counters.statementEvictions).toBe(0)
  const [error] = (await raised(`repeat('${ours} ', 12)`)).filter(({ type }) => type === 'E')
  expect(errorFields(error?.body ?? Buffer.alloc(0)).M).toBe('s0 '.repeat(8) + `${ours} `.repeat(4))
  expect(rowsOf(await batch(...run('s0')))).toEqual([['0']])
})

test('a name is taken, also where what stands for it was to be evicted by a batch that failed', async () => {
  await start(1)
  await batch(raw.parse('st', 'select 1'), raw.parse('third', 'select 3'))
  await say(raw.query('begin; select 1/0'))
  const taken = [raw.parse('st', 'select 2'), ...run('third'), raw.sync()]
  const anew = [raw.parse('anew', 'select 4'), ...run('third'), raw.sync()]
  await client.send(Buffer.concat([...taken, ...anew, ...taken, ...anew, ...taken]))
  for (let at = 0; at < 5; at++) expect(errorOf(await client.untilReady())).toBe('25P02')
})

test('what an EXECUTE names is there, also where a batch that was skipped was to bring it', async () => {
  await start(1)
  await batch(raw.parse('st', 'select 1'), raw.parse('e', 'execute st'), ...run('e'))
  await batch(raw.parse('other', 'select 2'), ...run('other'))
  const skipped = [...run('none'), ...run('e'), raw.sync()]
  await client.send(Buffer.concat([...skipped, ...run('e'), raw.sync()]))
  expect(errorOf(await client.untilReady())).toBe('26000')
  expect(rowsOf(await client.untilReady())).toEqual([['1']])
})

test.each([1, 2])(
  'what one text needs together is there, also where settings were lent for it, at a limit of %i',
  async (max) => {
    await start(max)
    await batch(raw.parse('plain', 'select 1'))
    await batch(raw.parse('read', "select date '2020-01-02'::text"))
    await say(raw.query("set datestyle = 'German'"))
    for (const sql of ['execute plain; execute read', 'execute read; execute plain']) {
      // The first is left on the server, or both.
      for (const name of ['read', 'plain']) await batch(...run(name))
      const replies = await say(raw.query(sql))
      expect(errorOf(replies)).toBe(null)
      expect(rowsOf(replies)).toHaveLength(2)
    }
  },
)
