// Settings with letters beyond ASCII follow their client and are told as they are, in databases and to clients
// of any encoding.
import { afterEach, describe, expect, test } from 'vitest'
import { PooledPostgres, type PostgresHome } from '../support/pooled-postgres.ts'
import { sharedPostgres, uniqueName } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { rowsOf, typesOf } from '../support/raw-replies.ts'

const postgres = sharedPostgres()
let pooled: PooledPostgres
let home: PostgresHome | undefined
afterEach(async () => {
  await pooled.stop()
  if (home !== undefined) await PooledPostgres.removeHome(postgres, home)
  home = undefined
})

test.each([
  ['LATIN1', 'é'],
  ['SQL_ASCII', 'é'],
  ['EUC_JP', '表'],
])('a setting in a database of %s', async (encoding, text) => {
  const name = uniqueName('letters')
  home = { role: name, database: name }
  await postgres.createRole(name, 'a password', '')
  await postgres.query(
    `create database ${name} owner ${name} encoding '${encoding}' locale_provider libc
     lc_collate 'C' lc_ctype 'C' template template0`,
  )
  pooled = await PooledPostgres.start(postgres, { poolSize: 1, home })
  const settings = { client_encoding: 'UTF8' }
  const one = await pooled.client('transaction', { settings })
  const other = await pooled.client('transaction', { settings })
  await pooled.value(one, `set app.name = '${text}'`)
  for (let round = 0; round < 2; round++) {
    expect(await pooled.value(one, "select current_setting('app.name')")).toBe(text)
    expect((await pooled.value(other, "select current_setting('app.name', true)")) ?? '').toBe('')
  }
})

describe('a client of LATIN1', () => {
  const bytes = (text: string) => Buffer.from(text, 'latin1')

  async function run(client: RawClient, sql: string): Promise<raw.RawMessage[]> {
    await client.send(raw.query(bytes(sql)))
    return client.untilReady()
  }
  const reportsIn = (replies: readonly raw.RawMessage[]) =>
    replies.filter(({ type }) => type === 'S').map(({ body }) => body.toString('latin1'))

  const startLatin = async (): Promise<RawClient> => {
    const client = await pooled.client('transaction', { settings: { client_encoding: 'LATIN1' } })
    await run(client, 'create schema "sché"; create table "sché".t as select 1 as x')
    return client
  }

  test('is told its search_path as Postgres tells it, and has it on each server', async () => {
    pooled = await PooledPostgres.start(postgres, { poolSize: 1 })
    const one = await startLatin()
    const other = await pooled.client('transaction')
    expect(reportsIn(await run(one, 'set search_path = "sché"'))).toEqual(['search_path\0"sché"\0'])
    for (let round = 0; round < 2; round++) {
      expect(typesOf(await run(other, 'select x from t'))).toBe('EZ')
      expect(rowsOf(await run(one, 'select x from t'))).toEqual([['1']])
    }
  })

  test('has a role’s search_path on each server, also when it is back from its own', async () => {
    pooled = await PooledPostgres.start(postgres, { poolSize: 1 })
    await postgres.query(`alter role ${pooled.role} set search_path = "sché"`)
    const one = await startLatin()
    const other = await pooled.client('transaction', { settings: { search_path: 'public' } })
    for (const sql of ["set search_path = 'public'", 'discard all', 'select 1']) {
      expect(typesOf(await run(one, sql))).toMatch(/Z$/)
      expect(typesOf(await run(other, 'select x from t'))).toBe('EZ')
    }
    expect(rowsOf(await run(one, 'select x from t'))).toEqual([['1']])
  })
})
