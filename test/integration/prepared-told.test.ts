// A client that was told what a statement takes and gives is held to it on every server, as by Postgres: types of
// parameters stay those of its Parse, and other columns are an error until it prepares the text anew.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { bothExtremes } from '../support/segments.ts'

let pooled: PooledPostgres
/** Straight to Postgres: what it changes the pooler does not see. */
let outside: RawClient
beforeEach(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  outside = await RawClient.connect(pooled.direct())
  await outside.login(pooled.direct())
})
afterEach(async () => {
  outside.close()
  await pooled.stop()
})

async function say(client: RawClient, ...messages: Buffer[]): Promise<raw.RawMessage[]> {
  await client.send(Buffer.concat(messages))
  return client.untilReady()
}
const run = (client: RawClient, statement: string, ...values: string[]) =>
  say(client, raw.bind({ statement, values }), raw.execute(), raw.sync())
const asking = (statement: string) => [
  raw.bind({ statement }),
  raw.describeMessage('portal'),
  raw.execute(),
  raw.sync(),
]
const codeOf = (replies: raw.RawMessage[]) => {
  const error = replies.find(({ type }) => type === 'E')
  return error === undefined ? null : errorFields(error.body).C
}
const parameterOf = (replies: raw.RawMessage[]) =>
  replies.find(({ type }) => type === 't')?.body.readUInt32BE(2)

/** The ways of drivers to be told: pgx, asyncpg and others; pgjdbc; node-postgres never is. */
const ways: readonly (readonly [
  name: string,
  messages: (name: string, sql: string) => Buffer[],
])[] = [
  [
    'by Describe of the statement',
    (name, sql) => [raw.parse(name, sql), raw.describeMessage('statement', name), raw.sync()],
  ],
  ['by Describe of the portal', (name, sql) => [raw.parse(name, sql), ...asking(name)]],
]

const text = 'select a from pl'

