// Prisma's client without a native engine: generated from a schema by its own generator, which needs no
// network, with the WebAssembly query compiler and the adapter for `pg`.
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { PrismaPg } from '@prisma/adapter-pg'
import { afterAll, beforeAll, test } from 'vitest'
import { sharedPostgres } from '../support/postgres.ts'
import { type WayAddress, Ways } from '../support/ways.ts'

const schema = `
generator client {
  provider = "prisma-client"
}
datasource db {
  provider = "postgresql"
}
model Author {
  id    Int     @id @default(autoincrement())
  name  String  @unique
  books Book[]
}
model Book {
  id       Int      @id @default(autoincrement())
  title    String
  pages    Int
  price    Decimal  @default(1.5)
  tags     String[]
  data     Json?
  cover    Bytes?
  at       DateTime @default("2026-01-01T00:00:00Z")
  authorId Int
  author   Author   @relation(fields: [authorId], references: [id])
}
`

const tables = `
create table "Author" (id serial primary key, name text not null unique);
create table "Book" (id serial primary key, title text not null, pages int not null,
  price numeric not null default 1.5, tags text[], data jsonb, cover bytea,
  at timestamp(3) not null default '2026-01-01', "authorId" int not null references "Author" (id));`

/** The part of the generated client that is used here: its types come to be with the test. */
interface Client {
  readonly author: Model
  readonly book: Model
  $transaction(work: unknown, options?: unknown): Promise<unknown>
  $queryRaw(texts: TemplateStringsArray, ...values: unknown[]): Promise<unknown>
  $executeRawUnsafe(sql: string, ...values: unknown[]): Promise<unknown>
  $disconnect(): Promise<void>
}
type Model = Readonly<Record<string, (args?: unknown) => Promise<unknown>>>
type ClientClass = new (options: { adapter: unknown }) => Client

let ways: Ways
let folder: string
let PrismaClient: ClientClass

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-prisma-'))
  PrismaClient = await generateClient(folder)
  ways = await Ways.open(sharedPostgres(), { prepare: tables })
})
afterAll(async () => {
  await ways.close()
  await rm(folder, { recursive: true, force: true })
})

/** What `prisma generate` does, without the command line and its 300 MB. */
async function generateClient(below: string): Promise<ClientClass> {
  await symlink(resolve(import.meta.dirname, '../../node_modules'), join(below, 'node_modules'))
  // The package's other form, for import, refers to files that it does not have.
  const generators = createRequire(import.meta.url)('@prisma/client-generator-ts')
  const { PrismaClientTsGenerator, getDMMF } =
    generators as typeof import('@prisma/client-generator-ts')
  const output = join(below, 'client')
  await mkdir(output)
  const schemaPath = join(below, 'schema.prisma')
  await new PrismaClientTsGenerator().generate({
    generator: {
      name: 'client',
      provider: { value: 'prisma-client', fromEnvVar: null },
      output: { value: output, fromEnvVar: null },
      config: {
        runtime: 'nodejs',
        compilerBuild: 'small',
        importFileExtension: 'ts',
        moduleFormat: 'esm',
      },
      binaryTargets: [],
      previewFeatures: [],
      sourceFilePath: schemaPath,
    },
    otherGenerators: [],
    schemaPath,
    datamodel: schema,
    datasources: [
      {
        name: 'db',
        provider: 'postgresql',
        activeProvider: 'postgresql',
        schemas: [],
        sourceFilePath: schemaPath,
      },
    ],
    dmmf: await getDMMF({ datamodel: schema }),
    version: '',
  })
  const module = await import(pathToFileURL(join(output, 'client.ts')).href)
  return module.PrismaClient as ClientClass
}

async function withClient<Told>(
  address: WayAddress,
  use: (prisma: Client) => Promise<Told>,
  options: { statementNameGenerator?: (query: { sql: string }) => string } = {},
): Promise<Told> {
  const prisma = new PrismaClient({ adapter: new PrismaPg({ ...address, max: 4 }, options) })
  try {
    return await use(prisma)
  } finally {
    await prisma.$disconnect()
  }
}

