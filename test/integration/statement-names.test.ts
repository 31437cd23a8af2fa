// Names of prepared statements are the client's to choose, and the pooler keeps them.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Secret } from '../../shared/secret.ts'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { typesOf } from '../support/raw-replies.ts'
import { makeRole, makeTenant } from '../support/tenants.ts'

const postgres = sharedPostgres()
let bare: BareDataPlane
beforeAll(async () => {
  const role = makeRole(postgres.superuser, new Secret(postgres.password), { poolSize: 1 })
  const roles = new Map([[role.role, role]])
  const { host: dbHost, port: dbPort } = postgres
  bare = await BareDataPlane.start({ tenant: makeTenant({ dbHost, dbPort, roles }) })
})
afterAll(() => bare.stop())

const login = (port: number): Promise<RawClient> =>
  RawClient.loggedIn({ port, user: bare.userOf(postgres.superuser) })

/** The second text is over what is kept of a named statement. */
test.each([
  ['a short text', 'select 1'],
  ['a long text', `select 1 /* ${'x'.repeat(300_000)} */`],
])('a name of 3000 bytes is refused for %s, and the client goes on', async (_what, sql) => {
  const port = bare.transactionPort
  const client = await login(port)
  await client.send(Buffer.concat([raw.parse('n'.repeat(3000), sql), raw.sync()]))
  const [error, ready] = await client.untilReady()
  expect(typesOf([error, ready].filter((one) => one !== undefined))).toBe('EZ')
  if (sql.length < 1000) expect(error?.body.toString()).toContain('EPREPAREDLIMIT')
  await client.send(
    Buffer.concat([
      raw.parse('n', 'select 1'),
      raw.bind({ statement: 'n' }),
      raw.execute(),
      raw.sync(),
    ]),
  )
  expect(typesOf(await client.untilReady())).toBe('12DCZ')
  client.close()
})

test('a statement whose name could not be read is not there for the next client', async () => {
  const port = bare.transactionPort
  const [first, second] = [await login(port), await login(port)]
  const name = 'm'.repeat(3000)
  const parse = raw.parse(name, `select 1 /* ${'x'.repeat(300_000)} */`)
  const before = [...bare.plane.pools.entries()][0]?.pool.counters.bytesFromClients ?? 0
  await first.send(parse.subarray(0, 2500))
  await eventually(() => {
    const [entry] = [...bare.plane.pools.entries()]
    expect(entry?.pool.counters.bytesFromClients).toBeGreaterThanOrEqual(before + 2500)
  })
  await first.send(Buffer.concat([parse.subarray(2500), raw.sync()]))
  await first.untilReady()
  const use = [raw.bind({ statement: name }), raw.execute(), raw.sync()]
  await second.send(Buffer.concat(use))
  const [error] = await second.untilReady()
  expect(error?.type).toBe('E')
  expect(error?.body.toString()).toContain('26000')
  first.close()
  second.close()
})
