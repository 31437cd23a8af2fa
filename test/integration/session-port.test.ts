// The session port: a server of one's own as long as one stays, and nothing left for the next.
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { cstringsOf, rowsOf, typesOf } from '../support/raw-replies.ts'
import { needsOneProcess, testWorkers } from '../support/worker-host.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const start = async (options: PooledPostgresOptions = {}): Promise<void> => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...options })
}

const pidOf = (client: RawClient) => pooled.value(client, 'select pg_backend_pid()')

async function run(client: RawClient, sql: string): Promise<raw.RawMessage[]> {
  await client.query(sql)
  return client.untilReady()
}

/** What one session leaves behind, and how the next one sees that it is gone. */
const leftovers: Record<string, { leave: string; look: string; gone: string }> = {
  'a temporary table': {
    leave: 'create temp table t (n int); insert into t values (1)',
    look: "select to_regclass('pg_temp.t') is null",
    gone: 't',
  },
  'a prepared statement': {
    leave: 'prepare p as select 1',
    look: 'select count(*) from pg_prepared_statements',
    gone: '0',
  },
  'an advisory lock': {
    leave: 'select pg_advisory_lock(4711)',
    look: "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    gone: '0',
  },
  'a channel listened to': {
    leave: 'listen news',
    look: 'select count(*) from pg_listening_channels()',
    gone: '0',
  },
  'a held cursor': {
    leave: 'begin; declare c cursor with hold for select 1; commit',
    look: 'select count(*) from pg_cursors',
    gone: '0',
  },
  'a setting that is reported': {
    leave: "set timezone to 'Asia/Tokyo'",
    look: "select current_setting('timezone') <> 'Asia/Tokyo'",
    gone: 't',
  },
  'a setting that is not': {
    leave: "set statement_timeout to '4711s'",
    look: "select current_setting('statement_timeout')",
    gone: '0',
  },
  'a setting made by a function': {
    leave: "select set_config('work_mem', '4711kB', false)",
    look: "select current_setting('work_mem') <> '4711kB'",
    gone: 't',
  },
  'a role': {
    leave: 'set role pg_monitor',
    look: 'select current_user = session_user',
    gone: 't',
  },
  'the value of a sequence': {
    leave: "create temp sequence s; select nextval('s')",
    look: "select to_regclass('pg_temp.s') is null",
    gone: 't',
  },
  'an open transaction': {
    leave: 'begin; create table opened (n int)',
    look: "select to_regclass('opened') is null",
    gone: 't',
  },
  'a failed transaction': {
    leave: 'begin; create table opened (n int); select 1/0',
    look: "select to_regclass('opened') is null",
    gone: 't',
  },
}

test.each(Object.entries(leftovers))('%s is gone for the next client', async (_what, it) => {
  // One for each worker: a server stays where it is, and clients come to the workers in turn.
  await start({ poolSize: testWorkers })
  await pooled.postgres.query(`grant pg_monitor to "${pooled.role}"`)
  for (const goes of [
    (client: RawClient) => client.terminate(),
    (client: RawClient) => client.reset(),
  ]) {
    const before = await pooled.client('session')
    const pid = await pidOf(before)
    await run(before, it.leave)
    await goes(before)
    const pids: (string | null)[] = []
    for (let turn = 0; turn < testWorkers && !pids.includes(pid); turn++) {
      const next = await pooled.client('session')
      expect(await pooled.value(next, it.look)).toBe(it.gone)
      pids.push(await pidOf(next))
      await next.terminate()
    }
    expect(pids).toContain(pid)
  }
})

test('a statement prepared by protocol is gone, and its name is free', async () => {
  await start()
  const before = await pooled.client('session')
  await before.send(Buffer.concat([raw.parse('p', 'select 1'), raw.sync()]))
  await before.untilReady()
  await before.terminate()
  const next = await pooled.client('session')
  await next.send(
    Buffer.concat([
      raw.bind({ statement: 'p' }),
      raw.sync(),
      raw.parse('p', 'select 2'),
      raw.sync(),
    ]),
  )
  expect(typesOf(await next.untilReadies(2))).toBe('EZ1Z')
})

test('a session keeps its server, and all that is on it', async () => {
  await start({ poolSize: 2 })
  const [one, other] = [await pooled.client('session'), await pooled.client('session')]
  const pid = await pidOf(one)
  expect(await pidOf(other)).not.toBe(pid)
  await run(one, "create temp table t (n int); set timezone to 'Asia/Tokyo'")
  await one.send(Buffer.concat([raw.parse('p', 'select count(*) from t'), raw.sync()]))
  await one.untilReady()
  await run(one, 'begin; insert into t values (1); commit')
  await one.send(Buffer.concat([raw.bind({ statement: 'p' }), raw.execute(), raw.sync()]))
  expect(rowsOf(await one.untilReady())).toEqual([['1']])
  expect(await pooled.value(one, 'show timezone')).toBe('Asia/Tokyo')
  expect(await pidOf(one)).toBe(pid)
})

test('notifications reach a session that listens, also while it is idle', async () => {
  await start({ poolSize: 2 })
  const [ear, mouth] = [await pooled.client('session'), await pooled.client('session')]
  await run(ear, 'listen news')
  await run(mouth, "notify news, 'it''s'")
  const [notification] = await ear.expect('A')
  expect(cstringsOf(notification?.body.subarray(4) ?? Buffer.alloc(0))).toEqual(['news', "it's"])
})

