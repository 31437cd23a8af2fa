// A prepared FETCH: Postgres settles what it gives when it runs, from the cursor that is open then. It never says
// "cached plan must not change result type" of it, also not where it was described without that cursor.
import { afterEach, describe, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const start = async (poolSize: number) => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize })
}

async function query(client: RawClient, sql: string): Promise<void> {
  await client.query(sql)
  await client.untilReady()
}

/** What pgx's Prepare sends. */
async function prepare(client: RawClient, sql = 'fetch all in c'): Promise<string> {
  await client.send(
    Buffer.concat([raw.parse('f', sql), raw.describeMessage('statement', 'f'), raw.sync()]),
  )
  return typesOf(await client.untilReady())
}

/** Its rows, and the errors in front of them. */
async function rows(client: RawClient, asks: boolean, ...before: Buffer[]): Promise<unknown[]> {
  const describes = asks ? [raw.describeMessage('portal')] : []
  const use = [raw.bind({ statement: 'f' }), ...describes, raw.execute(), raw.sync()]
  await client.send(Buffer.concat([...before, ...use]))
  const replies = await client.untilReady()
  const errors = replies.filter(({ type }) => type === 'E')
  return [...errors.map(({ body }) => errorFields(body).M), ...rowsOf(replies)]
}

const declare = (columns: string) => `declare c cursor for select ${columns}`
const declareFirst = [raw.parse('', declare('1 as a, 2 as b')), raw.bind(), raw.execute()]

/** The other server of two is made to be the next that this client gets. */
async function moved(client: RawClient, sql: string): Promise<void> {
  await query(await pooled.client('transaction'), 'begin')
  await query(client, sql)
}

test('straight to Postgres: other columns each time, and no error', async () => {
  await start(1)
  const client = await RawClient.loggedIn(pooled.direct())
  expect(await prepare(client)).toBe('1tnZ')
  await query(client, `begin; ${declare('1 as a, 2 as b')}`)
  expect(await rows(client, false)).toEqual([['1', '2']])
  await query(client, `rollback; begin; ${declare("'x' as n")}`)
  expect(await rows(client, false)).toEqual([['x']])
  client.close()
})

describe.each([
  ['described anew', true],
  ['not described anew', false],
])('a FETCH that is %s', (_how, asks) => {
  test.each([
    ['', 1],
    [', on another server', 2],
  ])('prepared without its cursor%s', async (_where, poolSize) => {
    await start(poolSize)
    const client = await pooled.client('transaction')
    expect(await prepare(client, '/* of pages */ FETCH all in c')).toBe('1tnZ')
    const sql = `begin; ${declare('1 as a, 2 as b')}`
    if (poolSize > 1) await moved(client, sql)
    else await query(client, sql)
    expect(await rows(client, asks)).toEqual([['1', '2']])
  })

  test('of a cursor that has other columns in the next transaction', async () => {
    await start(2)
    const client = await pooled.client('transaction')
    await query(client, `begin; ${declare('1 as a')}`)
    expect(await prepare(client)).toBe('1tTZ')
    await query(client, 'rollback')
    await moved(client, `begin; ${declare("'x' as b, 2 as n")}`)
    expect(await rows(client, asks)).toEqual([['x', '2']])
  })

  test.each([
    ['without it', 'begin', '1tnZ'],
    ['with it', `begin; ${declare('1 as a, 2 as b')}`, '1tTZ'],
  ])('in one batch with its cursor, prepared %s', async (_way, before, told) => {
    await start(2)
    const client = await pooled.client('transaction')
    await query(client, before)
    expect(await prepare(client)).toBe(told)
    await query(client, 'rollback')
    await moved(client, 'begin')
    expect(await rows(client, asks, ...declareFirst)).toEqual([['1', '2']])
  })
})

test('what one client fetches says nothing of the cursor of another, by the same text', async () => {
  await start(2)
  const [one, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await query(one, `begin; ${declare('1 as a')}`)
  expect(await prepare(one)).toBe('1tTZ')
  await query(other, `begin; ${declare("'x' as b, 'y' as d")}`)
  expect(await prepare(other)).toBe('1tTZ')
  await query(one, 'rollback')
  await query(other, 'rollback')
  for (let round = 0; round < 3; round++) {
    await query(one, `begin; ${declare('1 as a')}`)
    expect(await rows(one, false)).toEqual([['1']])
    await query(one, 'rollback')
  }
})
