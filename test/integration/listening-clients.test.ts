// Notifications in transaction mode as drivers and psql use them, unchanged.
import pg from 'pg'
import postgresJs from 'postgres'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { allMoved, hubOf } from '../support/listeners.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { needsProgram } from '../support/program.ts'
import { openPsql } from '../support/psql.ts'

let pooled: PooledPostgres
let url: string
const closers: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const { pooler, role, database } = pooled
  url = `postgres://${pooler.userOf(role)}:x@127.0.0.1:${pooler.transactionPort}/${database}`
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await pooled.stop()
})

async function driver(): Promise<pg.Client> {
  const client = new pg.Client(url)
  await client.connect()
  closers.push(() => client.end())
  return client
}

test('pg emits notifications, its own under its own process id', async () => {
  const a = await driver()
  const b = await driver()
  const got: pg.Notification[] = []
  a.on('notification', (notification) => got.push(notification))
  await a.query('LISTEN "Größe \'1\'"')
  await b.query('select pg_notify($1, $2)', ["Größe '1'", '{"n": 1}'])
  await eventually(() => got.length === 1)
  await allMoved(pooled)
  await a.query('select pg_notify($1, $2)', ["Größe '1'", 'mine'])
  await b.query('select pg_notify($1, $2)', ["Größe '1'", ''])
  await eventually(() => got.length === 3)
  expect(got.map(({ channel, payload }) => [channel, payload])).toEqual([
    ["Größe '1'", '{"n": 1}'],
    ["Größe '1'", 'mine'],
    ["Größe '1'", ''],
  ])
  const { processID } = a as unknown as { processID: number }
  expect(got.map(({ processId }) => processId === processID)).toEqual([false, true, false])
})

test('postgres listens and notifies, and takes its channels away', async () => {
  const sql = postgresJs(url, { max: 2, onnotice() {} })
  closers.push(() => sql.end())
  const got: string[] = []
  const one = await sql.listen('news', (payload) => got.push(`one ${payload}`))
  const two = await sql.listen('News 2', (payload) => got.push(`two ${payload}`))
  await allMoved(pooled)
  await sql.notify('news', 'a')
  await sql.notify('News 2', 'b')
  await sql`select pg_notify('news', ${'c'})`
  await eventually(() => got.length === 3)
  expect(got).toEqual(['one a', 'two b', 'one c'])
  await one.unlisten()
  await eventually(() => hubOf(pooled).channels === 1)
  await sql.notify('news', 'nobody')
  await sql.notify('News 2', 'd')
  await eventually(() => got.length === 4)
  expect(got[3]).toBe('two d')
  await two.unlisten()
  await eventually(() => hubOf(pooled).channels === 0)
})

test('postgres listens again by itself where its connection is lost, and is told where the shared one is', async () => {
  const notices: (string | undefined)[] = []
  const sql = postgresJs(url, { max: 1, onnotice: ({ message }) => notices.push(message) })
  closers.push(() => sql.end())
  const got: string[] = []
  await sql.listen('news', (payload) => got.push(payload))
  await allMoved(pooled)
  const end = () =>
    pooled.postgres.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'latchkey (listen)' and usename = $1",
      [pooled.role],
    )
  await end()
  await eventually(() => notices.some((notice) => notice?.includes('may have been missed')))
  await sql.notify('news', 'after the gap')
  await eventually(() => got.length === 1)
  expect(got).toEqual(['after the gap'])
})

test('psql prints what it notifies and what others do', async (context) => {
  needsProgram(context, 'psql')
  const shell = openPsql(url)
  const other = await driver()
  shell.write("LISTEN news;\nNOTIFY news, 'mine';\n\\echo listening\n")
  await eventually(() => shell.stdout.includes('listening'))
  expect(shell.stdout).toMatch(/"news" with payload "mine" received/)
  await allMoved(pooled)
  await other.query("notify news, 'theirs'")
  await eventually(() => {
    // It looks for notifications when it runs something.
    shell.write('SELECT 1;\n')
    return shell.stdout.includes('theirs')
  })
  expect(shell.stdout).toMatch(/"news" with payload "theirs" received/)
  shell.endInput()
  expect(await shell.finished).toMatchObject({ exitCode: 0, stderr: '' })
})
