import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { clientsIn } from '../../support/model-auditor.ts'
import { ModelServer, type ModelServerOptions } from '../../support/model-server.ts'
import { sql } from '../../support/model-statements.ts'
import { RawClient } from '../../support/raw-client.ts'
import * as raw from '../../support/raw-messages.ts'
import { describeReply, errorFields, rowsOf, typesOf } from '../../support/raw-replies.ts'
import { runCancelRule, runReleaseRule } from '../../support/release-rule.ts'
import { freshSeed, SeededRandom, withSeed } from '../../support/seeded-random.ts'

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function start(options: Partial<ModelServerOptions> = {}): Promise<ModelServer> {
  const server = await ModelServer.start({ random: new SeededRandom(1), ...options })
  closers.push(() => server.stop())
  return server
}

async function logIn(server: ModelServer, settings = {}): Promise<RawClient> {
  const client = await RawClient.loggedIn({ port: server.port, user: 'someone', settings })
  closers.push(() => client.close())
  return client
}

/** The client speaks for others, as a pooler does. */
async function ask(client: RawClient, text: string): Promise<string> {
  await client.query(text)
  return typesOf(await client.untilReady())
}

describe('model server', () => {
  test('many clients get what they are owed, in any pieces and however they leave', async () => {
    await withSeed(freshSeed(), async (random) => {
      const server = await start({ random: random.fork(), pieceBytesMax: 16, lateChance: 0.2 })
      const target = { port: server.port, user: 'someone' }
      const run = { target, random, clients: 8, rounds: 6, turns: 5 }
      const result = await runReleaseRule({ ...run, features: { fatal: 1 } })
      expect(result.pipelines).toBe(48)
      expect(result.replies).toBeGreaterThan(48 * 20)
      expect(Object.keys(result.leavings).length).toBeGreaterThan(3)
      server.auditor.assertClean()
      await eventually(() => server.auditor.openConnections === 0)
      expect(server.auditor.peakConnections).toBeGreaterThanOrEqual(8)
    })
  })

  test('a driver that is owed something else fails', async () => {
    const server = await start({ reported: { application_name: 'changed' } })
    const answers: Promise<unknown> = runReleaseRule({
      target: { port: server.port, user: 'someone', waitMs: 100 },
      random: new SeededRandom(3),
      clients: 2,
      rounds: 5,
      turns: 5,
      features: { settings: 100, copy: 0 },
    })
    await expect(answers).rejects.toThrow(/client c\d, round \d, .*reply \d+ is/)
  })

  test('reports its settings, with those of the startup message', async () => {
    const server = await start()
    const client = await RawClient.connect({ port: server.port })
    closers.push(() => client.close())
    const { parameters, processId } = await client.login({
      user: 'someone',
      settings: { application_name: 'mine' },
    })
    expect(parameters.get('application_name')).toBe('mine')
    expect(parameters.get('server_version')).toBe('18.4')
    expect(server.connections.map((connection) => connection.processId)).toEqual([processId])
    expect(server.connections[0]?.startup.get('user')).toBe('someone')
  })

  test('keeps replies back until Flush or Sync, as a server does', async () => {
    const server = await start()
    const client = await logIn(server)
    await client.send(Buffer.concat([raw.parse('', sql.rows('c1.1', 1)), raw.bind()]))
    await eventually(() => server.connections[0]?.isQuiet === true)
    expect(client.pending()).toEqual([])
    await client.send(raw.flush())
    await client.expect('12')
  })

  test('answers a text that the test has taught it', async () => {
    const readOther = (text: string) =>
      text === 'select secret'
        ? ({
            kind: 'answer',
            parameters: 0,
            columns: ['a'],
            rows: [['x']],
            commandTag: 'OK',
          } as const)
        : null
    const client = await logIn(await start({ readOther }))
    await client.query('select secret')
    expect((await client.expect('TDCZ')).map(describeReply).slice(1)).toEqual([
      'D(x)',
      'C(OK)',
      'Z(I)',
    ])
    expect(await ask(client, 'select other')).toBe('EZ')
  })

  test('set_config and current_setting see the same settings', async () => {
    const client = await logIn(await start())
    await client.extendedQuery(sql.setConfig(), ['application_name', 'a b'])
    expect((await client.expect('12TDCSZ')).map(describeReply)[5]).toBe('S(application_name=a b)')
    await client.query(sql.show('application_name'))
    expect(rowsOf(await client.untilReady())).toEqual([['a b']])
  })

  test('a cancel ends what runs, and neither a wrong key nor an idle session', async () => {
    const server = await start({ cancelLateMs: 5 })
    const client = await RawClient.connect({ port: server.port })
    closers.push(() => client.close())
    const { processId, secret } = await client.login({ user: 'someone' })
    await client.cancel(processId, secret)
    await client.query(sql.sleep('c1.1', 60))
    await client.cancel(processId, Buffer.from('none'))
    await client.cancel(processId + 1, secret)
    expect(client.pending()).toEqual([])
    await client.cancel(processId, secret)
    const replies = await client.untilReady()
    expect(errorFields(replies.at(-2)?.body ?? Buffer.alloc(0)).C).toBe('57014')
    expect(server.auditor.cancelled).toEqual(['c1'])
  })

  test('cancels at random moments hit only those they are meant for', async () => {
    await withSeed(freshSeed(), async (random) => {
      const server = await start({ random: random.fork(), cancelLateMs: 3 })
      const target = { port: server.port, user: 'someone' }
      const run = { target, random, victims: 3, bystanders: 3, queries: 10, queryMs: 12 }
      const result = await runCancelRule(run)
      expect(result.cancelled).toBeGreaterThan(0)
      expect(result.requests).toBeGreaterThan(result.cancelled)
    })
  })

  test('a query goes on, and its place stays taken, when its client has gone', async () => {
    const server = await start()
    const client = await logIn(server)
    const key = server.connections[0]
    await client.query(sql.sleep('c1.1', 60))
    await eventually(() => key?.isQuiet === false)
    client.reset()
    const other = await logIn(server)
    expect(server.auditor.openConnections).toBe(2)
    await other.cancel(key?.processId ?? 0, key?.secret ?? Buffer.alloc(0))
    await eventually(() => server.auditor.openConnections === 1)
  })

  test('refuses, terminates, drops and stalls on command', async () => {
    const server = await start()
    const client = await logIn(server)
    server.refuse('53300')
    await expect(logIn(server)).rejects.toThrow('53300')
    server.refuse(null)
    const second = await logIn(server)
    server.connections[0]?.terminate()
    expect(typesOf(await client.readAll())).toBe('E')
    const [connection] = server.connections
    connection?.stall()
    await second.query(sql.begin())
    const third = await logIn(server)
    expect(await ask(third, sql.begin())).toBe('CZ')
    expect(second.pending()).toEqual([])
    connection?.resume()
    expect(typesOf(await second.untilReady())).toBe('CZ')
    expect(connection?.status).toBe('T')
    connection?.inject(raw.noticeResponse({ S: 'NOTICE', M: 'hello' }))
    await second.expect('N')
    connection?.drop(true)
    await second.readAll()
    expect(second.end).toBe('reset')
    expect(server.auditor.openConnections).toBe(1)
  })
})

