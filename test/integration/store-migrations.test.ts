import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { openDatabase } from '../../pooler/store/database.ts'
import { nullLog } from '../../shared/log.ts'
import { sharedPostgres } from '../support/postgres.ts'

/** Two have one number, and one number was never used: databases have them recorded so. */
const deployed = [
  '001-first-tables',
  '002-invitations-and-role-identities',
  '002-server-limits',
  '003-sessions',
  '004-presence',
  '006-web-sessions',
  '007-sealing-anew',
]

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
  // What has run anywhere keeps its name and its place, for ever; what comes has a number of its own behind.
  const names = rows.map((row) => String(row.name))
  expect(names.slice(0, deployed.length)).toEqual(deployed)
  const numbers = names.slice(deployed.length - 1).map((name) => Number(name.slice(0, 3)))
  for (const [at, number] of numbers.entries()) {
    if (at > 0) expect(number, names.join(', ')).toBeGreaterThan(numbers[at - 1] as number)
  }
  // And none lies there unused.
  const folder = resolve(import.meta.dirname, '../../pooler/store/migrations')
  expect(
    readdirSync(folder)
      .map((file) => file.replace(/\.ts$/, ''))
      .sort(),
  ).toEqual(names)
  await postgres.dropDatabase('migrated_at_once')
})