describe.each(bothExtremes)('sent $name', ({ segmentation }) => {
  /** Two clients; while the other one is in a transaction it has the server that comes first. */
  async function start(): Promise<[RawClient, RawClient]> {
    await say(outside, raw.query('create table pl as select 1078530011 as a'))
    return [
      await pooled.client('transaction', { segmentation }),
      await pooled.client('transaction'),
    ]
  }

  describe.each(ways)('told %s', (_way, prepare) => {
    test('it gets an error for other columns on another server, until it prepares anew', async () => {
      const [client, other] = await start()
      await say(client, ...prepare('s', text))
      expect(rowsOf(await run(client, 's'))).toEqual([['1078530011']])
      await say(outside, raw.query('alter table pl alter a type float4 using 3.25'))
      await say(other, raw.query('begin'))
      expect(codeOf(await run(client, 's'))).toBe('0A000')
      expect(codeOf(await run(client, 's'))).toBe('0A000')
      await say(other, raw.query('rollback'))
      expect(codeOf(await run(client, 's'))).toBe('0A000')
      await say(client, raw.closeMessage('statement', 's'), raw.sync())
      await say(client, ...prepare('s', text))
      expect(rowsOf(await run(client, 's'))).toEqual([['3.25']])
    })

    test('and on the server that it had', async () => {
      const [client] = await start()
      await say(client, ...prepare('s', text))
      await say(outside, raw.query('alter table pl add b int'))
      await say(outside, raw.query('alter table pl alter a type float4'))
      for (let turn = 0; turn < 3; turn++) expect(codeOf(await run(client, 's'))).toBe('0A000')
      await say(client, ...prepare('t', text))
      expect(codeOf(await run(client, 't'))).toBe(null)
    })

    test('in a transaction the rest of it fails', async () => {
      const [client, other] = await start()
      await say(client, ...prepare('s', text))
      await say(outside, raw.query('alter table pl alter a type float4'))
      await say(other, raw.query('begin'))
      await say(client, raw.query('begin'))
      expect(codeOf(await run(client, 's'))).toBe('0A000')
      expect(codeOf(await say(client, raw.query('select 1')))).toBe('25P02')
      await say(client, raw.query('rollback'))
      await say(client, ...prepare('t', text))
      expect(codeOf(await run(client, 't'))).toBe(null)
    })

    test('nothing changes where the columns are the same', async () => {
      const [client, other] = await start()
      await say(client, ...prepare('s', text))
      await say(outside, raw.query('drop table pl; create table pl as select 7 as a, 8 as b'))
      await say(other, raw.query('begin'))
      expect(typesOf(await run(client, 's'))).toBe('2DCZ')
      expect(rowsOf(await run(client, 's'))).toEqual([['7']])
    })
  })

  describe('told by Describe of the statement, it is refused where Postgres does', () => {
    const prepare = (name: string, sql = text) => [
      raw.parse(name, sql),
      raw.describeMessage('statement', name),
      raw.sync(),
    ]
    const bind = (portal = '') => raw.bind({ portal, statement: 's' })

    /** The client is told, the table changes, and its next server has not met the statement. */
    async function moved(
      ...before: ((client: RawClient) => Promise<unknown>)[]
    ): Promise<RawClient> {
      const [client, other] = await start()
      for (const one of before) await one(client)
      await say(client, ...prepare('s'))
      await say(client, raw.parse('one', 'select 1'), raw.sync())
      await say(outside, raw.query('alter table pl alter a type float4 using 3.25'))
      await say(other, raw.query('begin'))
      return client
    }

    test('also when somebody else had prepared the text and has left, or it had itself', async () => {
      const client = await moved(
        async () => {
          const early = await pooled.client('transaction')
          await say(early, ...prepare('x'))
          await early.terminate()
        },
        async (self) => {
          await say(self, ...prepare('y'))
          await say(self, raw.closeMessage('statement', 'y'), raw.sync())
        },
      )
      for (let turn = 0; turn < 2; turn++) expect(codeOf(await run(client, 's'))).toBe('0A000')
    })

    test.each(['', 'p'])(
      'at Bind, whose portal %j is executed in the next batch',
      async (portal) => {
        const client = await moved()
        await say(client, raw.query('begin'))
        expect(typesOf(await say(client, bind(portal), raw.sync()))).toBe('EZ')
        // Postgres has made the portal, empty, before it refuses the statement; where we refuse it there is none.
        expect(typesOf(await say(client, raw.execute(portal), raw.sync()))).toMatch(/^[EI]Z$/)
        await say(client, raw.query('rollback'))
      },
    )

    test('with another Bind in front of its Execute', async () => {
      const client = await moved()
      const replies = await say(
        client,
        bind('p'),
        raw.bind({ portal: 'q', statement: 'one' }),
        raw.execute('p'),
        raw.execute('q'),
        raw.sync(),
      )
      expect(typesOf(replies)).toBe('EZ')
    })

    test('with a Close of it in front of its Execute, which is not done', async () => {
      const client = await moved()
      const close = raw.closeMessage('statement', 's')
      expect(typesOf(await say(client, bind(), close, raw.execute(), raw.sync()))).toBe('EZ')
      expect(codeOf(await run(client, 's'))).toBe('0A000')
    })

    test('and where it asks for another name of the text', async () => {
      const client = await moved((self) => say(self, ...prepare('s2')))
      const asked = raw.describeMessage('statement', 's2')
      expect(typesOf(await say(client, asked, bind(), raw.execute(), raw.sync()))).toMatch(/EZ$/)
    })
  })

  test('formats for the columns that it was told are no fault of the client', async () => {
    const [client, other] = await start()
    await say(outside, raw.query('alter table pl add b int'))
    const all = 'select * from pl'
    await say(client, raw.parse('s', all), ...asking('s'))
    await say(outside, raw.query('alter table pl add c int'))
    await say(other, raw.query('begin'))
    const use = [raw.bind({ statement: 's', resultFormats: [1, 1] }), raw.execute(), raw.sync()]
    for (let turn = 0; turn < 3; turn++) expect(codeOf(await say(client, ...use))).toBe('0A000')
    await say(other, raw.query('rollback'))
    for (let turn = 0; turn < 2; turn++) expect(codeOf(await say(client, ...use))).toBe('0A000')
  })

  test('one that asks each time gets what there is', async () => {
    const [client, other] = await start()
    await say(client, raw.parse('s', text), ...asking('s'))
    await say(outside, raw.query('alter table pl alter a type float4 using 3.25'))
    await say(other, raw.query('begin'))
    for (let turn = 0; turn < 2; turn++) {
      const replies = await say(client, ...asking('s'))
      expect(typesOf(replies)).toBe('2TDCZ')
      expect(rowsOf(replies)).toEqual([['3.25']])
    }
  })

  test('a batch of several goes on in order, and is refused where the first Execute is', async () => {
    const [client, other] = await start()
    await say(client, raw.parse('s', text), raw.describeMessage('statement', 's'), raw.sync())
    await say(other, raw.query('begin'))
    const use = [raw.bind({ statement: 's' }), raw.execute()]
    expect(typesOf(await say(client, ...use, ...use, ...use, raw.sync()))).toBe('2DC2DC2DCZ')
    await say(outside, raw.query('alter table pl alter a type float4'))
    await say(other, raw.query('rollback'))
    const both = [
      raw.parse('', 'select 1'),
      raw.bind(),
      raw.execute(),
      ...use,
      ...use,
      raw.sync(),
      ...use,
      raw.sync(),
    ]
    await client.send(Buffer.concat(both))
    const replies = typesOf(await client.untilReadies(2))
    expect(replies).toMatch(/^12DC2?EZ2?EZ$/)
  })

  test('types of parameters stay', async () => {
    await say(outside, raw.query('create table bt (v int)'))
    const [client, other] = [
      await pooled.client('transaction', { segmentation }),
      await pooled.client('transaction'),
    ]
    const insert = 'insert into bt values ($1)'
    const told = await say(
      client,
      raw.parse('s', insert),
      raw.describeMessage('statement', 's'),
      raw.sync(),
    )
    expect(parameterOf(told)).toBe(23)
    await say(outside, raw.query('alter table bt alter v type real'))
    await say(other, raw.query('begin'))
    const values = [Buffer.from([0, 0, 0, 42])]
    const binary = raw.bind({ statement: 's', values, formats: [1] })
    expect(typesOf(await say(client, binary, raw.execute(), raw.sync()))).toBe('2CZ')
    expect(await pooled.value(client, 'select v::text from bt')).toBe('42')
    const again = await say(client, raw.describeMessage('statement', 's'), raw.sync())
    expect(parameterOf(again)).toBe(23)
  })
})

