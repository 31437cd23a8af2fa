// Cancel requests that reach Postgres when their statement is over, and something of the pooler's own runs.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HeldCancels } from '../support/held-cancels.ts'
import { lockedCatalog } from '../support/locked-catalog.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import { rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
let cancels: HeldCancels
beforeEach(async () => {
  cancels = new HeldCancels(sharedPostgres())
  const upstreamPort = await cancels.start()
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, upstreamPort })
})
afterEach(async () => {
  await pooled.stop()
  await cancels.close()
})

/** Until it closes, whoever asks for lock 77 waits. */
async function lockHolder(): Promise<RawClient> {
  const holder = await RawClient.loggedIn(pooled.direct())
  await holder.query('select pg_advisory_lock(77)')
  await holder.untilReady()
  return holder
}

test.each(['transaction', 'session'] as const)(
  '%s port: the startup settings of a client are put back though a cancel meets them',
  async (port) => {
    const settings = { default_text_search_config: 'pg_catalog.german' }
    const { client, login } = await pooled.login(port, { settings })
    // In transaction mode it keeps its server.
    await pooled.value(client, 'select pg_advisory_lock(5)')
    const holder = await lockHolder()
    await client.query('reset default_text_search_config; select pg_advisory_xact_lock(77)')
    await pooled.running('lock(77)')
    const canceled = client.cancel(login.processId, login.secret)
    await cancels.untilHeld()
    holder.close()
    expect(typesOf(await client.untilReady())).toBe('CTDCZ')
    const operator = await lockedCatalog(pooled, 'pg_ts_config')
    await client.query("select current_setting('default_text_search_config')")
    await pooled.running('set_config')
    await cancels.release()
    operator.close()
    expect(rowsOf(await client.untilReady())).toEqual([['pg_catalog.german']])
    await canceled
  },
)

test('the question behind a transaction is asked once more where a cancel has met it', async () => {
  const { client, login } = await pooled.login('transaction')
  const other = await pooled.client('transaction')
  await pooled.value(client, "create function f() returns int language sql as 'select 1'")
  await pooled.value(client, 'select 1')
  const holder = await lockHolder()
  await client.query('select f(), pg_advisory_xact_lock(77)')
  await pooled.running('lock(77)')
  const canceled = client.cancel(login.processId, login.secret)
  await cancels.untilHeld()
  const operator = await lockedCatalog(pooled, 'pg_depend')
  holder.close()
  expect(typesOf(await client.untilReady())).toBe('TDCZ')
  await pooled.running('WITH asked')
  await cancels.release()
  operator.close()
  await canceled
  expect(await pooled.value(other, 'select 1')).toBe('1')
})