describe('model auditor', () => {
  test('finds the clients in texts, values, copy data and arguments, and in nothing else', () => {
    const body = (message: Buffer) => message.subarray(5)
    const tag = 'c12.3'
    expect(clientsIn('Q', body(raw.query(sql.rows(tag, 1))))).toEqual(['c12'])
    expect(clientsIn('B', body(raw.bind({ values: ['c4.1', null] })))).toEqual(['c4'])
    expect(clientsIn('d', body(raw.copyData('c5.1\t1\nc5.2\t2\n')))).toEqual(['c5'])
    expect(clientsIn('F', body(raw.functionCall(1397, ['c6.1'])))).toEqual(['c6'])
    expect(clientsIn('E', body(raw.execute('c7.1')))).toEqual([])
    expect(clientsIn('Q', body(raw.query('select 1.5, 2.5')))).toEqual([])
  })

  test('a server that is handed on at rest is clean, and the handover is counted', async () => {
    const server = await start()
    const pooler = await logIn(server)
    for (const tag of ['a1.1', 'b2.1', 'b2.2', 'a1.2']) {
      expect(await ask(pooler, `${sql.begin()}; ${sql.rows(tag, 1)}; commit`)).toBe('CTDCCZ')
      await ask(pooler, 'DISCARD ALL')
    }
    server.auditor.assertClean()
    expect(server.auditor.periods).toBe(4)
    expect(server.auditor.handovers).toBe(2)
  })

  test.each([
    ['in a transaction', Buffer.concat([raw.query(sql.begin()), raw.query(sql.insert('a1.1'))])],
    ['in a failed transaction', Buffer.concat([raw.query(`begin; ${sql.unknownColumn('a1.1')}`)])],
    ['in a batch without its Sync', raw.parse('', sql.rows('a1.1', 1))],
    [
      'in a batch that skips to its Sync',
      Buffer.concat([raw.parse('', sql.unknownColumn('a1.1')), raw.query(sql.rows('a1.2', 1))]),
    ],
    ['in a copy', raw.query(`${sql.insert('a1.1')}; ${sql.copyIn()}`)],
    ['while a reply is owed', raw.query(sql.sleep('a1.1', 0.02))],
  ])('a server that is handed on %s is found out', async (_when, bytes) => {
    const server = await start()
    const pooler = await logIn(server)
    await pooler.send(bytes)
    await pooler.query(sql.rows('b2.1', 1))
    await eventually(() => server.auditor.violations.length > 0)
    expect(() => server.auditor.assertClean()).toThrow(
      /a message of b2 in a period of a1; messages/,
    )
  })

  test('a server that is handed on before its last reply is out is found out', async () => {
    const server = await start({ lateChance: 1, lateMs: 30 })
    const pooler = await logIn(server)
    await pooler.query(sql.rows('a1.1', 1))
    await pooler.untilType('C')
    await pooler.query(sql.rows('b2.1', 1))
    await pooler.untilReadies(2)
    expect(server.auditor.violations.length).toBe(1)
  })

  test('a half-ended transaction that another client meets is found out', async () => {
    const server = await start()
    const pooler = await logIn(server)
    const batch = [raw.parse('', sql.rows('a1.1', 1)), raw.bind(), raw.execute()]
    await pooler.send(Buffer.concat([...batch, raw.query(sql.rows('a1.2', 1)), raw.sync()]))
    await pooler.expect('12DCTDCZZ')
    expect(await ask(pooler, sql.rows('b2.1', 1))).toBe('EZ')
    expect(() => server.auditor.assertClean()).toThrow(
      'b2 was given the half-ended transaction of a1',
    )
  })

  test('a connection too many is found out', async () => {
    const server = await start({ connectionsMax: 1 })
    const first = await logIn(server)
    await first.terminate()
    await first.readAll()
    await logIn(server)
    server.auditor.assertClean()
    await logIn(server)
    expect(() => server.auditor.assertClean()).toThrow('2 connections, 1 allowed')
  })
})