test('a change from elsewhere that one client runs into counts for all that prepare behind it', async () => {
  await say(outside, raw.query('create table pl (a int)'))
  const [client, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  const told = [raw.parse('s', text), raw.describeMessage('statement', 's'), raw.sync()]
  await say(client, ...told)
  await say(outside, raw.query('alter table pl alter a type bigint'))
  expect(codeOf(await run(client, 's'))).toBe('0A000')
  expect(codeOf(await run(client, 's'))).toBe('0A000')
  const replies = await say(other, ...told)
  expect(typesOf(replies)).toBe('1tTZ')
  expect(typesOf(await run(other, 's'))).toBe('2CZ')
})

test('of two statements in one batch only the one that has changed is held against its client', async () => {
  await say(outside, raw.query('create table pl (a int)'))
  const client = await pooled.client('transaction')
  for (const [name, sql] of [
    ['changing', text],
    ['constant', 'select 5'],
  ] as const) {
    await say(client, raw.parse(name, sql), ...asking(name))
  }
  await say(outside, raw.query('alter table pl alter a type bigint'))
  const uses = ['changing', 'constant'].flatMap((statement) => [
    raw.bind({ statement }),
    raw.execute(),
  ])
  expect(codeOf(await say(client, ...uses, raw.sync()))).toBe('0A000')
  expect(rowsOf(await run(client, 'constant'))).toEqual([['5']])
  expect(codeOf(await run(client, 'changing'))).toBe('0A000')
  await say(client, raw.query('begin'))
  expect(rowsOf(await run(client, 'constant'))).toEqual([['5']])
  expect(codeOf(await run(client, 'changing'))).toBe('0A000')
})

const insert = 'insert into st values ($1)'
const describeOf = (name: string) => [
  raw.parse(name, insert),
  raw.describeMessage('statement', name),
  raw.sync(),
]

/** A client that was told int4, which has become bigint, and one that comes behind. */
async function widened(): Promise<[early: RawClient, late: RawClient]> {
  await say(outside, raw.query('create table st (id int)'))
  const early = await pooled.client('transaction')
  expect(parameterOf(await say(early, ...describeOf('s')))).toBe(23)
  await say(outside, raw.query('alter table st alter id type bigint'))
  return [early, await pooled.client('transaction')]
}

/** With a new name each time, until it is so. The name of the last one. */
async function untilFound(look: (name: string) => Promise<void>): Promise<string> {
  let tries = 0
  await eventually(() => look(`s${++tries}`), { pollMs: 500 })
  return `s${tries}`
}

test('a change from elsewhere that nobody runs into is found out', async () => {
  const [early, late] = await widened()
  const name = await untilFound(async (one) => {
    expect(parameterOf(await say(late, ...describeOf(one)))).toBe(20)
  })
  expect(codeOf(await run(late, name, '3000000000'))).toBe(null)
  // A type of before is none that it was not told.
  expect(codeOf(await run(early, 's', '3'))).toBe(null)
  expect(codeOf(await run(early, 's', '3000000000'))).toBe('22003')
})

test('also by a client that is told nothing, for which it counts at once', async () => {
  const [, late] = await widened()
  await untilFound(async (one) => {
    await say(late, raw.parse(one, insert), raw.sync())
    expect(codeOf(await run(late, one, '3000000000'))).toBe(null)
  })
})

test('a row of more columns than are read is left to Postgres', async () => {
  const columns = Array.from({ length: 1500 }, (_, index) => `${index} as column_${index}`)
  await say(outside, raw.query(`create view wide as select ${columns.join(', ')}`))
  const [client, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  const sql = 'select * from wide'
  await say(client, raw.parse('s', sql), raw.describeMessage('statement', 's'), raw.sync())
  await say(other, raw.query('begin'))
  expect(rowsOf(await run(client, 's'))[0]?.length).toBe(1500)
})
