// Cancel requests of clients: what they hit, and all that they must not hit.
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import type { LoginResult } from '../support/raw-login.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const start = async (options: PooledPostgresOptions = {}): Promise<void> => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...options })
}

interface Keyed {
  readonly client: RawClient
  readonly login: LoginResult
}

const cancel = ({ client, login }: Keyed) => client.cancel(login.processId, login.secret)
const states = (replies: readonly raw.RawMessage[]) =>
  replies.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body).C)
/** Until it commits, whoever asks for lock 77 waits. */
async function lockHolder(port: 'transaction' | 'session'): Promise<RawClient> {
  const holder = await pooled.client(port)
  await holder.query('begin; select pg_advisory_xact_lock(77)')
  await holder.untilReady()
  return holder
}
/** The same, with a server that is none of the pool's. */
async function outsideLockHolder(): Promise<RawClient> {
  const holder = await RawClient.loggedIn(pooled.direct())
  await holder.query('select pg_advisory_lock(77)')
  await holder.untilReady()
  return holder
}

describe.each(['transaction', 'session'] as const)('%s port, a cancel', (port) => {
  test('ends the query of its client and of nobody else', async () => {
    await start({ poolSize: 3 })
    const holder = await lockHolder(port)
    const victim = await pooled.login(port)
    const other = await pooled.login(port)
    await victim.client.query("select pg_sleep(600), 'victim'")
    await other.client.query("select pg_advisory_xact_lock(77), 'other'")
    await pooled.running('victim')
    await pooled.running('other')
    await cancel(victim)
    const replies = await victim.client.untilReady()
    expect(states(replies)).toEqual(['57014'])
    await holder.query('commit')
    expect(rowsOf(await other.client.untilReady())).toEqual([['', 'other']])
    expect(await pooled.value(victim.client, 'select 1')).toBe('1')
  })

  test('of an idle client does nothing, now or later', async () => {
    await start()
    const idle = await pooled.login(port)
    expect(await pooled.value(idle.client, 'select 1')).toBe('1')
    await cancel(idle)
    expect(await pooled.value(idle.client, 'select pg_sleep(0.1)::text')).toBe('')
    expect(idle.client.pending()).toEqual([])
  })

  test('in an idle transaction does nothing, and the transaction goes on', async () => {
    await start()
    const idle = await pooled.login(port)
    await idle.client.query('begin; select 1')
    await idle.client.untilReady()
    await cancel(idle)
    await idle.client.query('select 2')
    expect((await idle.client.untilReady()).at(-1)?.body.toString()).toBe('T')
  })

  test.each([
    ['another secret', ({ login }: Keyed) => [login.processId, Buffer.alloc(4, 1)]],
    ['another process id', ({ login }: Keyed) => [login.processId + 1, login.secret]],
    [
      'a secret that is too long',
      ({ login }: Keyed) => [login.processId, Buffer.concat([login.secret, Buffer.alloc(28)])],
    ],
  ] as const)('with %s does nothing, and gets no answer', async (_what, keyOf) => {
    await start({ poolSize: 2 })
    const holder = await lockHolder(port)
    const victim = await pooled.login(port)
    await victim.client.query("select pg_advisory_xact_lock(77), 'done'")
    await pooled.running('done')
    const [processId, secret] = keyOf(victim) as [number, Buffer]
    const other = await pooledConnection()
    await other.send(raw.cancelRequest(processId, secret))
    expect((await other.readRest()).length).toBe(0)
    other.close()
    await holder.query('commit')
    expect(rowsOf(await victim.client.untilReady())).toEqual([['', 'done']])
  })

  test('works with the long key of protocol 3.2', async () => {
    await start()
    const victim = await pooled.login(port, { minor: 2 })
    expect(victim.login.secret.length).toBe(32)
    await victim.client.query("select pg_sleep(600), 'long key'")
    await pooled.running('long key')
    await cancel(victim)
    expect(states(await victim.client.untilReady())).toEqual(['57014'])
  })

  test('in a storm ends one query once, and what follows is untouched', async () => {
    await start()
    const victim = await pooled.login(port)
    await victim.client.query("select pg_sleep(600), 'storm'")
    await pooled.running('storm')
    await Promise.all(Array.from({ length: 60 }, () => cancel(victim)))
    expect(states(await victim.client.untilReady())).toEqual(['57014'])
    // Each connection has ended, so none of them is on its way any more.
    await victim.client.query('select 1; select 2')
    expect(typesOf(await victim.client.untilReady())).toBe('TDCTDCZ')
    await victim.client.terminate()
    const next = await pooled.client(port)
    expect(await pooled.value(next, 'select pg_sleep(0.1)::text')).toBe('')
  })

  test('with the key of a client that has left does nothing', async () => {
    await start()
    const gone = await pooled.login(port)
    await gone.client.terminate()
    await pooled.settled()
    const next = await pooled.login(port)
    const holder = await outsideLockHolder()
    await next.client.query("select pg_advisory_xact_lock(77), 'next'")
    await pooled.running('next')
    await cancel(gone)
    holder.close()
    expect(rowsOf(await next.client.untilReady())).toEqual([['', 'next']])
  })

  test('of COPY FROM and of COPY TO leaves the client in step', async () => {
    await start()
    const victim = await pooled.login(port)
    await victim.client.query('create table kit (n int)')
    await victim.client.untilReady()
    await victim.client.query('copy kit from stdin')
    await victim.client.untilType('G')
    await victim.client.send(raw.copyData('1\n'))
    await cancel(victim)
    // Postgres looks at interrupts in COPY FROM when the next data come.
    await victim.client.send(raw.copyData('2\n'))
    expect(states(await victim.client.untilReady())).toEqual(['57014'])
    await victim.client.send(Buffer.concat([raw.copyData('3\n'), raw.copyDone()]))
    await victim.client.query('copy (select pg_sleep(600)) to stdout')
    await pooled.running('to stdout')
    await cancel(victim)
    expect(states(await victim.client.untilReady())).toEqual(['57014'])
    expect(await pooled.value(victim.client, 'select count(*) from kit')).toBe('0')
  })

  test('of one query of a pipeline leaves the others', async () => {
    await start()
    const victim = await pooled.login(port)
    await victim.client.send(
      Buffer.concat([raw.query("select pg_sleep(600), 'first'"), raw.query("select 'second'")]),
    )
    await pooled.running('first')
    await cancel(victim)
    const replies = await victim.client.untilReadies(2)
    expect(states(replies)).toEqual(['57014'])
    expect(rowsOf(replies)).toEqual([['second']])
  })
})

