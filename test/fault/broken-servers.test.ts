// Servers that vanish, fall silent or break the protocol: their clients are told once, others never.
import { afterEach, describe, expect, test } from 'vitest'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { eventually } from '../support/eventually.ts'
import { ModelServer } from '../support/model-server.ts'
import { sql } from '../support/model-statements.ts'
import type { Port } from '../support/pooled-postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { tenantNamed } from '../support/some-tenant.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function run(client: RawClient, text: string): Promise<raw.RawMessage[]> {
  await client.query(text)
  return client.untilReady()
}

const fieldsOf = (replies: readonly raw.RawMessage[]) =>
  errorFields(replies.find(({ type }) => type === 'E')?.body ?? Buffer.alloc(0))
const ports: readonly Port[] = ['transaction', 'session']

async function world(config = {}): Promise<{ model: ModelServer; pooler: BareDataPlane }> {
  const model = await ModelServer.start({ random: new SeededRandom(1) })
  closers.push(() => model.stop())
  const tenant = tenantNamed('project', {
    dbHost: '127.0.0.1',
    dbPort: model.port,
    defaultPoolSize: 1,
  })
  const pooler = await BareDataPlane.start({ tenant, config })
  closers.push(() => pooler.stop())
  return { model, pooler }
}

const login = async (pooler: BareDataPlane, port: Port) => {
  const number = port === 'transaction' ? pooler.transactionPort : pooler.sessionPort
  const client = await RawClient.loggedIn({
    port: number,
    user: pooler.userOf('app'),
    database: null,
  })
  closers.push(async () => client.close())
  return client
}

test('a server that does not answer its reset is discarded, and another one comes', async () => {
  const { model, pooler } = await world({ serverResetTimeoutMs: 50 })
  const before = await login(pooler, 'session')
  await run(before, sql.rows('c1.1', 1))
  const [connection] = model.connections
  connection?.stall()
  before.reset()
  const next = await login(pooler, 'session')
  expect(rowsOf(await run(next, sql.rows('c2.1', 1)))).toEqual([['c2.1', '1']])
  expect(model.connections.at(-1)?.processId).not.toBe(connection?.processId)
  model.auditor.assertClean()
})

test.each(ports)(
  'a server that vanishes without a word at the %s port is told of by us, once',
  async (port) => {
    const { model, pooler } = await world()
    for (const isReset of [true, false]) {
      const client = await login(pooler, port)
      await run(client, sql.begin())
      model.connections.at(-1)?.drop(isReset)
      const replies = await client.readAll()
      expect(typesOf(replies)).toBe('E')
      expect(fieldsOf(replies)).toMatchObject({ S: 'FATAL', C: '08006' })
      expect(fieldsOf(replies).M).toMatch(/^\(ESERVERLOST\)/)
    }
  },
)

test.each(ports)(
  'a server that says what there is not at the %s port ends its client with FATAL',
  async (port) => {
    const { model, pooler } = await world()
    for (const broken of [
      raw.message('y', Buffer.from('?')),
      raw.message('y'),
      raw.commandComplete('OUT OF THE BLUE'),
      raw.dataRow(['of nobody']),
      raw.readyForQuery('I'),
      raw.messageHeader('D', 3),
      raw.messageHeader('D', 0x7fff_ffff),
    ]) {
      const client = await login(pooler, port)
      await run(client, sql.begin())
      const connection = model.connections.at(-1)
      // In one piece with something good, which the client must get.
      connection?.inject(
        Buffer.concat([raw.noticeResponse({ S: 'NOTICE', C: '00000', M: 'good' }), broken]),
      )
      const replies = await client.readAll()
      expect(typesOf(replies)).toBe('NE')
      expect(fieldsOf(replies)).toMatchObject({ S: 'FATAL', C: '08P01' })
      await eventually(() => model.connections.every((one) => one !== connection))
    }
  },
)

test('a server that breaks the protocol while it is idle is discarded, and nobody hears of it', async () => {
  const { model, pooler } = await world()
  const client = await login(pooler, 'transaction')
  for (const broken of [raw.message('y'), raw.dataRow(['of nobody']), raw.readyForQuery('I')]) {
    await run(client, sql.rows('c1.1', 1))
    const connection = model.connections.at(-1)
    connection?.inject(broken)
    await eventually(() => model.connections.every((one) => one !== connection))
  }
  expect(rowsOf(await run(client, sql.rows('c1.2', 1)))).toEqual([['c1.2', '1']])
  expect(client.received.filter(({ type }) => type === 'E')).toEqual([])
})

