// A client's startup settings are what RESET goes back to, as if its server had been opened with
// them; what the client has set itself stays, wherever its transactions run.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import { rowsOf } from '../support/raw-replies.ts'
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
const read = async (client: RawClient): Promise<unknown> => {
  const shown = names.map((name) => `coalesce(current_setting('${name}', true), '')`)
  return (await run(client, `select ${shown.join()}`))[0]
}

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
  ["set local work_mem = '3MB'; reset kit.note"],
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
