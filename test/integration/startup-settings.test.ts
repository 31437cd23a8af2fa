// A client's startup settings are what RESET goes back to, as if its server had been opened with
// them; what the client has set itself stays, wherever its transactions run.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { describeReply, rowsOf } from '../support/raw-replies.ts'
import { oneByteEach } from '../support/segments.ts'

const settings = { options: '-c work_mem=6MB', TimeZone: 'Asia/Tokyo', 'kit.note': 'startup' }

let pooled: PooledPostgres
beforeEach(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
})
afterEach(() => pooled.stop())

async function run(client: RawClient, sql: string): Promise<(string | null)[][]> {
  await client.query(sql)
  return rowsOf(await client.untilReady())
}
const names = ['work_mem', 'TimeZone', 'kit.note', 'statement_timeout']
const shown = names.map((name) => `coalesce(current_setting('${name}', true), '')`)
const readSql = `select ${shown.join()}`
const read = async (client: RawClient): Promise<unknown> => (await run(client, readSql))[0]

/** What the client is when the script runs. */
const ways: Readonly<Record<string, readonly string[]>> = {
  'between transactions': [],
  'in a transaction': ['begin'],
  'kept on its server': ['create temp table kept (a int)'],
}
const scripts: readonly (readonly string[])[] = [
  ["set work_mem = '3MB'", 'reset statement_timeout'],
  ["set work_mem = '3MB'; set kit.note = 'own'; reset statement_timeout"],
  ["set timezone = 'Etc/UTC'", 'reset work_mem'],
  ["set work_mem = '3MB'; set kit.note = 'own'", 'reset work_mem', 'reset kit.note'],
  ["set work_mem = '3MB'; set kit.note = 'own'", 'set work_mem to default; reset timezone'],
  ["set work_mem = '3MB'; set kit.note = 'own'; set statement_timeout = '9s'", 'reset all'],
  ["select set_config('work_mem', '3MB', false)", 'set work_mem = default'],
  ["set timezone = 'Etc/UTC'", "set kit.note = 'own'", 'reset kit.note', 'reset timezone'],
  ["reset work_mem; set work_mem = '3MB'"],
  ['reset datestyle; set time zone local', "set kit.note = 'own'", 'set kit.note to default'],
  ["set local work_mem = '3MB'; reset kit.note"],
  ["set work_mem = '3MB'", 'discard plans', 'set transaction isolation level serializable'],
  ["set work_mem = '3MB'", 'reset nonsense', 'set transaction read write'],
  ["set work_mem = '3MB'", 'reset transaction_isolation', 'set transaction_isolation to default'],
]

describe.each(Object.keys(ways))('%s', (way) => {
  test.each(scripts.map((script) => [script.join(' | '), script] as const))(
    '%s',
    async (_, script) => {
      const other = await pooled.client('transaction')
      const client = await pooled.client('transaction', { settings })
      const direct = await RawClient.loggedIn({ ...pooled.direct(), settings })
      try {
        const seen: unknown[][] = []
        for (const one of [direct, client]) {
          const values: unknown[] = []
          for (const sql of [...(ways[way] ?? []), ...script]) {
            await run(one, sql)
            if (way === 'between transactions') await run(other, 'select 1')
            values.push(await read(one))
          }
          await run(one, 'rollback')
          values.push(await read(one))
          await run(one, 'discard all')
          values.push(await read(one))
          seen.push(values)
        }
        expect(seen[1]).toEqual(seen[0])
      } finally {
        direct.close()
      }
    },
  )
})

test('what is set to the server’s own default stays so behind a DISCARD ALL of another', async () => {
  const client = await pooled.client('transaction', { settings: { application_name: 'startup' } })
  const other = await pooled.client('transaction')
  await run(client, "set application_name = ''")
  await run(client, 'select 1')
  await run(other, 'discard all')
  await run(client, "begin; set local search_path = 'one'; commit")
  expect(await run(client, 'show application_name')).toEqual([['']])
})

test('a transaction can be set up behind a RESET of what the client did not start with', async () => {
  const client = await pooled.client('transaction', { settings })
  for (const back of ['reset statement_timeout', 'set datestyle to default; reset role']) {
    for (const sql of ['begin', back, 'set transaction isolation level serializable']) {
      await client.query(sql)
      expect((await client.untilReady()).map(describeReply)).not.toContainEqual(
        expect.stringMatching(/^E/),
      )
    }
    expect(await run(client, 'show transaction_isolation')).toEqual([['serializable']])
    await run(client, 'commit')
  }
})

