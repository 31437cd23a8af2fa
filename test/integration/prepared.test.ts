// Named prepared statements through the transaction port, message by message, on real Postgres: each
// client sees its own names, and answers and errors as if it had a server of its own.
import { afterEach, describe, expect, test } from 'vitest'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { bothExtremes } from '../support/segments.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

async function start(options: PooledPostgresOptions = {}): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...options })
}

async function say(client: RawClient, ...messages: Buffer[]): Promise<raw.RawMessage[]> {
  await client.send(Buffer.concat(messages))
  return client.untilReady()
}

const run = (statement: string, values: string[] = [], portal = '') => [
  raw.bind({ portal, statement, values }),
  raw.execute(portal),
]
const statusOf = (replies: raw.RawMessage[]) => replies.at(-1)?.body.toString()
const errorOf = (replies: raw.RawMessage[]) => {
  const error = replies.find(({ type }) => type === 'E')
  return error === undefined ? null : errorFields(error.body)
}
const statementsOn = async (client: RawClient): Promise<string[]> => {
  await client.query('select statement from pg_prepared_statements order by 1')
  return rowsOf(await client.untilReady()).map(([text]) => text ?? '')
}

describe.each(bothExtremes)('sent $name', ({ segmentation }) => {
  const open = () => pooled.client('transaction', { segmentation })

  test.each([1, 2])(
    'one name of two clients is two statements, on %i servers',
    async (poolSize) => {
      await start({ poolSize })
      const [a, b] = [await open(), await open()]
      await say(a, raw.parse('s', "select 'of a'"), raw.sync())
      await say(b, raw.parse('s', "select 'of b'"), raw.sync())
      for (let turn = 0; turn < 3; turn += 1) {
        const both = [say(a, ...run('s'), raw.sync()), say(b, ...run('s'), raw.sync())]
        expect((await Promise.all(both)).map(rowsOf)).toEqual([[['of a']], [['of b']]])
      }
    },
  )

  test('one text of many clients is one statement on the server, whatever they call it', async () => {
    await start()
    const clients = await Promise.all([open(), open(), open()])
    for (const [index, client] of clients.entries()) {
      const replies = await say(
        client,
        raw.parse(`name ${index}`, 'select $1::int + 1'),
        ...run(`name ${index}`, ['41']),
        raw.sync(),
      )
      expect(typesOf(replies)).toBe('12DCZ')
      expect(rowsOf(replies)).toEqual([['42']])
    }
    // Of several workers, that of the last has the server now.
    const texts = await statementsOn(clients[2] as RawClient)
    expect(texts).toEqual(['select $1::int + 1'])
  })

  test('one text with other parameter types is another statement', async () => {
    await start()
    const [a, b] = [await open(), await open()]
    const typed = (type: number) => raw.parse('s', 'select pg_typeof($1)::text', [type])
    expect(rowsOf(await say(a, typed(23), ...run('s', ['1']), raw.sync()))).toEqual([['integer']])
    expect(rowsOf(await say(b, typed(25), ...run('s', ['1']), raw.sync()))).toEqual([['text']])
    expect(rowsOf(await say(a, ...run('s', ['1']), raw.sync()))).toEqual([['integer']])
  })

  test('a taken name is 42P05 under the client’s name, once, up to its Sync', async () => {
    await start()
    const client = await open()
    await say(client, raw.parse('mine', 'select 1'), raw.parse('alias', 'select 1'), raw.sync())
    for (const text of ['select 1', 'select 2']) {
      const replies = await say(client, raw.parse('mine', text), ...run('mine'), raw.sync())
      expect(typesOf(replies)).toBe('EZ')
      expect(errorOf(replies)).toMatchObject({
        S: 'ERROR',
        C: '42P05',
        M: 'prepared statement "mine" already exists',
      })
    }
    expect(rowsOf(await say(client, ...run('mine'), raw.sync()))).toEqual([['1']])
    expect(rowsOf(await say(client, ...run('alias'), raw.sync()))).toEqual([['1']])
  })

  test('a taken name is told as it was sent, whichever name of its text was used last', async () => {
    await start()
    const client = await open()
    await say(client, raw.parse('mine', 'select 1'), raw.parse('alias', 'select 1'), raw.sync())
    for (const name of ['mine', 'alias']) {
      const other = name === 'mine' ? 'alias' : 'mine'
      const replies = await say(client, raw.parse(name, 'select 2'), ...run(other), raw.sync())
      expect(typesOf(replies)).toBe('EZ')
      expect(errorOf(replies)?.M).toBe(`prepared statement "${name}" already exists`)
    }
  })

  test('an unknown name is 26000 for Bind and for Describe, and the client goes on', async () => {
    await start()
    const client = await open()
    const uses = [raw.bind({ statement: 'none' }), raw.describeMessage('statement', 'none')]
    for (const use of uses) {
      const replies = await say(client, use, raw.execute(), raw.sync())
      expect(typesOf(replies)).toBe('EZ')
      expect(errorOf(replies)).toMatchObject({
        C: '26000',
        M: 'prepared statement "none" does not exist',
      })
      expect(statusOf(replies)).toBe('I')
    }
    expect(rowsOf(await say(client, raw.query('select 1')))).toEqual([['1']])
  })

  test('the name of a Parse that failed is free', async () => {
    await start()
    const client = await open()
    expect(errorOf(await say(client, raw.parse('s', 'selec'), raw.sync()))?.C).toBe('42601')
    expect(errorOf(await say(client, ...run('s'), raw.sync()))?.C).toBe('26000')
    const replies = await say(client, raw.parse('s', 'select 7'), ...run('s'), raw.sync())
    expect(rowsOf(replies)).toEqual([['7']])
  })

  test('a statement survives the rollback of the transaction that parsed it', async () => {
    await start()
    const client = await open()
    await say(client, raw.query('begin'))
    await say(client, raw.parse('s', 'select 5'), raw.sync())
    await say(client, raw.query('rollback'))
    expect(rowsOf(await say(client, ...run('s'), raw.sync()))).toEqual([['5']])
  })

  test('a closed name is unknown, and closing an unknown one is no error', async () => {
    await start()
    const [client, other] = [await open(), await open()]
    await say(other, raw.parse('s', 'select 5'), raw.sync())
    await say(client, raw.parse('s', 'select 5'), raw.sync())
    const closed = await say(
      client,
      raw.closeMessage('statement', 's'),
      raw.closeMessage('statement', 'never'),
      raw.bind({ statement: 's' }),
      raw.sync(),
    )
    expect(typesOf(closed)).toBe('33EZ')
    expect(errorOf(closed)).toMatchObject({
      C: '26000',
      M: 'prepared statement "s" does not exist',
    })
    expect(rowsOf(await say(other, ...run('s'), raw.sync()))).toEqual([['5']])
    const again = await say(client, raw.parse('s', 'select 6'), ...run('s'), raw.sync())
    expect(rowsOf(again)).toEqual([['6']])
  })

  test('a Parse in a failed transaction is 25P02, known text or not, and counts for nothing', async () => {
    await start()
    const [client, other] = [await open(), await open()]
    await say(other, raw.parse('s', 'select 5'), raw.sync())
    await client.query('begin')
    await client.untilReady()
    expect(statusOf(await say(client, raw.query('select 1/0')))).toBe('E')
    for (const text of ['select 5', 'select 6']) {
      const replies = await say(client, raw.parse('s', text), ...run('s'), raw.sync())
      expect(typesOf(replies)).toBe('EZ')
      expect(errorOf(replies)?.C).toBe('25P02')
      expect(statusOf(replies)).toBe('E')
    }
    const end = await say(client, raw.parse('end', 'rollback'), ...run('end'), raw.sync())
    expect(typesOf(end)).toBe('12CZ')
    expect(statusOf(end)).toBe('I')
    expect(errorOf(await say(client, ...run('s'), raw.sync()))?.C).toBe('26000')
  })

  test('the same when the transaction fails in messages sent ahead', async () => {
    await start()
    const [client, other] = [await open(), await open()]
    await say(other, raw.parse('s', 'select 5'), raw.sync())
    await client.send(
      Buffer.concat([
        raw.query('begin'),
        raw.query('select 1/0'),
        raw.parse('s', 'select 5'),
        raw.sync(),
        raw.query('rollback'),
        raw.parse('s', 'select 5'),
        ...run('s'),
        raw.sync(),
      ]),
    )
    const replies = await client.untilReadies(5)
    expect(typesOf(replies)).toBe('CZEZEZCZ12DCZ')
    expect(await statementsOn(client)).toEqual(['select 5'])
  })

  test('an error in one batch of many is skipped to its own Sync, and no statement is lost', async () => {
    await start({ poolSize: 2 })
    const [client, blocker] = [await open(), await open()]
    await say(client, raw.parse('a', "select 'a'"), raw.parse('b', "select 'b'"), raw.sync())
    // On another server neither is known.
    await say(blocker, raw.query('begin'))
    await client.send(
      Buffer.concat([
        raw.execute('none'),
        ...run('a'),
        raw.closeMessage('statement', 'b'),
        raw.parse('c', "select 'c'"),
        raw.sync(),
        ...run('a'),
        raw.sync(),
        ...run('b'),
        raw.sync(),
        ...run('c'),
        raw.sync(),
        raw.parse('c', "select 'c'"),
        ...run('c'),
        raw.sync(),
      ]),
    )
    const replies = await client.untilReadies(5)
    expect(typesOf(replies)).toBe('EZ2DCZ2DCZEZ12DCZ')
    expect(rowsOf(replies)).toEqual([['a'], ['b'], ['c']])
    await say(blocker, raw.query('rollback'))
  })

  test('what is put in front and what is answered by us is in its place, beside large rows', async () => {
    await start({ poolSize: 2, config: { serverPreparedStatementsMax: 2 } })
    const [client, other] = [await open(), await open()]
    const large = "select repeat('x', 300000) from generate_series(1, 3)"
    await say(other, raw.parse('known', 'select 1'), raw.sync())
    for (let turn = 0; turn < 3; turn += 1) {
      const replies = await say(
        client,
        raw.parse(`large ${turn}`, large),
        ...run(`large ${turn}`),
        raw.parse(`known ${turn}`, 'select 1'),
        raw.describeMessage('statement', `known ${turn}`),
        raw.closeMessage('statement', 'nothing'),
        raw.closeMessage('statement', `large ${turn}`),
        ...run(`known ${turn}`),
        raw.parse(`more ${turn}`, `select $1::int, ${turn}`),
        raw.describeMessage('statement', `more ${turn}`),
        raw.sync(),
      )
      expect(typesOf(replies)).toBe('12DDDC1tT332DC1tTZ')
      await say(other, raw.query('select 1'))
    }
  })

  test('named portals of named statements keep names and lengths on a server that learns', async () => {
    await start({ poolSize: 2 })
    const [client, blocker] = [await open(), await open()]
    await say(
      client,
      raw.parse('stmt', 'select n, $1::text from generate_series(1, 3) n'),
      raw.sync(),
    )
    await say(blocker, raw.query('begin'))
    const replies = await say(
      client,
      raw.bind({ portal: 'C_1', statement: 'stmt', values: ['v'], resultFormats: [0] }),
      raw.describeMessage('portal', 'C_1'),
      raw.execute('C_1', 2),
      raw.execute('C_1', 2),
      raw.closeMessage('portal', 'C_1'),
      raw.sync(),
    )
    expect(typesOf(replies)).toBe('2TDDsDC3Z')
    await say(blocker, raw.query('rollback'))
  })

  test('Flush brings the answers without a Sync, ours too, and the server stays', async () => {
    await start()
    const [client, other] = [await open(), await open()]
    await say(other, raw.parse('s', 'select 5'), raw.sync())
    await client.send(Buffer.concat([raw.parse('s', 'select 5'), raw.flush()]))
    await client.expect('1')
    await client.send(Buffer.concat([raw.describeMessage('statement', 's'), raw.flush()]))
    await client.expect('tT')
    await client.send(Buffer.concat([raw.closeMessage('statement', 'x'), raw.flush()]))
    await client.expect('3')
    expect(typesOf(await say(client, ...run('s'), raw.sync()))).toBe('2DCZ')
  })

  test('the unnamed statement goes along, and never is another client’s', async () => {
    await start()
    const [a, b] = [await open(), await open()]
    await say(a, raw.parse('', "select 'of a'"), raw.sync())
    await say(b, raw.parse('', "select 'of b'"), raw.sync())
    expect(rowsOf(await say(a, ...run(''), raw.sync()))).toEqual([['of a']])
    expect(rowsOf(await say(b, ...run(''), raw.sync()))).toEqual([['of b']])
    const c = await open()
    expect(errorOf(await say(c, ...run(''), raw.sync()))?.C).toBe('26000')
    expect(typesOf(await say(a, raw.describeMessage('statement'), raw.sync()))).toBe('tTZ')
    expect(errorOf(await say(a, raw.parse('', 'selec'), raw.sync()))?.C).toBe('42601')
    expect(errorOf(await say(a, ...run(''), raw.sync()))?.C).toBe('26000')
    await say(b, raw.query('select 1'))
    expect(errorOf(await say(b, ...run(''), raw.sync()))?.C).toBe('26000')
  })

  test('an unnamed text that repeats is the same statement, and one that differs in a byte is not', async () => {
    await start()
    const [a, b] = [await open(), await open()]
    for (const padding of ['', ' '.repeat(1000)]) {
      const ask = (text: string) =>
        say(a, raw.parse('', `select${padding} '${text}'`), ...run(''), raw.sync())
      for (const text of ['x', 'x', 'y', 'x']) {
        expect(rowsOf(await ask(text))).toEqual([[text]])
        await say(b, raw.parse('', "select 'of b'"), raw.sync())
        expect(rowsOf(await say(a, ...run(''), raw.sync()))).toEqual([[text]])
      }
      await say(a, raw.query('select 1'))
      expect(rowsOf(await ask('x'))).toEqual([['x']])
    }
  })

  test('an unnamed text that repeats, and fails this time, leaves no statement', async () => {
    await start()
    const [a, b] = [await open(), await open()]
    const parse = raw.parse('', 'select n from comes_and_goes')
    await say(b, raw.query('create table comes_and_goes (n int)'))
    expect(typesOf(await say(a, parse, raw.sync()))).toBe('1Z')
    await say(b, raw.query('drop table comes_and_goes'))
    expect(errorOf(await say(a, parse, ...run(''), raw.sync()))?.C).toBe('42P01')
    expect(errorOf(await say(a, ...run(''), raw.sync()))?.C).toBe('26000')
    await say(b, raw.query('create table comes_and_goes (n int)'))
    expect(typesOf(await say(a, parse, ...run(''), raw.sync()))).toBe('12CZ')
    await say(b, raw.query('drop table comes_and_goes'))
  })

  test('an unnamed text that repeats is told of once more: what it may set is asked for', async () => {
    await start()
    const [a, b] = [await open(), await open()]
    const parse = raw.parse('', "select set_config('lock_timeout', $1, false)")
    for (const value of ['1s', '2s', '3s']) {
      await say(a, parse, ...run('', [value]), raw.sync())
      await say(b, raw.query('show lock_timeout'))
      expect(rowsOf(await say(a, raw.query('show lock_timeout')))).toEqual([[value]])
    }
  })

  test('the unnamed statement is still its client’s when settings were restored in between', async () => {
    await start()
    const a = await open()
    const b = await pooled.client('transaction', { settings: { DateStyle: 'German' } })
    await say(a, raw.parse('', "select 'of a'"), raw.sync())
    await say(b, raw.query('show DateStyle'))
    expect(rowsOf(await say(a, ...run(''), raw.sync()))).toEqual([['of a']])
    expect(errorOf(await say(b, ...run(''), raw.sync()))?.C).toBe('26000')
  })
})
