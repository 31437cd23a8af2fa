// Tables that change under prepared statements (`cached plan must not change result type`): where the
// client cannot tell the difference it sees no error; elsewhere it sees Postgres' own, once.
import { afterEach, describe, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { bothExtremes } from '../support/segments.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

async function say(client: RawClient, ...messages: Buffer[]): Promise<raw.RawMessage[]> {
  await client.send(Buffer.concat(messages))
  return client.untilReady()
}

const text = 'select * from t'
const run = (statement: string) => [raw.bind({ statement }), raw.execute()]
/** As libpq runs a prepared statement. */
const described = (statement: string) => [
  raw.bind({ statement }),
  raw.describeMessage('portal'),
  raw.execute(),
  raw.sync(),
]
const widen = (client: RawClient) => say(client, raw.query('alter table t add b int'))
const codeOf = (replies: raw.RawMessage[]) => {
  const error = replies.find(({ type }) => type === 'E')
  return error === undefined ? null : errorFields(error.body).C
}

describe.each(bothExtremes)('sent $name', ({ segmentation }) => {
  const open = () => pooled.client('transaction', { segmentation })

  /** A client and another, on one server that has the statement for a table of one column. */
  async function start(): Promise<[RawClient, RawClient]> {
    pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
    const [client, other] = [await open(), await pooled.client('transaction')]
    await say(other, raw.query('create table t as select 1 as a'))
    await say(other, raw.parse('o', text), ...described('o'))
    await say(client, raw.parse('s', text), raw.sync())
    return [client, other]
  }

  test('a batch that asks for the columns is run again, and again after the next change', async () => {
    const [client, other] = await start()
    expect(rowsOf(await say(client, ...described('s')))).toEqual([['1']])
    for (const columns of [2, 3]) {
      await say(other, raw.query(`alter table t add c${columns} int`))
      const replies = await say(client, ...described('s'))
      expect(typesOf(replies)).toBe('2TDCZ')
      expect(rowsOf(replies)[0]?.length).toBe(columns)
    }
    expect(rowsOf(await say(other, ...described('o')))[0]?.length).toBe(3)
  })

  test('a client that was never told the columns sees no error', async () => {
    const [client, other] = await start()
    await widen(other)
    const replies = await say(client, ...run('s'), raw.sync())
    expect(typesOf(replies)).toBe('2DCZ')
    expect(rowsOf(replies)).toEqual([['1', null]])
  })

  test('nor does one that prepares what the server has kept for others', async () => {
    const [client, other] = await start()
    await widen(other)
    await client.send(
      Buffer.concat([
        raw.parse('fresh', text),
        raw.describeMessage('statement', 'fresh'),
        raw.flush(),
      ]),
    )
    const told = await client.expect('1', 't', 'T')
    expect(told[2]?.body.readInt16BE(0)).toBe(2)
    const replies = await say(client, ...run('fresh'), raw.sync())
    expect(typesOf(replies)).toBe('2DCZ')
    await widenAgain(other)
    const whole = await say(client, raw.parse('more', text), ...described('more'))
    expect(typesOf(whole)).toBe('12TDCZ')
  })

  const widenAgain = (client: RawClient) => say(client, raw.query('alter table t add c int'))

  test('one that knows the columns and does not ask gets the error until it prepares anew', async () => {
    const [client, other] = await start()
    expect(typesOf(await say(client, ...described('s')))).toBe('2TDCZ')
    await widen(other)
    for (let turn = 0; turn < 3; turn++)
      expect(codeOf(await say(client, ...run('s'), raw.sync()))).toBe('0A000')
    await say(client, raw.parse('t', text), raw.sync())
    expect(rowsOf(await say(client, ...run('t'), raw.sync()))).toEqual([['1', null]])
  })

  test('in a transaction it is an error, and so is the rest of the transaction', async () => {
    const [client, other] = await start()
    await widen(other)
    await say(client, raw.query('begin'))
    expect(codeOf(await say(client, ...described('s')))).toBe('0A000')
    expect(codeOf(await say(client, raw.query('select 1')))).toBe('25P02')
    await say(client, raw.query('rollback'))
    expect(typesOf(await say(client, ...described('s')))).toBe('2TDCZ')
  })

  test('behind an answer of its batch, and in front of another batch, it is an error', async () => {
    const [client, other] = await start()
    await say(client, raw.parse('one', 'select 1'), raw.sync())
    await widen(other)
    const second = await say(client, ...described('one').slice(0, 3), ...described('s'))
    expect(typesOf(second)).toBe('2TDCEZ')
    await widenAgain(other)
    // Told what there is now, and then on the server.
    for (let turn = 0; turn < 2; turn++) await say(client, ...described('s'))
    await say(other, raw.query('alter table t add d int'))
    if (segmentation.kind === 'bytes') return
    await client.send(Buffer.concat([...described('s'), ...described('one')]))
    const replies = await client.untilReadies(2)
    expect(typesOf(replies)).toBe('EZ2TDCZ')
    expect(typesOf(await say(client, ...described('s')))).toBe('2TDCZ')
  })

  test('a client that leaves behind its batch is answered first', async () => {
    const [client, other] = await start()
    await widen(other)
    await client.send(Buffer.concat([...described('s'), raw.terminate()]))
    const replies = await client.readAll()
    expect(['EZ', '2TDCZ']).toContain(typesOf(replies))
  })

  test.each([
    ['a Parse', [raw.parse('x', 'select 1')], '1'],
    ['a Bind of another statement', run('x'), '2DC'],
  ])(
    'its error comes in front of its own end where %s is behind it',
    async (_, behind, answers) => {
      const [client, other] = await start()
      if (answers !== '1') await say(client, raw.parse('x', 'select 1'), raw.sync())
      expect(codeOf(await say(client, ...described('s')))).toBe(null)
      await widen(other)
      expect(typesOf(await say(client, ...run('s'), raw.sync(), ...behind))).toBe('EZ')
      expect(typesOf(await say(client, raw.sync()))).toBe(`${answers}Z`)
    },
  )

  test('a Close that a failed batch has skipped is made up for', async () => {
    const [client, other] = await start()
    await widen(other)
    await say(client, raw.query('begin'))
    expect(codeOf(await say(client, ...described('s')))).toBe('0A000')
    await say(client, raw.query('rollback'))
    for (let turn = 0; turn < 2; turn++) {
      const failed = await say(client, ...run('unknown'), ...run('s'), raw.sync())
      expect(codeOf(failed)).toBe('26000')
    }
    expect(typesOf(await say(client, ...described('s')))).toBe('2TDCZ')
  })

  test('what a batch does beside it is done once', async () => {
    const [client, other] = await start()
    await say(client, raw.query('create table log (n int)'))
    await say(client, raw.parse('w', 'insert into log values (1)'), raw.sync())
    await widen(other)
    const replies = await say(client, ...described('s').slice(0, 3), ...described('w'))
    expect(typesOf(replies)).toBe('2TDC2nCZ')
    expect(await pooled.value(client, 'select count(*) from log')).toBe('1')
  })
})
