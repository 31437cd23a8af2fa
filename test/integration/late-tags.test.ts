// A server whose CommandComplete comes in two pieces: what the tag says is not known with the first one.
import { afterEach, expect, test } from 'vitest'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { ModelServer } from '../support/model-server.ts'
import { sql } from '../support/model-statements.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { typesOf } from '../support/raw-replies.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { tenantNamed } from '../support/some-tenant.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

test('a name may be taken behind a DISCARD ALL in its batch when that has been told whole', async () => {
  const random = new SeededRandom(1)
  const late = { pieceBytesMax: 0, lateChance: 1, lateMs: 20, cancelLateMs: 0 }
  const model = await ModelServer.start({ random, ...late, connectionsMax: 1 })
  closers.push(() => model.stop())
  const upstream = { dbHost: '127.0.0.1', dbPort: model.port, defaultPoolSize: 1 }
  const pooler = await BareDataPlane.start({ tenant: tenantNamed('project', upstream) })
  closers.push(() => pooler.stop())
  const client = await RawClient.loggedIn({
    port: pooler.transactionPort,
    user: pooler.userOf('app'),
  })
  closers.push(async () => client.close())
  for (let round = 0; round < 5; round++) {
    const run = (name: string) => [raw.bind({ statement: name }), raw.execute()]
    const discard = [raw.parse('st', 'discard all'), ...run('st')]
    const again = [raw.parse('st', sql.rows('c1.1', 1)), raw.sync()]
    await client.send(
      Buffer.concat([...discard, ...again, raw.closeMessage('statement', 'st'), raw.sync()]),
    )
    expect(typesOf(await client.untilReadies(2))).toBe('12C1Z3Z')
  }
})
