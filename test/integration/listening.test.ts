// LISTEN and NOTIFY in transaction mode: clients that listen share one connection of their pool, and
// hold no server between transactions.
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { allMoved, hubOf, Listener, readTold, sharedBackends } from '../support/listeners.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import * as raw from '../support/raw-messages.ts'
import { typesOf } from '../support/raw-replies.ts'
import { oneByteEach } from '../support/segments.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

async function start(options: PooledPostgresOptions = {}): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), options)
}

const listener = () => Listener.start(pooled)

describe('a client that listens', () => {
  test('holds no server, and is told while it is idle', async () => {
    await start({ poolSize: 1 })
    const a = await listener()
    const b = await listener()
    expect(await a.run('listen news')).toBe('CZ')
    expect(await b.run("notify news, 'one'")).toBe('CZ')
    await a.hears('one')
    await allMoved(pooled)
    expect(await b.run("notify news, 'two'; notify other, 'no'")).toBe('CCZ')
    await a.hears('one', 'two')
    expect(b.payloads).toEqual([])
    expect((await sharedBackends(pooled)).length).toBe(1)
  })

  test('is told of its own before ReadyForQuery, with the process id that it was given', async () => {
    await start({ poolSize: 1 })
    const a = await listener()
    expect(await a.run("listen news; notify news, 'first'")).toBe('CCAZ')
    await allMoved(pooled)
    for (let round = 0; round < 20; round++) {
      expect(await a.run(`notify news, '${round}'`)).toBe('CAZ')
    }
    const b = await listener()
    expect(await b.run("notify news, 'b'")).toBe('CZ')
    const own = ['first', ...Array.from({ length: 20 }, (_, round) => `${round}`)]
    await a.hears(...own, 'b')
    for (const { processId } of a.told.slice(0, -1)) expect(processId).toBe(a.processId)
    expect(a.told.at(-1)?.processId).not.toBe(a.processId)
  })

  test.each([
    { ending: 'rollback to s; commit', others: ['gone', 'kept', 'later'] },
    { ending: 'commit', others: ['kept'] },
  ])('is told of what it has left only if it has not ($ending)', async ({ ending, others }) => {
    await start()
    const [a, b] = [await listener(), await listener()]
    await a.run('listen gone; listen kept')
    await allMoved(pooled)
    await a.run('begin; savepoint s')
    await b.run("notify gone, 'gone'; notify kept, 'kept'")
    await a.run('unlisten gone')
    if (ending === 'commit') await a.run("notify kept, 'own'; commit")
    else await a.run("rollback to s; notify kept, 'own'; commit")
    const own = () => a.told.filter(({ processId }) => processId === a.processId)
    expect(own().map(({ payload }) => payload)).toEqual(['own'])
    await b.run("notify gone, 'later'; notify kept, 'last'")
    await eventually(() => a.payloads.at(-1) === 'last')
    expect(a.payloads.filter((payload) => payload !== 'own')).toEqual([...others, 'last'])
  })

  test('is told of what a trigger or function notifies in its own transaction as its own', async () => {
    await start()
    const a = await listener()
    await a.run('listen news; create table t (x int)')
    await a.run(
      `create function f() returns trigger language plpgsql as $$begin perform pg_notify('news', new.x::text); return new; end$$;
       create trigger g after insert on t for each row execute function f()`,
    )
    await allMoved(pooled)
    expect(await a.run('insert into t values (7)')).toBe('CAZ')
    expect(a.told).toEqual([{ processId: a.processId, channel: 'news', payload: '7' }])
  })

  test('is not told inside of a transaction, but before the ReadyForQuery that ends it', async () => {
    await start({ poolSize: 2 })
    const a = await listener()
    const witness = await listener()
    const b = await listener()
    for (const one of [a, witness]) await one.run('listen news')
    await allMoved(pooled)
    await a.run('begin')
    await b.run("notify news, 'one'; notify news, 'two'")
    await witness.hears('one', 'two')
    expect(await a.run('select 1')).toBe('TDCZ')
    await a.raw.extendedQuery('select 1')
    expect(typesOf(await a.raw.untilReady())).toBe('12TDCZ')
    expect(await a.run('nonsense')).toBe('EZ')
    expect(await a.run('commit')).toBe('CAAZ')
    expect(a.payloads).toEqual(['one', 'two'])
  })

  test('sees its channels in pg_listening_channels, and nobody else does', async () => {
    await start({ poolSize: 1 })
    const a = await listener()
    const b = await listener()
    await a.run('listen x; listen y')
    await allMoved(pooled)
    for (let round = 0; round < 3; round++) {
      expect(await b.column('select pg_listening_channels()')).toEqual([])
      expect((await a.column('select pg_listening_channels()')).sort()).toEqual(['x', 'y'])
    }
  })
})

