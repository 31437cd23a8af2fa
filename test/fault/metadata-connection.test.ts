import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { openTestMetadata } from '../support/metadata.ts'
import { sharedPostgres } from '../support/postgres.ts'

test('a metadata connection that breaks between two statements fails its work, and nothing else', async () => {
  const { database, close } = await openTestMetadata()
  try {
    const work = database.db.transaction().execute(async (transaction) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(
        transaction,
      )
      const pid = rows[0]?.pid
      await sharedPostgres().query('SELECT pg_terminate_backend($1)', [pid])
      const alive = 'SELECT 1 FROM pg_stat_activity WHERE pid = $1'
      await eventually(async () => (await sharedPostgres().query(alive, [pid])).length === 0)
      await sql`select 1`.execute(transaction)
    })
    await expect(work).rejects.toThrow()
    expect(await database.isReachable()).toBe(true)
  } finally {
    await close()
  }
})
