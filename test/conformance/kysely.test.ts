// Kysely as an application uses it: its migrator, which takes advisory locks, and queries by it.
import { Kysely, type Migration, Migrator, PostgresDialect, sql } from 'kysely'
import { Pool } from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sharedPostgres } from '../support/postgres.ts'
import { type WayAddress, Ways } from '../support/ways.ts'

interface Tables {
  readonly shop: { id: number; name: string; tags: unknown }
  readonly sale: { id: number; shop_id: number; amount: number }
}

let ways: Ways
beforeAll(async () => {
  ways = await Ways.open(sharedPostgres())
})
afterAll(() => ways.close())

async function withDatabase<Told>(
  address: WayAddress,
  use: (database: Kysely<Tables>) => Promise<Told>,
): Promise<Told> {
  const pool = new Pool({ ...address, max: 2 })
  const database = new Kysely<Tables>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) })
  try {
    return await use(database)
  } finally {
    await database.destroy()
  }
}

const migrations: Record<string, Migration> = {
  '1-shops': {
    async up(db) {
      await db.schema
        .createTable('shop')
        .addColumn('id', 'serial', (column) => column.primaryKey())
        .addColumn('name', 'text', (column) => column.notNull().unique())
        .execute()
      await sql`insert into shop (name) values ('first'), ('second')`.execute(db)
    },
    async down(db) {
      await db.schema.dropTable('shop').execute()
    },
  },
  '2-sales': {
    async up(db) {
      await db.schema.alterTable('shop').addColumn('tags', 'jsonb').execute()
      await db.schema
        .createTable('sale')
        .addColumn('id', 'serial', (column) => column.primaryKey())
        .addColumn('shop_id', 'integer', (column) =>
          column.references('shop.id').onDelete('cascade'),
        )
        .addColumn('amount', 'integer', (column) => column.notNull())
        .execute()
      await db.schema.createIndex('sale_shop').on('sale').column('shop_id').execute()
    },
    async down(db) {
      await db.schema.dropTable('sale').execute()
      await db.schema.alterTable('shop').dropColumn('tags').execute()
    },
  },
}

const broken: Record<string, Migration> = {
  ...migrations,
  '3-broken': {
    async up(db) {
      await sql`create table half (n int)`.execute(db)
      await sql`insert into nowhere values (1)`.execute(db)
    },
  },
}

const migratorOf = (db: Kysely<Tables>, all: Record<string, Migration>): Migrator =>
  new Migrator({ db, provider: { getMigrations: async () => all } })

const tablesOf = async (db: Kysely<Tables>): Promise<string[]> =>
  (await db.introspection.getTables()).map(({ name, columns }) =>
    [name, ...columns.map((column) => `${column.name} ${column.dataType}`)].join(' '),
  )

test('migrations up and down, and one that fails', async () => {
  const told = await ways.agree((address) =>
    withDatabase(address, async (db) => {
      const first = await migratorOf(db, migrations).migrateToLatest()
      const steps: unknown[] = [first, await tablesOf(db)]
      const failed = await migratorOf(db, broken).migrateToLatest()
      steps.push([failed.results, String(failed.error)], await tablesOf(db))
      steps.push(await migratorOf(db, migrations).migrateDown(), await tablesOf(db))
      return steps
    }),
  )
  expect(JSON.stringify(told)).toContain('nowhere')
})

test('migrators started at the same time run each migration once', async () => {
  await ways.agree(async (address) => {
    const migrate = () =>
      withDatabase(address, (db) => migratorOf(db, migrations).migrateToLatest())
    const outcomes = await Promise.all([migrate(), migrate()])
    const names = outcomes.flatMap(({ results }) => results?.map((one) => one.migrationName) ?? [])
    return [names.sort(), outcomes.map(({ error }) => String(error))]
  })
})

test('queries, transactions and streams', async () => {
  await ways.agree((address) =>
    withDatabase(address, async (db) => {
      await migratorOf(db, migrations).migrateToLatest()
      const told: unknown[] = []
      const sales = Array.from({ length: 300 }, (_, n) => ({ shop_id: 1 + (n % 2), amount: n }))
      told.push(
        (
          await db
            .insertInto('sale')
            .values(sales as never)
            .execute()
        ).map(String),
      )
      const sums = db
        .selectFrom('sale')
        .innerJoin('shop', 'shop.id', 'sale.shop_id')
        .select(({ fn }) => ['shop.name', fn.sum('amount').as('sum')])
        .groupBy('shop.name')
        .orderBy('shop.name')
      told.push(await Promise.all(Array.from({ length: 20 }, () => sums.execute())))
      const isolated = db.transaction().setIsolationLevel('serializable')
      told.push(
        await isolated.execute(async (tx) => {
          await tx
            .updateTable('shop')
            .set({ tags: JSON.stringify(['a']) })
            .execute()
          return [
            await sums.execute(),
            await tx.selectFrom('shop').selectAll().orderBy('id').execute(),
          ]
        }),
      )
      const controlled = await db.startTransaction().setAccessMode('read only').execute()
      told.push(await controlled.selectFrom('sale').select('id').orderBy('id').limit(2).execute())
      await controlled.rollback().execute()
      const ids: number[] = []
      for await (const { id } of db.selectFrom('sale').select('id').orderBy('id').stream(25)) {
        ids.push(id)
      }
      told.push(ids)
      return told
    }),
  )
})