describe('rollback and savepoints', () => {
  test('what is rolled back was not listened to', async () => {
    await start({ poolSize: 1 })
    const a = await listener()
    await a.run('begin; listen lost; rollback')
    await a.run('begin; listen kept; savepoint s; listen lost; rollback to s; listen too; commit')
    await a.run('begin; listen gone; unlisten gone; commit')
    expect((await a.column('select pg_listening_channels()')).sort()).toEqual(['kept', 'too'])
    await allMoved(pooled)
    const b = await listener()
    await b.run("notify lost, 'no'; notify gone, 'no'; notify kept, 'k'; notify too, 't'")
    await a.hears('k', 't')
  })

  test('UNLISTEN in a transaction counts when that commits, message by message', async () => {
    await start({ poolSize: 1 })
    const a = await listener()
    await a.run('listen x; listen y; listen z')
    await allMoved(pooled)
    for (const sql of ['begin', 'unlisten *', 'rollback']) await a.run(sql)
    expect((await a.column('select pg_listening_channels()')).sort()).toEqual(['x', 'y', 'z'])
    const block = 'begin;unlisten x;savepoint s;unlisten y;rollback to s;unlisten z;commit'
    for (const sql of block.split(';')) await a.run(sql)
    expect(await a.column('select pg_listening_channels()')).toEqual(['y'])
    await allMoved(pooled)
    const b = await listener()
    await b.run("notify x, 'x'; notify y, 'y'; notify z, 'z'")
    await a.hears('y')
  })
})

describe('channels are taken away', () => {
  test.each([
    ['UNLISTEN', 'unlisten news'],
    ['UNLISTEN *', 'unlisten *'],
    ['DISCARD ALL', 'discard all'],
    ['a block of code', "do $$begin execute 'unlisten news'; end$$"],
  ])('by %s', async (_name, sql) => {
    await start({ poolSize: 1 })
    const a = await listener()
    const witness = await listener()
    await witness.run('listen news')
    await a.run('listen news')
    await allMoved(pooled)
    expect(hubOf(pooled).clients).toBe(2)
    await a.run(sql)
    await eventually(() => hubOf(pooled).clients === 1)
    await allMoved(pooled)
    const b = await listener()
    await b.run("notify news, 'after'")
    await witness.hears('after')
    expect(await a.run('select 1')).toBe('TDCZ')
    expect(a.payloads).toEqual([])
  })

  test('by the end of the client, however it ends; the connection stays for the others', async () => {
    await start({ poolSize: 2 })
    const a = await listener()
    const b = await listener()
    const c = await listener()
    for (const one of [a, b, c]) await one.run('listen news')
    await allMoved(pooled)
    expect([hubOf(pooled).clients, hubOf(pooled).channels]).toEqual([3, 1])
    a.raw.reset()
    await b.raw.terminate()
    await eventually(() => hubOf(pooled).clients === 1)
    await c.run("notify news, 'still'")
    await c.hears('still')
    await c.run('unlisten news')
    await eventually(() => hubOf(pooled).channels === 0)
  })

  test('nothing is left on a server for the next client when one leaves right behind its LISTEN', async () => {
    await start({ poolSize: 1 })
    const a = await listener()
    await a.raw.send(
      Buffer.concat([raw.query('listen news; set work_mem = 12345'), raw.terminate()]),
    )
    await a.raw.readAll()
    const b = await listener()
    expect(await b.column('select pg_listening_channels()')).toEqual([])
    expect(await b.column('show work_mem')).toEqual(['4MB'])
  })
})