test('who comes when all servers are taken waits for one, in the order of arrival', async (context) => {
  needsOneProcess(context, 'each worker has a queue of its own')
  await start()
  const holder = await pooled.client('session')
  const waitersAre = (count: number) =>
    eventually(() => [...pooled.pooler.plane.pools.entries()][0]?.pool.waiters === count)
  const order: string[] = []
  const waiting: Promise<void>[] = []
  for (const name of ['first', 'second', 'third']) {
    const session = pooled.client('session')
    waiting.push(
      session.then(async (client) => {
        order.push(name)
        await run(client, 'select 1')
        await client.terminate()
      }),
    )
    await waitersAre(waiting.length)
  }
  expect((await pooled.backends()).length).toBe(1)
  await holder.terminate()
  await Promise.all(waiting)
  expect(order).toEqual(['first', 'second', 'third'])
})

test('who leaves while waiting leaves the queue', async () => {
  await start()
  const holder = await pooled.client('session')
  await pooled.comeRound('session')
  const target = pooled.target('session')
  const waiting = await RawClient.connect(target)
  void waiting.login(target).catch(() => {})
  await eventually(async () => (await pooled.waiters()) === 1)
  waiting.close()
  await eventually(async () => (await pooled.waiters()) === 0)
  await holder.terminate()
  const next = await pooled.client('session')
  expect(await pooled.value(next, 'select 1')).toBe('1')
})

test('a login that gets no server in time is told why, and is over', async () => {
  await start()
  await pooled.client('session')
  // Not before the first is in: a busy machine takes its time to open a server.
  pooled.changeRole({ checkoutTimeoutMs: 200 })
  await expect(pooled.client('session')).rejects.toMatchObject({
    fields: { S: 'FATAL', C: '53300', M: expect.stringMatching(/^\(ECHECKOUTTIMEOUT\) /) },
  })
})

test('settings of the startup packet hold, and come back behind RESET and DISCARD ALL', async () => {
  await start()
  const settings = { TimeZone: 'Asia/Tokyo', extra_float_digits: '0', application_name: 'mine' }
  const { client, login } = await pooled.login('session', { settings })
  expect(login.parameters.get('TimeZone')).toBe('Asia/Tokyo')
  const look = async () => [
    await pooled.value(client, 'show timezone'),
    await pooled.value(client, 'show extra_float_digits'),
    await pooled.value(client, 'show application_name'),
  ]
  const own = ['Asia/Tokyo', '0', 'mine']
  expect(await look()).toEqual(own)
  await run(client, "set timezone to 'UTC'; set extra_float_digits to 2")
  expect(await look()).toEqual(['UTC', '2', 'mine'])
  for (const sql of ['reset all', 'reset timezone; reset extra_float_digits', 'discard all']) {
    await run(client, "set timezone to 'UTC'; set extra_float_digits to 2")
    await run(client, sql)
    expect(await look(), sql).toEqual(own)
  }
  await client.terminate()
  const next = await pooled.client('session')
  expect(await pooled.value(next, 'show timezone')).not.toBe('Asia/Tokyo')
  expect(await pooled.value(next, 'show extra_float_digits')).toBe('1')
  expect(await pooled.value(next, 'show application_name')).toBe('')
})

test.each(['reset all', 'reset timezone', 'discard all'])(
  'what comes right behind %s has the settings of the startup packet',
  async (sql) => {
    await start()
    const client = await pooled.client('session', { settings: { TimeZone: 'Asia/Tokyo' } })
    for (const reset of [
      [raw.query(sql)],
      [raw.parse('', sql), raw.bind(), raw.execute(), raw.sync()],
    ]) {
      await run(client, "set timezone to 'UTC'")
      await client.send(Buffer.concat([...reset, raw.query('show timezone')]))
      expect(rowsOf(await client.untilReadies(2))).toEqual([['Asia/Tokyo']])
    }
  },
)

test.each(['all at once', 'byte by byte'])(
  'a client knows its own notifications by the process id of its login, %s',
  async (way) => {
    const proxy = await FaultProxy.start(sharedPostgres())
    await start({ poolSize: 2, upstreamPort: proxy.port })
    if (way === 'byte by byte') proxy.faults.segmentation = { kind: 'bytes' }
    const { client, login } = await pooled.login('session')
    const other = await pooled.login('session')
    await run(client, 'listen news')
    const processIdsOf = (replies: raw.RawMessage[]) =>
      replies.filter(({ type }) => type === 'A').map(({ body }) => body.readInt32BE(0))
    const own = await run(client, "notify news, 'one'; notify news, 'two'")
    expect(processIdsOf(own)).toEqual([login.processId, login.processId])
    expect(
      own.filter(({ type }) => type === 'A').map(({ body }) => cstringsOf(body.subarray(4))),
    ).toEqual([
      ['news', 'one'],
      ['news', 'two'],
    ])
    const backend = await pidOf(other.client)
    await run(other.client, 'notify news')
    const seen = await eventually(async () => {
      const ids = processIdsOf(await run(client, 'select 1'))
      return ids.length > 0 && ids
    })
    expect(seen).toEqual([Number(backend)])
    for (const one of [client, other.client]) await one.terminate()
    await proxy.stop()
  },
)