test('a server that speaks while it is idle is heard, and not by a client that does not concern it', async () => {
  const { model, pooler } = await world()
  const [one, other] = [await login(pooler, 'transaction'), await login(pooler, 'transaction')]
  await run(one, sql.rows('c1.1', 1))
  const connection = model.connections.at(-1)
  connection?.inject(
    Buffer.concat([
      raw.noticeResponse({ S: 'NOTICE', C: '00000', M: 'to nobody' }),
      raw.notificationResponse(7, 'news', 'to nobody'),
      raw.parameterStatus('in_hot_standby', 'on'),
    ]),
  )
  const replies = await eventually(async () => {
    const got = await run(other, sql.rows('c2.1', 1))
    return got.some(({ type }) => type === 'S') && got
  })
  expect(typesOf(replies)).toBe('STDCZ')
  expect(typesOf(await run(one, sql.rows('c1.2', 1)))).toMatch(/^S?TDCZ$/)
  expect(one.received.filter(({ type }) => 'NA'.includes(type))).toEqual([])
})

describe('a server that is terminated right behind its last reply', () => {
  const committed = Buffer.concat([raw.commandComplete('COMMIT'), raw.readyForQuery('I')])

  /** The replies and the FATAL come in one piece. */
  async function endBehind(model: ModelServer, client: RawClient, text: string) {
    const connection = model.connections.at(-1)
    connection?.stall()
    await client.query(text)
    await eventually(() => connection?.isQuiet === false)
    connection?.terminate('57P01', 'terminated', committed)
  }

  test('is none of the business of its client, who goes on with another', async () => {
    const { model, pooler } = await world()
    const client = await login(pooler, 'transaction')
    for (let round = 0; round < 3; round++) {
      await run(client, sql.begin())
      await endBehind(model, client, sql.commit())
      expect(typesOf(await client.untilReady())).toBe('CZ')
      expect(typesOf(await run(client, sql.rows(`c1.${round}`, 1)))).toBe('TDCZ')
    }
  })

  /** The server has answered the client, and is terminated with its answer to the pooler's question. */
  async function endBehindQuestion(
    model: ModelServer,
    client: RawClient,
    rows: (string | null)[][],
  ) {
    const connection = model.connections.at(-1)
    connection?.stall()
    await client.query("select set_config('a.b', 'c', false)")
    await eventually(() => connection?.isQuiet === false)
    connection?.inject(committed)
    expect(typesOf(await client.untilReady())).toBe('CZ')
    await client.query(sql.rows('next', 1))
    const told = [
      raw.parseComplete(),
      raw.bindComplete(),
      ...rows.map(raw.dataRow),
      raw.commandComplete('SELECT'),
    ]
    connection?.terminate('57P01', 'terminated', Buffer.concat([...told, raw.readyForQuery('I')]))
  }

  test('is none of the business of a client who has asked for more while that was found out', async () => {
    const { model, pooler } = await world()
    const client = await login(pooler, 'transaction')
    for (let round = 0; round < 3; round++) {
      await run(client, sql.rows(`c1.${round}`, 1))
      await endBehindQuestion(model, client, [])
      expect(typesOf(await client.untilReady())).toBe('TDCZ')
    }
  })

  test('takes a client along of whom it turns out to hold something, with one error', async () => {
    const { model, pooler } = await world()
    const client = await login(pooler, 'transaction')
    await run(client, sql.rows('c1', 1))
    await endBehindQuestion(model, client, [['held', 'temporary object', '1', null]])
    const replies = await client.readAll()
    expect(typesOf(replies)).toBe('E')
    expect(fieldsOf(replies)).toMatchObject({ S: 'FATAL', C: '57P01' })
  })

  test('takes a client along whose session state it had, or whose own it is, with one error', async () => {
    const { model, pooler } = await world()
    for (const [port, text] of [
      ['transaction', "select set_config('a.b', 'c', false)"],
      ['session', sql.commit()],
    ] as const) {
      const client = await login(pooler, port)
      await run(client, sql.begin())
      await endBehind(model, client, text)
      const replies = await client.readAll()
      expect(typesOf(replies)).toBe('CZE')
      expect(fieldsOf(replies)).toMatchObject({ S: 'FATAL', C: '57P01' })
    }
  })
})