describe('names and payloads, byte for byte', () => {
  const names = [
    'with "quotes" and \\ and \'apostrophes\'',
    'UPPER and lower',
    'größe ☃ 🐘',
    'x'.repeat(63),
    `${'é'.repeat(31)}`,
    ' ',
    '; drop table t; --',
  ]

  test('of any channel', async () => {
    await start({ poolSize: 1 })
    const a = await listener()
    const b = await listener()
    for (const name of names) await a.run(`listen "${name.replaceAll('"', '""')}"`)
    await a.run(`listen "${'longer than sixty-three bytes '.repeat(4)}"`)
    await allMoved(pooled)
    for (const name of names) {
      await b.raw.extendedQuery('select pg_notify($1, $2)', [name, `to ${name}`])
      await b.raw.untilReady()
    }
    await b.run(`notify "${'longer than sixty-three bytes '.repeat(4)}", 'cut'`)
    await a.hears(...names.map((name) => `to ${name}`), 'cut')
    expect(a.told.map(({ channel }) => channel)).toEqual([
      ...names,
      'longer than sixty-three bytes '.repeat(4).slice(0, 63),
    ])
  })

  test('payloads of 7999 bytes, and none', async () => {
    await start({ poolSize: 1 })
    const a = await listener()
    const b = await listener()
    await a.run('listen news')
    await allMoved(pooled)
    const long = '☃'.repeat(2666)
    await b.run(`notify news, '${long}'`)
    await b.run('notify news')
    await a.hears(long, '')
  })

  test('one byte at a time, both ways', async () => {
    await start({ poolSize: 1 })
    const a = await Listener.start(pooled, 'transaction', { segmentation: oneByteEach })
    await a.run('listen news')
    await a.raw.extendedQuery("select pg_notify('news', 'one')")
    expect(typesOf(await a.raw.untilReady())).toBe('12TDCAZ')
    await allMoved(pooled)
    expect(await a.run("notify news, 'two'")).toBe('CAZ')
    await a.raw.extendedQuery('unlisten news')
    expect(typesOf(await a.raw.untilReady())).toBe('12nCZ')
    await eventually(() => hubOf(pooled).channels === 0)
  })

  test('another encoding than the server’s keeps the server, which converts', async () => {
    await start({ poolSize: 2 })
    const a = await listener()
    const b = await listener()
    await a.run("set client_encoding = 'latin1'")
    await a.raw.send(raw.query(Buffer.from('listen "gr\xf6\xdfe"', 'latin1')))
    await a.raw.untilReady()
    await b.run('notify "größe", \'ä\'')
    await eventually(() => a.told.length === 1)
    const message = a.raw.received.find(({ type }) => type === 'A') as raw.RawMessage
    expect(message.body.toString('latin1', 4)).toBe('gr\xf6\xdfe\0\xe4\0')
    expect(hubOf(pooled).clients).toBe(0)
    await a.run("set client_encoding = 'utf8'")
    await eventually(() => hubOf(pooled).clients === 1)
    await allMoved(pooled)
    await b.run('notify "größe", \'ü\'')
    await eventually(() => a.told.length === 2)
    expect(a.told[1]).toMatchObject({ channel: 'größe', payload: 'ü' })
    await a.run("set client_encoding = 'latin1'")
    await eventually(() => hubOf(pooled).clients === 0)
    await b.run('notify "größe", \'ö\'')
    await eventually(() => a.told.length === 3)
    const last = a.raw.received.findLast(({ type }) => type === 'A') as raw.RawMessage
    expect(readTold(last).processId).not.toBe(a.processId)
    expect(last.body.toString('latin1', 4)).toBe('gr\xf6\xdfe\0\xf6\0')
  })
})
