// Messages that wait for replies to those before them go on when these have come, whatever another one waited for.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { describeReply } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const batch = (sql: string) => [raw.parse('', sql), raw.bind(), raw.execute()]

test.each([
  ['a Close', [raw.closeMessage('statement', '')]],
  ['nothing', []],
  ['a batch', [...batch('select 1'), raw.flush()]],
])(
  'a Parse that its settings matter to, behind %s and an EXECUTE that waited',
  async (_, between) => {
    pooled = await PooledPostgres.start(sharedPostgres())
    const pipeline = Buffer.concat([
      raw.query('discard all'),
      raw.query('execute named'),
      raw.query('begin'),
      raw.query('discard temp'),
      ...between,
      ...batch("select '1\\2', date '2020-01-02'"),
      raw.sync(),
      raw.query('rollback'),
    ])
    const client = await pooled.client('transaction')
    const direct = await RawClient.loggedIn(pooled.direct())
    const told: string[][] = []
    for (const one of [direct, client]) {
      await one.send(Buffer.concat([raw.parse('named', 'select 1'), raw.sync()]))
      await one.untilReady()
      await one.send(pipeline)
      told.push((await one.untilReadies(6)).map(describeReply))
    }
    direct.close()
    expect(told[1]).toEqual(told[0])
  },
)
