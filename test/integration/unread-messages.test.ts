// Messages that Postgres cannot read: what they would have done first, they have not done. Neither their
// own client nor the next one on the server may find another unnamed statement than Postgres would have.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
beforeAll(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
})
afterAll(() => pooled.stop())

const stateOf = (replies: raw.RawMessage[]): string | null => {
  const error = replies.find(({ type }) => type === 'E')
  return error === undefined ? null : (errorFields(error.body).C ?? null)
}

async function say(client: RawClient, ...messages: Buffer[]): Promise<raw.RawMessage[]> {
  await client.send(Buffer.concat(messages))
  return client.untilReady()
}

const badText = Buffer.concat([Buffer.from("select '"), Buffer.of(0xff, 0)])
const inBatch = (message: Buffer): Buffer => Buffer.concat([message, raw.sync()])
const parse = (text: string): Buffer => inBatch(raw.parse('', `select '${text}'`))
const run = Buffer.concat([raw.bind(), raw.execute(), raw.sync()])

const unread: readonly (readonly [string, Buffer])[] = [
  ['a Query of no bytes', raw.message('Q')],
  ['a Query without an end', raw.message('Q', Buffer.from('select 1'))],
  ['a Query with two ends', raw.message('Q', raw.cstring('select 1'), raw.cstring('select 2'))],
  ['a Query in no encoding', raw.message('Q', badText)],
  [
    'a Parse that is cut short',
    inBatch(raw.message('P', Buffer.alloc(1), raw.cstring('select 1'))),
  ],
  ['a Parse in no encoding', inBatch(raw.message('P', Buffer.alloc(1), badText, raw.int16(0)))],
  ['a Close with two names', inBatch(raw.message('C', raw.cstring('S'), raw.cstring('')))],
]
const failing: readonly (readonly [string, Buffer])[] = [
  ['a Query that fails', raw.query('select 1/0')],
  ['a Query that fails in a state of those', raw.query("do $$begin raise sqlstate '08P01'; end$$")],
  ['a Parse that fails', inBatch(raw.parse('', 'selec'))],
]

test.each([...unread, ...failing])(
  'behind %s nobody finds the unnamed statement of another',
  async (_what, broken) => {
    const [first, next] = [await pooled.client('transaction'), await pooled.client('transaction')]
    for (const by of [first, next]) {
      await say(first, parse('a secret'))
      expect(stateOf(await say(by, broken))).not.toBeNull()
      expect(stateOf(await say(next, run))).toBe('26000')
    }
    await say(first, parse('a secret'))
    await next.send(Buffer.concat([broken, run]))
    expect(typesOf(await next.untilReadies(2))).toBe('EZEZ')
    for (const client of [first, next]) client.close()
  },
)

test.each([
  ...unread.map(([what, broken]) => [what, broken, [['mine']]] as const),
  ...failing.map(([what, broken]) => [what, broken, []] as const),
])('behind %s its client has what it would have in Postgres', async (_what, broken, rows) => {
  const [client, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await client.send(Buffer.concat([parse('mine'), broken, run]))
  expect(rowsOf(await client.untilReadies(3))).toEqual(rows)
  await say(client, parse('mine'))
  await say(client, broken)
  await say(other, parse('of another'))
  expect(rowsOf(await say(client, run))).toEqual(rows)
  for (const one of [client, other]) one.close()
})
