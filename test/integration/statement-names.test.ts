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

/** The second piece is sent when the first has been read. */
async function sendInTwo(client: RawClient, bytes: Buffer, at: number): Promise<void> {
  const readBytes = (): number =>
    [...bare.plane.pools.entries()][0]?.pool.counters.bytesFromClients ?? 0
  const before = readBytes()
  await client.send(bytes.subarray(0, at))
  await eventually(() => expect(readBytes()).toBeGreaterThanOrEqual(before + at))
  await client.send(bytes.subarray(at))
}

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
  expect(error?.body.toString()).toContain('ENAMETOOLONG')
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
  await sendInTwo(first, Buffer.concat([parse, raw.sync()]), 2500)
  await first.untilReady()
  const use = [raw.bind({ statement: name }), raw.execute(), raw.sync()]
  await second.send(Buffer.concat(use))
  const [error] = await second.untilReady()
  expect(error?.type).toBe('E')
  expect(error?.body.toString()).toContain('ENAMETOOLONG')
  first.close()
  second.close()
})

test.each([
  ['in one piece', 0],
  ['in two', 2500],
])(
  'behind a portal name of 3000 bytes, %s, nobody finds the unnamed statement of another',
  async (_how, at) => {
    const port = bare.transactionPort
    const [first, second] = [await login(port), await login(port)]
    await first.send(Buffer.concat([raw.parse('', "select 'a secret'"), raw.sync()]))
    expect(typesOf(await first.untilReady())).toBe('1Z')
    const portal = 'p'.repeat(3000)
    const use = [raw.bind({ portal }), raw.execute(portal), raw.sync(), raw.query('select 2')]
    await sendInTwo(second, Buffer.concat(use), at)
    expect(typesOf(await second.untilReadies(2))).toBe('EZTDCZ')
    first.close()
    second.close()
  },
)