const aheads: readonly (readonly string[])[] = [
  ...scripts,
  ['discard all'],
  ["set kit.note = 'own'", 'discard all', "set work_mem = '3MB'"],
  ['reset application_name', 'reset work_mem'],
  ['select 1/0; reset all', 'reset all'],
  ['begin', 'reset all', "set kit.note = 'own'", 'commit', 'reset kit.note'],
  ['begin', 'reset all', 'select 1/0', 'rollback', 'set work_mem to default'],
  ['begin', "set work_mem = '3MB'", 'savepoint s', 'reset all', 'rollback to s', 'commit'],
]
const forms: Readonly<Record<string, (sql: string) => Buffer>> = {
  'as simple queries': (sql) => raw.query(sql),
  'as batches': (sql) => Buffer.concat([raw.parse('', sql), raw.bind(), raw.execute(), raw.sync()]),
}

describe.each(Object.keys(forms))('sent ahead %s', (form) => {
  const toSend = forms[form] as (sql: string) => Buffer
  test.each(aheads.map((script) => [script.join(' | '), script] as const))(
    '%s',
    async (_, script) => {
      const isOne = form === 'as simple queries'
      const texts = script.flatMap((one) => (isOne ? [one] : one.split('; ')))
      const messages = texts.flatMap((one) => [toSend(one), raw.query(readSql)])
      for (const [way, before] of Object.entries(ways)) {
        const client = await pooled.client('transaction', { settings })
        const direct = await RawClient.loggedIn({ ...pooled.direct(), settings })
        try {
          const seen: unknown[][] = []
          for (const one of [direct, client]) {
            for (const sql of before) await run(one, sql)
            await one.send(Buffer.concat(messages))
            const replies = await one.untilReadies(messages.length)
            const told = replies.filter(({ type }) => 'DEZ'.includes(type))
            await run(one, 'rollback')
            seen.push([...told.map(({ body }) => String(body)), await read(one)])
          }
          expect(seen[1], way).toEqual(seen[0])
        } finally {
          direct.close()
          client.close()
        }
      }
    },
  )
})

test('a COPY behind a RESET gets its data, and what follows it the startup settings', async () => {
  const client = await pooled.client('transaction', { settings })
  await run(client, 'create temp table kept (a int)')
  const copy = (sql: string) => [raw.query(sql), raw.copyData('5\n'), raw.copyDone()]
  const messages = [
    ...copy('reset work_mem; copy kept from stdin'),
    raw.query(readSql),
    raw.query('reset work_mem'),
    ...copy('copy kept from stdin'),
    raw.query(`${readSql}, (select count(*) from kept)`),
  ]
  await client.send(Buffer.concat(messages))
  const rows = rowsOf(await client.untilReadies(5))
  const usual = ['6MB', 'Asia/Tokyo', 'startup', '0']
  expect(rows).toEqual([usual, [...usual, '2']])
})

test('an application’s own setting follows, however its SET was cut on the way', async () => {
  const client = await pooled.client('transaction', { segmentation: oneByteEach })
  const other = await pooled.client('transaction')
  for (const value of ['one', 'two']) {
    await client.query(`set kit.note = '${value}'`)
    await client.untilReady()
    await run(other, "set kit.note = 'another'")
    expect(await read(client)).toContain(value)
  }
})

test('an application’s own setting keeps its characters through changes of the encoding', async () => {
  const client = await pooled.client('transaction')
  const other = await pooled.client('transaction')
  const setOther = () => run(other, "set kit.note = 'ö'")
  await run(client, "set kit.note = 'it''s ä'")
  await setOther()
  await run(client, "set client_encoding = 'latin1'")
  await setOther()
  await run(client, "set statement_timeout = '9s'")
  await setOther()
  const asked = "select encode(convert_to(current_setting('kit.note'), 'UTF8'), 'hex')"
  expect(await run(client, asked)).toEqual([[Buffer.from("it's ä").toString('hex')]])
})

test('a client is told of the encoding that DISCARD ALL has brought back', async () => {
  const client = await pooled.client('transaction', { settings: { client_encoding: 'latin1' } })
  for (const sql of ["set names 'utf8'", 'discard all', 'select 1']) await run(client, sql)
  const reports = client.received.filter(({ type }) => type === 'S').map(({ body }) => body)
  const told = reports.filter((body) => body.includes('client_encoding')).map(String)
  expect(told).toEqual(['LATIN1', 'UTF8', 'LATIN1'].map((name) => `client_encoding\0${name}\0`))
})

test('a RESET that failed is not looked for in the transaction that was chained to its own', async () => {
  const client = await pooled.client('transaction', { settings })
  const direct = await RawClient.loggedIn({ ...pooled.direct(), settings })
  try {
    const script = [
      'begin; set kit."Odd name" = \'y\'; reset work_mem',
      'commit and chain',
      "set statement_timeout = '92s'",
      // Not behind a query in its transaction, ours included.
      'set transaction isolation level serializable',
      'show transaction_isolation',
    ]
    for (const sql of script) {
      const answers: string[] = []
      for (const one of [direct, client]) {
        await one.query(sql)
        answers.push((await one.untilReady()).map(describeReply).join(' '))
      }
      expect(answers[1]).toBe(answers[0])
    }
  } finally {
    direct.close()
  }
})
