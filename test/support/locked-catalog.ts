import type { PooledPostgres } from './pooled-postgres.ts'
import { sharedPostgres } from './postgres.ts'
import { RawClient } from './raw-client.ts'

/** What reads this catalog waits until the operator that is returned has closed. */
export async function lockedCatalog(pooled: PooledPostgres, catalog: string): Promise<RawClient> {
  const { superuser: user, password } = sharedPostgres()
  const operator = await RawClient.loggedIn({ ...pooled.direct(), user, password })
  const run = async (sql: string) => {
    await operator.query(sql)
    await operator.untilReady()
  }
  // Servers forget what they know of it.
  if (catalog === 'pg_ts_config')
    await run("update pg_catalog.pg_ts_config set cfgname = cfgname where cfgname = 'german'")
  await run(`begin; lock table pg_catalog.${catalog} in access exclusive mode`)
  return operator
}
