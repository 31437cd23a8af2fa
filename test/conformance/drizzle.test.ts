// Drizzle as an application uses it, over both of its drivers: its migrator, queries by it, relations,
// transactions within transactions, prepared queries, what fails.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { and, count, eq, gt, relations, sql } from 'drizzle-orm'
import { drizzle as overPg } from 'drizzle-orm/node-postgres'
import { migrate as migrateOverPg } from 'drizzle-orm/node-postgres/migrator'
import { integer, jsonb, pgTable, serial, text, timestamp } from 'drizzle-orm/pg-core'
import { drizzle as overPostgresJs } from 'drizzle-orm/postgres-js'
import { migrate as migrateOverPostgresJs } from 'drizzle-orm/postgres-js/migrator'
import { Pool } from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sharedPostgres } from '../support/postgres.ts'
import { type WayAddress, Ways } from '../support/ways.ts'

const shop = pgTable('shop', {
  id: serial('id').primaryKey(),
  name: text('name').notNull().unique(),
  tags: jsonb('tags').$type<{ colours: string[] }>(),
  since: timestamp('since', { withTimezone: true, mode: 'string' }),
})
const sale = pgTable('sale', {
  id: serial('id').primaryKey(),
  shopId: integer('shop_id')
    .notNull()
    .references(() => shop.id, { onDelete: 'cascade' }),
  amount: integer('amount').notNull(),
})
const schema = {
  shop,
  sale,
  shopRelations: relations(shop, ({ many }) => ({ sales: many(sale) })),
  saleRelations: relations(sale, ({ one }) => ({
    shop: one(shop, { fields: [sale.shopId], references: [shop.id] }),
  })),
}

type Database = ReturnType<typeof overPg<typeof schema>>

interface Driver {
  readonly name: string
  run<Told>(
    address: WayAddress,
    use: (db: Database, folder: string) => Promise<Told>,
  ): Promise<Told>
  migrate(db: Database, migrationsFolder: string): Promise<void>
}

/** What both drivers' databases have in common is the one's type: the tests use nothing else. */
const drivers: readonly Driver[] = [
  {
    name: 'node-postgres',
    async run(address, use) {
      const pool = new Pool({ ...address, max: 2 })
      try {
        return await use(overPg(pool, { schema }), folder)
      } finally {
        await pool.end()
      }
    },
    migrate: (db, migrationsFolder) => migrateOverPg(db, { migrationsFolder }),
  },
  {
    name: 'postgres.js',
    async run({ user, ...rest }, use) {
      const client = postgres({ ...rest, username: user, max: 2, onnotice: () => {} })
      try {
        return await use(overPostgresJs(client, { schema }) as unknown as Database, folder)
      } finally {
        await client.end({ timeout: 5 })
      }
    },
    migrate: (db, migrationsFolder) =>
      migrateOverPostgresJs(db as unknown as ReturnType<typeof overPostgresJs>, {
        migrationsFolder,
      }),
  },
]

/** As drizzle-kit writes them. */
const migrations = [
  [
    `CREATE TABLE "shop" ("id" serial PRIMARY KEY NOT NULL, "name" text NOT NULL,
      CONSTRAINT "shop_name_unique" UNIQUE("name"));`,
    `INSERT INTO "shop" ("name") VALUES ('first'), ('second');`,
  ],
  [
    `ALTER TABLE "shop" ADD COLUMN "tags" jsonb, ADD COLUMN "since" timestamp with time zone;`,
    `CREATE TABLE "sale" ("id" serial PRIMARY KEY NOT NULL,
      "shop_id" integer NOT NULL REFERENCES "shop"("id") ON DELETE cascade, "amount" integer NOT NULL);`,
  ],
  [`CREATE TABLE "half" ("n" integer);`, `INSERT INTO "nowhere" VALUES (1);`],
]

let ways: Ways
let folder: string
beforeAll(async () => {
  ways = await Ways.open(sharedPostgres(), { prepare: 'drop schema if exists drizzle cascade' })
  folder = await mkdtemp(join(tmpdir(), 'latchkey-drizzle-'))
})
afterAll(async () => {
  await ways?.close()
  await rm(folder, { recursive: true, force: true })
})

/** A folder with the first so many migrations. */
async function migrationsUpTo(count: number): Promise<string> {
  const path = join(folder, `${count}`)
  await mkdir(join(path, 'meta'), { recursive: true })
  const entries = migrations.slice(0, count).map((_, idx) => ({
    ...{ idx, version: '7', when: 1_700_000_000_000 + idx, breakpoints: true },
    tag: `000${idx}_step`,
  }))
  for (const { idx, tag } of entries) {
    const texts = migrations[idx] as readonly string[]
    await writeFile(join(path, `${tag}.sql`), texts.join('\n--> statement-breakpoint\n'))
  }
  const journal = { version: '7', dialect: 'postgresql', entries }
  await writeFile(join(path, 'meta', '_journal.json'), JSON.stringify(journal))
  return path
}

