// Servers that are lost between a login's last question to them and its answer to the client: what
// they say and their end are read in one go when the process has much to do.
import { afterEach, expect, test } from 'vitest'
import { isAlone, Lane } from '../../pooler/relay/lanes.ts'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { eventually } from '../support/eventually.ts'
import type { ModelConnection } from '../support/model-connection.ts'
import { ModelServer } from '../support/model-server.ts'
import { sql } from '../support/model-statements.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf } from '../support/raw-replies.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { tenantNamed } from '../support/some-tenant.ts'

/** More than are read as they come, and than are taken behind them in the same round. */
const clientsAtOnce = 24

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const ends: Readonly<
  Record<string, (server: ModelConnection, answers: Buffer<ArrayBuffer>) => void>
> = {
  'are terminated': (server, answers) => server.terminate('57P01', 'terminated', answers),
  'are gone': (server, answers) => {
    server.inject(answers)
    server.drop()
  },
}

test.each(Object.keys(ends))(
  'logins whose servers %s right behind their answers get others, or tell',
  async (how) => {
    const model = await ModelServer.start({ random: new SeededRandom(1) })
    model.stallsNew = true
    closers.push(() => model.stop())
    const tenant = tenantNamed('project', {
      dbHost: '127.0.0.1',
      dbPort: model.port,
      defaultPoolSize: clientsAtOnce,
    })
    const pooler = await BareDataPlane.start({ tenant })
    closers.push(() => pooler.stop())
    // Another project is busy too: each waits for its turn.
    isAlone(new Lane())

    const user = pooler.userOf('app')
    const settings = { application_name: 'mine' }
    const logins = Array.from({ length: clientsAtOnce }, () =>
      RawClient.loggedIn({ port: pooler.sessionPort, user, database: null, settings }),
    )
    await eventually(() => model.connections.filter((one) => !one.isQuiet).length === clientsAtOnce)
    model.stallsNew = false
    const prepared = [raw.parseComplete(), raw.bindComplete()]
    const answers = [
      ...prepared,
      raw.dataRow(['mine']),
      raw.commandComplete('SELECT 1'),
      raw.readyForQuery('I'),
    ]
    for (const one of model.connections) ends[how]?.(one, Buffer.concat(answers))

    for (const login of logins) {
      const client = await login
      closers.push(() => client.close())
      await client.query(sql.rows('mine', 1)).catch(() => {})
      const told = await client.untilReady().then(rowsOf, () => codeOf(client.received))
      // A server may have ended only behind the login's answer: then its client is told.
      expect([[['mine', '1']], '08006']).toContainEqual(told)
    }
  },
)

const codeOf = (replies: readonly raw.RawMessage[]) =>
  errorFields(replies.findLast(({ type }) => type === 'E')?.body ?? Buffer.alloc(0)).C