/** Decimals, dates and bytes as they read. */
const plain = (told: unknown): unknown =>
  JSON.parse(
    JSON.stringify(told, (_key, value) => (typeof value === 'bigint' ? `${value}n` : value)),
  )

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    const { code, name, meta } = error as { code: unknown; name: unknown; meta: unknown }
    return { code, name, meta: plain(meta ?? null) }
  }
  throw new Error('it did not fail')
}

async function tour(prisma: Client): Promise<unknown> {
  const told: unknown[] = []
  told.push(
    await prisma.author.create?.({
      data: {
        name: 'Ursula',
        books: {
          create: [
            { title: 'one', pages: 100, tags: ['a', 'b'], data: { n: [1, null] } },
            { title: 'two', pages: 200, price: '12.34', cover: Buffer.of(0, 1, 255) },
          ],
        },
      },
      include: { books: true },
    }),
  )
  told.push(
    await prisma.author.createMany?.({
      data: Array.from({ length: 30 }, (_, n) => ({ name: `a ${n}` })),
    }),
  )
  told.push(
    await failureOf(prisma.author.create?.({ data: { name: 'Ursula' } }) as Promise<unknown>),
  )
  told.push(
    await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        prisma.author.findMany?.({
          where: { OR: [{ id: n }, { name: { contains: `${n % 7}` } }] },
          include: { books: { where: { pages: { gt: 150 } } } },
          orderBy: { id: 'asc' },
          take: 5,
          skip: n % 3,
        }),
      ),
    ),
  )
  told.push(
    await prisma.book.aggregate?.({ _sum: { pages: true }, _avg: { price: true }, _count: true }),
  )
  told.push(
    await prisma.author.upsert?.({
      where: { name: 'a 1' },
      update: { name: 'b 1' },
      create: { name: 'x' },
    }),
  )
  told.push(
    await prisma.$queryRaw`select id, title, at from "Book" where pages > ${50} order by id`,
  )
  told.push(await prisma.$executeRawUnsafe('update "Book" set pages = pages + $1', 1))
  return told
}

test('models, relations and raw queries', async () => {
  await ways.agree((address) => withClient(address, async (prisma) => plain(await tour(prisma))))
})

test('the same with a named statement for each query', async () => {
  const numbers = new Map<string, number>()
  const statementNameGenerator = ({ sql }: { sql: string }) => {
    if (!numbers.has(sql)) numbers.set(sql, numbers.size)
    return `s${numbers.get(sql)}`
  }
  await ways.agree((address) =>
    withClient(address, async (prisma) => plain(await tour(prisma)), { statementNameGenerator }),
  )
})

test('transactions: a list, a function, one that fails, several at once', async () => {
  await ways.agree((address) =>
    withClient(address, async (prisma) => {
      const add = (name: string) => prisma.author.create?.({ data: { name } })
      const told: unknown[] = [await prisma.$transaction([add('l1'), add('l2')])]
      told.push(await failureOf(prisma.$transaction([add('l3'), add('l1')])))
      const inTransaction = async (tx: Client) => {
        await tx.author.create?.({ data: { name: 'f1' } })
        const count = await tx.author.count?.()
        if (count !== 3) throw new Error(`${count}`)
        return tx.author.findMany?.({ orderBy: { name: 'asc' }, select: { name: true } })
      }
      told.push(await prisma.$transaction(inTransaction, { isolationLevel: 'Serializable' }))
      const thrown = prisma.$transaction(async (tx: Client) => {
        await tx.author.deleteMany?.()
        throw new Error('thought better of it')
      })
      told.push(await failureOf(thrown))
      told.push(
        await Promise.all(
          Array.from({ length: 8 }, (_, n) =>
            prisma.$transaction(async (tx: Client) => {
              await tx.author.create?.({ data: { name: `side ${n}` } })
              return tx.$queryRaw`select count(*)::int as n from "Author" where name = ${`side ${n}`}`
            }),
          ),
        ),
      )
      told.push(await prisma.author.count?.())
      return plain(told)
    }),
  )
})