/** A connection that has said nothing yet. */
const pooledConnection = () => RawClient.connect(pooled.target('transaction'))

test('process ids are positive, and keys differ from login to login', async () => {
  await start()
  const logins = await Promise.all(Array.from({ length: 20 }, () => pooled.login('transaction')))
  for (const { login } of logins) expect(login.processId).toBeGreaterThan(0)
  expect(new Set(logins.map(({ login }) => login.processId)).size).toBe(20)
  expect(new Set(logins.map(({ login }) => login.secret.toString('hex'))).size).toBe(20)
  const backends = (await pooled.backends()).map(({ pid }) => pid)
  expect(logins.some(({ login }) => backends.includes(login.processId))).toBe(false)
})

test('a client that waits for a server is taken out of the queue, and can go on', async () => {
  await start()
  const holder = await pooled.client('transaction')
  await holder.query('begin')
  await holder.untilReady()
  const waiting = await pooled.loginBeside('transaction')
  await waiting.client.query("select 'never run'")
  await eventually(async () => (await pooled.waiters()) === 1)
  await cancel(waiting)
  const replies = await waiting.client.untilReady()
  expect(typesOf(replies)).toBe('EZ')
  expect(errorFields(replies[0]?.body ?? Buffer.alloc(0))).toMatchObject({ S: 'ERROR', C: '57014' })
  expect(replies[1]?.body.toString()).toBe('I')
  expect(await pooled.waiters()).toBe(0)
  await waiting.client.query("select 'now'")
  await holder.query('commit')
  expect(rowsOf(await waiting.client.untilReady())).toEqual([['now']])
})

test('each message of a waiting pipeline is answered by its own error', async () => {
  await start()
  const holder = await pooled.client('transaction')
  await holder.query('begin')
  await holder.untilReady()
  const waiting = await pooled.loginBeside('transaction')
  await waiting.client.send(
    Buffer.concat([
      raw.query('select 1'),
      raw.parse('', 'select 2'),
      raw.bind(),
      raw.execute(),
      raw.query('select 3'),
      raw.sync(),
      raw.functionCall(1397, ['-5']),
    ]),
  )
  await eventually(async () => (await pooled.waiters()) === 1)
  await cancel(waiting)
  // The query inside the batch is skipped with it, as Postgres does behind an error.
  expect(typesOf(await waiting.client.untilReadies(3))).toBe('EZEZEZ')
  expect(waiting.client.pending()).toEqual([])
})

test('the key of a client that has given its server back does not reach who has it now', async () => {
  await start()
  const before = await pooled.login('transaction')
  const after = await pooled.loginBeside('transaction')
  const pid = await pooled.value(before.client, 'select pg_backend_pid()')
  const holder = await outsideLockHolder()
  await after.client.query("select pg_backend_pid(), pg_advisory_xact_lock(77), 'after'")
  await pooled.running('after')
  await cancel(before)
  await cancel(before)
  holder.close()
  expect(rowsOf(await after.client.untilReady())).toEqual([[pid, '', 'after']])
})

test('a cancel at either port finds a client of the other', async () => {
  await start({ poolSize: 2 })
  const victim = await pooled.login('transaction')
  await victim.client.query("select pg_sleep(600), 'victim'")
  await pooled.running('victim')
  const other = await pooled.client('session')
  await other.cancel(victim.login.processId, victim.login.secret)
  expect(states(await victim.client.untilReady())).toEqual(['57014'])
})

test('wrong keys by the hundred reach no server, and a right one among them does', async () => {
  await start()
  const victim = await pooled.login('transaction')
  await victim.client.query("select pg_sleep(600), 'guessed at'")
  await pooled.running('guessed at')
  const guesses = Array.from({ length: 150 }, (_, guess) =>
    victim.client.cancel(victim.login.processId, Buffer.from([0, 0, 1, guess])),
  )
  await Promise.all(guesses)
  await pooled.running('guessed at')
  await cancel(victim)
  expect(states(await victim.client.untilReady())).toEqual(['57014'])
})

test('cancels by the hundred that meet nothing do not take those of a neighbour at the same address', async () => {
  await start({ poolSize: 2 })
  const [hasty, victim] = [
    await pooled.login('transaction'),
    await pooled.loginBeside('transaction'),
  ]
  await victim.client.query("select pg_sleep(600), 'cancelled once'")
  await pooled.running('cancelled once')
  await Promise.all(Array.from({ length: 150 }, () => cancel(hasty)))
  await cancel(victim)
  expect(states(await victim.client.untilReady())).toEqual(['57014'])
})
