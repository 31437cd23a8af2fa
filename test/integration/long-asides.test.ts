// What a server tells beside its replies, where it is long: the report of a setting, a notification.
import { afterEach, describe, expect, test } from 'vitest'
import { Listener } from '../support/listeners.ts'
import { PooledPostgres, type PostgresHome } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import { describeReply } from '../support/raw-replies.ts'

let pooled: PooledPostgres
let home: PostgresHome | null = null
let direct: RawClient | null = null
afterEach(async () => {
  direct?.close()
  await pooled.stop()
  if (home !== null) await PooledPostgres.removeHome(sharedPostgres(), home)
  home = null
  direct = null
})

const pathOf = (schemas: number) =>
  Array.from({ length: schemas }, (_, index) => `schema_${index}_${'x'.repeat(50)}`).join(', ')

async function answers(client: RawClient, sql: string): Promise<readonly string[]> {
  await client.query(sql)
  return (await client.untilReady()).map(describeReply)
}

// What is kept of a report, and what is not.
describe.each([300, 900])('a search_path of %i schemas', (schemas) => {
  test.each(['transaction', 'session'] as const)('is told on the %s port', async (port) => {
    pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
    const client = await pooled.client(port)
    direct = await RawClient.loggedIn(pooled.direct())
    const path = pathOf(schemas)
    for (const sql of [
      `set search_path to ${path}`,
      'show search_path',
      'begin; set local search_path to public; commit',
      'show search_path',
      'discard all',
      'show search_path',
      `begin; set search_path to ${path}; rollback`,
    ])
      expect([sql, await answers(client, sql)]).toEqual([sql, await answers(direct, sql)])
  })

  test('is not met by the next client', async () => {
    pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
    const before = await pooled.client('transaction')
    const path = pathOf(schemas)
    await answers(before, `set search_path to ${path}`)
    expect(await pooled.value(before, 'show search_path')).toBe(path)
    await before.terminate()
    const after = await pooled.client('transaction')
    expect(await pooled.value(after, 'show search_path')).toBe('"$user", public')
    expect(await answers(after, 'set search_path to public')).toContain('S(search_path=public)')
  })
})

test.each(['transaction', 'session'] as const)(
  '%s port: a notification may be four times as long in its client’s encoding',
  async (port) => {
    const postgres = sharedPostgres()
    home = await PooledPostgres.makeHome(postgres)
    await postgres.dropDatabase(home.database)
    await postgres.query(
      `create database "${home.database}" owner "${home.role}" template template0 encoding 'WIN1252' locale 'C'`,
    )
    pooled = await PooledPostgres.start(postgres, { home })
    const listener = await Listener.start(pooled, port)
    await listener.run('set client_encoding to utf8')
    await listener.run('listen news')
    // The longest that Postgres takes, in three bytes each.
    expect(await listener.run(`notify news, '${'€'.repeat(7_999)}'`)).toBe('CAZ')
    expect(listener.payloads).toEqual(['€'.repeat(7_999)])
  },
)
