// Access ends whatever a person is doing: the client is told where that is possible, the server is
// stopped, and its place in the pool is somebody else's.
import { beforeEach, describe, expect, test } from 'vitest'
import { EndingsSetup, expectEnded } from '../support/endings-setup.ts'
import { eventually } from '../support/eventually.ts'
import { doors, type PersonSession } from '../support/person-session.ts'
import { sharedPostgres } from '../support/postgres.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf } from '../support/raw-replies.ts'
import type { Mode } from '../support/running-pooler.ts'

const setup = new EndingsSetup()

const catching =
  'DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(0.1); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$'

/** What somebody may be doing at the time. */
const doings: Readonly<Record<string, (session: PersonSession) => Promise<void>>> = {
  'idle in a transaction': (session) => session.begin(),
  'in a transaction that failed': async (session) => {
    await session.begin()
    await session.client.query('SELECT 1/0')
    await session.client.untilReady()
  },
  'in a running query': (session) => session.work('SELECT pg_sleep(600)'),
  'in a query of a transaction': async (session) => {
    await session.begin()
    await session.work('SELECT pg_sleep(600)')
  },
  'in COPY from the client': async (session) => {
    await session.begin()
    await session.client.query('CREATE TEMP TABLE t (a text) ON COMMIT DROP')
    await session.client.untilReady()
    await session.client.query('COPY t FROM STDIN')
    await session.client.expect('G')
    await session.client.send(raw.copyData('one row\n'))
  },
  'in COPY to a client that does not read': async (session) => {
    session.client.pauseReading()
    await session.work("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT")
    await session.untilServer("wait_event = 'ClientWrite'")
  },
  'in a function that catches the cancel': (session) => session.work(catching),
  'in several statements sent at once': async (session) => {
    const statements = [1, 2, 3, 4].map(() => raw.query('SELECT pg_sleep(600)'))
    await session.client.send(Buffer.concat(statements))
    await session.untilServer("state = 'active'")
  },
  'in a batch without its Sync': async (session) => {
    const parts = [raw.parse('', 'SELECT pg_sleep(600)'), raw.bind(), raw.execute(), raw.flush()]
    await session.client.send(Buffer.concat(parts))
    await session.untilServer("state = 'active' AND query LIKE '%pg_sleep(600)%'")
  },
}

const isMute = (name: string): boolean => name.includes('does not read')

describe.each(doors)('on the %s door', (door) => {
  test.each(Object.keys(doings))('who is %s is out, and the server is free', async (name) => {
    const session = await setup.enter(door)
    await doings[name]?.(session)
    await setup.removeRule()
    if (isMute(name)) {
      await session.serverIsFree()
      session.client.resumeReading()
      await eventually(() => session.client.end !== 'open')
    } else {
      expectEnded(await session.fatal(), /rule removed/)
      await session.serverIsFree()
    }
  })
})

const serversOfPeople = async (): Promise<unknown> => {
  const sql = 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = $1'
  return (await sharedPostgres().query(sql, [setup.project.people.role]))[0]?.n
}

describe.each(['transaction', 'session'] satisfies Mode[])('a pool of one server, %s', (mode) => {
  beforeEach(async () => {
    const { people, app } = setup.project
    const users = [{ dbUser: people.role, poolSize: 1 }, { dbUser: app.role }]
    await setup.pooler.change(setup.project, { users })
  })

  test.each(Object.keys(doings))('has its place back from who was %s', async (name) => {
    const session = await setup.enter(mode)
    await doings[name]?.(session)
    await setup.removeRule()
    const app = await setup.enterAsApp(mode)
    await app.query('SELECT 42')
    expect(rowsOf(await app.untilReady())).toEqual([['42']])
    expect(await serversOfPeople()).toBe(1)
  })
})

test('who waits for a server on the transaction port is told, and leaves the queue', async () => {
  const { people, app: other } = setup.project
  const users = [{ dbUser: people.role, poolSize: 1 }, { dbUser: other.role }]
  await setup.pooler.change(setup.project, { users })
  const session = await setup.enter()
  const app = await setup.enterAsApp()
  await app.query('BEGIN')
  await app.untilReady()
  await session.client.query('SELECT 1')
  await eventually(() => waiters() === 1)
  await setup.removeRule()
  expectEnded(await session.fatal(), /rule removed/)
  expect(waiters()).toBe(0)
  await app.query('COMMIT')
  await app.untilReady()
})

test('whose login waits for a server on the session port is told, and leaves the queue', async () => {
  const { people, app: other, ref, database } = setup.project
  const users = [{ dbUser: people.role, poolSize: 1 }, { dbUser: other.role }]
  await setup.pooler.change(setup.project, { users })
  const app = await setup.enterAsApp('session')
  const client = await setup.connect('session')
  const user = `${people.role}.${ref}`
  await client.send(raw.startupMessage({ user, database, options: '-c jit=on' }))
  await client.expect('R')
  await client.send(raw.passwordMessage(setup.person.token))
  await client.expect('R')
  await eventually(() => waiters() === 1)
  await setup.removeRule()
  const [ended] = await client.readAll()
  expectEnded(errorFields(ended?.body as Buffer), /rule removed/)
  // Its place in the queue goes with its socket, which stays open for what still comes.
  await eventually(() => waiters() === 0)
  await app.query('SELECT 1')
  await app.untilReady()
})

function waiters(): number {
  const pools = [...setup.pooler.pooler.data.pools.entriesOf(setup.project.ref)]
  return pools.reduce((sum, { pool }) => sum + pool.waiters, 0)
}