async function failureOf(work: PromiseLike<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    const { code, severity, message, constraint, constraint_name } = (error as { cause: unknown })
      .cause as Record<string, unknown>
    return { code, severity, message, constraint: constraint ?? constraint_name }
  }
  throw new Error('it did not fail')
}

const tablesOf = async (db: Database): Promise<unknown> =>
  db
    .select({ name: sql<string>`tablename` })
    .from(sql`pg_tables`)
    .where(sql`schemaname in ('public', 'drizzle')`)
    .orderBy(sql`tablename`)

describe.each(drivers)('$name', (driver) => {
  const agree = <Told>(use: (db: Database) => Promise<Told>) =>
    ways.agree((address) => driver.run(address, use))

  test('migrations run once, go on where they were, and one that fails leaves nothing', async () => {
    const steps = await Promise.all([1, 2, 3].map(migrationsUpTo))
    const told = await agree(async (db) => {
      const seen: unknown[] = []
      for (const step of [0, 1, 1, 2]) {
        const done = driver.migrate(db, steps[step] as string)
        seen.push(step === 2 ? await failureOf(done) : await done, await tablesOf(db))
      }
      return [...seen, await db.select().from(shop).orderBy(shop.id)]
    })
    expect(told.at(-2)).not.toContainEqual({ name: 'half' })
    expect(told.at(-1)).toMatchObject([{ name: 'first' }, { name: 'second' }])
  })

  test('queries, relations and prepared ones tell the same', async () => {
    const step = await migrationsUpTo(2)
    await agree(async (db) => {
      await driver.migrate(db, step)
      const since = '2026-01-02 03:04:05+00'
      const shops = await db
        .insert(shop)
        .values(['a', 'b', 'c'].map((name) => ({ name, since, tags: { colours: [name, 'ü"\''] } })))
        .returning()
      const amounts = shops.flatMap(({ id }) =>
        [1, 2, 3].map((n) => ({ shopId: id, amount: n * id })),
      )
      await db.insert(sale).values(amounts)
      const byName = db
        .select({ id: shop.id, tags: shop.tags })
        .from(shop)
        .where(eq(shop.name, sql.placeholder('name')))
        .prepare('by_name')
      const found = await Promise.all(
        Array.from({ length: 30 }, (_, n) => byName.execute({ name: 'abcd'[n % 4] })),
      )
      const upserted = await db
        .insert(shop)
        .values({ name: 'a' })
        .onConflictDoUpdate({ target: shop.name, set: { tags: { colours: [] } } })
        .returning()
      return {
        shops,
        found,
        upserted,
        related: await db.query.shop.findMany({
          with: { sales: { where: gt(sale.amount, 5), orderBy: sale.id } },
          orderBy: shop.id,
        }),
        sums: await db
          .select({ name: shop.name, sales: count(sale.id) })
          .from(shop)
          .leftJoin(sale, and(eq(sale.shopId, shop.id), gt(sale.amount, 4)))
          .groupBy(shop.name)
          .orderBy(shop.name),
        removed: await db.delete(shop).where(eq(shop.name, 'b')).returning({ name: shop.name }),
        left: await db.$count(sale),
      }
    })
  })

  test('transactions and savepoints end as they do direct, whatever fails in them', async () => {
    const step = await migrationsUpTo(2)
    await agree(async (db) => {
      await driver.migrate(db, step)
      const failures: unknown[] = []
      const add = (name: string, isDoomed: boolean) =>
        db.transaction(
          async (tx) => {
            await tx.insert(shop).values({ name })
            const inner = tx.transaction(async (nested) => {
              await nested.insert(shop).values({ name: `${name}, nested` })
              await nested.execute(sql`select 1 / ${isDoomed ? 0 : 1}::int`)
            })
            await inner.catch(async () => failures.push(await failureOf(inner)))
            if (name === 'undone') tx.rollback()
            return await tx.execute(sql`show transaction_isolation`).then(() => name)
          },
          { isolationLevel: 'serializable' },
        )
      const settled: unknown[] = []
      for (const [name, isDoomed] of [
        ['kept', false],
        ['half', true],
        ['undone', false],
      ] as const) {
        settled.push(await add(name, isDoomed).catch((error: Error) => error.message))
      }
      const taken = await failureOf(db.insert(shop).values({ name: 'kept' }))
      return [
        settled,
        failures,
        taken,
        await db.select({ name: shop.name }).from(shop).orderBy(shop.id),
      ]
    })
  })
})
