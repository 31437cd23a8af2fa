// A cancel request that comes while something of the pooler's own runs for its client.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

/** What reads this catalog waits until the operator lets go. */
async function lock(catalog: string): Promise<RawClient> {
  const { superuser: user, password } = sharedPostgres()
  const operator = await RawClient.loggedIn({ ...pooled.direct(), user, password })
  await operator.query(`begin; lock table pg_catalog.${catalog} in access exclusive mode`)
  await operator.untilReady()
  return operator
}

test('the question behind a transaction is not cancelled', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const { client, login } = await pooled.login('transaction')
  const other = await pooled.client('transaction')
  await pooled.value(client, 'select 1')
  const operator = await lock('pg_depend')
  await pooled.value(client, 'select pg_advisory_lock(11)')
  await pooled.running('WITH asked')
  await client.cancel(login.processId, login.secret)
  // It comes behind the request, and is not what that was for.
  await client.query('select pg_sleep(0.5)::text')
  operator.close()
  expect(typesOf(await client.untilReady())).toBe('TDCZ')
  expect(await pooled.value(other, 'select pg_try_advisory_lock(11)')).toBe('f')
})

test('what brings a server to its settings is not cancelled, and what comes behind it is', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const { client, login } = await pooled.login('transaction')
  const busy = await pooled.client('transaction')
  await pooled.value(client, "set default_text_search_config = 'pg_catalog.german'")
  // The question behind that has been answered, and the other one gets its server.
  await pooled.value(client, 'select 1')
  await pooled.value(busy, 'begin')
  const operator = await lock('pg_ts_config')
  await client.query('select pg_sleep(60)')
  await pooled.running('set_config')
  await client.cancel(login.processId, login.secret)
  operator.close()
  const [error] = (await client.untilReady()).filter(({ type }) => type === 'E')
  expect(errorFields(error?.body ?? Buffer.alloc(0))).toMatchObject({ S: 'ERROR', C: '57014' })
  expect(await pooled.value(client, 'show default_text_search_config')).toBe('pg_catalog.german')
  await pooled.value(busy, 'rollback')
})
