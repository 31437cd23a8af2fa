// Session state of clients that leave before anybody could ask their server about it.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import * as raw from '../support/raw-messages.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

test('a client that says Terminate right behind its work leaves nothing of it to the next', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
  const one = await pooled.client('transaction')
  const sql = "set work_mem = '1234kB'; listen news; create temp table mine (x int)"
  await one.send(Buffer.concat([raw.query(sql), raw.terminate()]))
  await one.readAll()
  const other = await pooled.client('transaction')
  expect(await pooled.value(other, 'show work_mem')).toBe('4MB')
  expect(await pooled.value(other, "select to_regclass('pg_temp.mine')")).toBe(null)
  expect(await pooled.value(other, 'select count(*) from pg_listening_channels()')).toBe('0')
})
