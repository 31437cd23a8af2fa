import { expect, test } from 'vitest'
import { openDatabase } from '../../pooler/store/database.ts'
import { nullLog } from '../../shared/log.ts'
import { sharedPostgres } from '../support/postgres.ts'

test('several processes that start at once make the schema once', async () => {
  const postgres = sharedPostgres()
  await postgres.createDatabase('migrated_at_once')
  const url = postgres.url('migrated_at_once')
  const databases = [1, 2, 3, 4].map(() => openDatabase(url, nullLog))
  await Promise.all(databases.map((database) => database.migrate()))
  await Promise.all(databases.map((database) => database.close()))
  const rows = await postgres.query(
    'select name from latchkey.kysely_migration order by name',
    [],
    'migrated_at_once',
  )
  const names = rows.map((row) => String(row.name))
  expect(names[0]).toBe('001-first-tables')
  expect(names.length).toBeGreaterThan(1)
  expect(new Set(names).size).toBe(names.length)
  await postgres.dropDatabase('migrated_at_once')
})
