// Clients that say Terminate and close their half of the connection right behind their work, and
// read on: they hear all that Postgres would tell them, also of work that waits for a server.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loaded, selfSigned } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres, type Port } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { typesOf } from '../support/raw-replies.ts'
import { testWorkers } from '../support/worker-host.ts'

const isTlsThere = testWorkers === 1
const certificates = isTlsThere ? await loaded(selfSigned(['localhost'])) : null

let pooled: PooledPostgres
beforeEach(async () => {
  const shown = certificates === null ? {} : { certificates }
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...shown })
  await pooled.postgres.query('create table kit (n int)', undefined, pooled.database)
  await pooled.postgres.query(`grant all on kit to "${pooled.role}"`, undefined, pooled.database)
})
afterEach(() => pooled.stop())

const extended = (text: string, rowsMax = 0): Buffer =>
  Buffer.concat([
    raw.parse('', text),
    raw.bind(),
    raw.describeMessage('portal'),
    raw.execute('', rowsMax),
  ])

const scripts: Record<string, Buffer[]> = {
  'one Query': [raw.query('select 1')],
  'Queries with many rows': [1, 2, 3].map((one) =>
    raw.query(`select ${one}, repeat('x', n) from generate_series(1, 1000) n`),
  ),
  'batches behind Queries': [
    raw.query('begin; insert into kit values (1)'),
    extended('insert into kit select n from generate_series(1, 5) n returning n'),
    raw.sync(),
    extended('commit'),
    raw.sync(),
    raw.query('select count(*) from kit'),
  ],
  'a portal that is not read to its end': [
    extended('select n from generate_series(1, 100) n', 10),
    raw.flush(),
  ],
  'a batch that fails': [
    extended('select 1/0'),
    extended('select 1'),
    raw.sync(),
    raw.query('select 2'),
  ],
  'COPY both ways': [
    raw.query('copy kit from stdin'),
    raw.copyData('1\n2\n'),
    raw.copyDone(),
    raw.query('copy (select n from kit order by n) to stdout'),
  ],
  'settings and a statement of its own': [
    raw.query(
      "set application_name to 'half'; prepare one as select current_setting('application_name')",
    ),
    raw.query('execute one'),
    extended('show application_name'),
    raw.sync(),
  ],
}

/** All bytes that come behind the script, up to the end. */
async function answersOf(client: RawClient, script: readonly Buffer[]): Promise<Buffer> {
  await client.send(Buffer.concat([...script, raw.terminate()]))
  client.halfClose()
  return client.readRest()
}

const ports: readonly Port[] = ['transaction', 'session']
const ways = ports.flatMap((port) =>
  (isTlsThere ? (['none', 'request'] as const) : (['none'] as const)).map(
    (tls) => [port, tls] as const,
  ),
)

describe.each(ways)('%s port, TLS: %s', (port, tls) => {
  test.each(Object.entries(scripts))(
    '%s and the end: all is answered as by Postgres',
    async (_what, script) => {
      const direct = await RawClient.loggedIn(pooled.direct())
      const wanted = await answersOf(direct, script)
      await pooled.postgres.query('truncate kit', undefined, pooled.database)
      const client = await pooled.client(port, { tls })
      const answers = await answersOf(client, script)
      expect(answers.toString('latin1')).toBe(wanted.toString('latin1'))
    },
  )

  test('one that reads later than it closes misses nothing', async () => {
    const client = await pooled.client(port, { tls })
    client.pauseReading()
    const rows = "select repeat('x', 10000) from generate_series(1, 2000) n"
    await client.send(
      Buffer.concat([raw.query(rows), raw.query('insert into kit values (1)'), raw.terminate()]),
    )
    client.halfClose()
    await pooled.running('generate_series')
    client.resumeReading()
    const answers = await client.readAll()
    expect(typesOf(answers)).toBe(`T${'D'.repeat(2000)}CZCZ`)
  })
})

describe('while every server is taken', () => {
  const insert = [
    raw.query('insert into kit values (1)'),
    extended('insert into kit values (2)'),
    raw.sync(),
  ]

  async function taken(): Promise<RawClient> {
    const owner = await pooled.client('transaction')
    await owner.query('begin')
    await owner.untilReady()
    return owner
  }

  async function free(owner: RawClient): Promise<void> {
    await owner.query('commit')
    await owner.untilReady()
  }

  const countOf = (client: RawClient) => pooled.value(client, 'select count(*) from kit')

  test('work that waits is done and answered', async () => {
    const owner = await taken()
    const client = await pooled.client('transaction')
    await client.send(Buffer.concat([...insert, raw.terminate()]))
    client.halfClose()
    await eventually(async () => expect(await pooled.waiters()).toBe(1))
    await free(owner)
    expect(typesOf(await client.readAll())).toBe('CZ12nCZ')
    expect(await countOf(owner)).toBe('2')
  })

  test('more work than is kept for one that waits is done and answered', async () => {
    const owner = await taken()
    const client = await pooled.client('transaction')
    const filler = ' '.repeat(10_000)
    const many = Array.from({ length: 100 }, () => raw.query(`insert into kit values (1)${filler}`))
    await client.send(Buffer.concat([...many, raw.terminate()]))
    client.halfClose()
    await eventually(async () => expect(await pooled.waiters()).toBe(1))
    await free(owner)
    expect(typesOf(await client.readAll())).toBe('CZ'.repeat(100))
    expect(await countOf(owner)).toBe('100')
  })

  test('work that waits is done though its client has closed altogether behind Terminate', async () => {
    const owner = await taken()
    const client = await pooled.client('transaction')
    await client.send(Buffer.concat([...insert, raw.terminate()]))
    await eventually(async () => expect(await pooled.waiters()).toBe(1))
    client.close()
    await free(owner)
    await eventually(async () => expect(await countOf(owner)).toBe('2'))
  })

  test.each([
    ['without Terminate', Buffer.alloc(0)],
    ['behind a message that ends as Terminate is', raw.message('d', raw.terminate())],
    [
      'within a message, behind what Terminate is',
      Buffer.concat([raw.messageHeader('d', 100), raw.terminate()]),
    ],
  ])('one that closes its half %s is gone, and its work is not done', async (_how, last) => {
    const owner = await taken()
    const client = await pooled.client('transaction')
    await client.send(Buffer.concat([...insert, last]))
    await eventually(async () => expect(await pooled.waiters()).toBe(1))
    client.halfClose()
    await eventually(async () => expect(await pooled.waiters()).toBe(0))
    await free(owner)
    expect(await countOf(owner)).toBe('0')
  })
})
