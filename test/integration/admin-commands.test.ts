// Commands of the console that change something, seen by clients and by the console itself.
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { adminPassword, ConsoleWorld, codeOf } from '../support/console-world.ts'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import { RunningPooler } from '../support/running-pooler.ts'

let world: ConsoleWorld
beforeAll(async () => {
  world = await ConsoleWorld.start()
})
beforeEach(() => world.newProject())
afterAll(() => world?.pooler.stop())
afterEach(() => world.settled())

test('PAUSE waits for the transaction, RESUME lets those who wait go on', async () => {
  const admin = await world.connect()
  const client = await world.app()
  await client.query('begin')
  let isPaused = false
  const pausing = admin.query(`pause ${world.project.ref}`).then(() => {
    isPaused = true
  })
  const second = await world.connect()
  await eventually(async () => {
    expect((await world.rowsOf(second, 'show pools'))[0]?.paused).toBe('yes')
  })
  expect(isPaused).toBe(false)
  await client.query('select 1')
  await client.query('commit')
  await pausing
  expect(await world.rowsOf(second, 'show servers')).toEqual([])
  const waiting = client.query('select 42 as answer')
  await eventually(async () => {
    expect((await world.rowsOf(second, 'show pools'))[0]?.cl_waiting).toBe(1)
  })
  expect(await codeOf(admin.query(`pause ${world.project.ref}`))).toContain('is paused already')
  await admin.query(`resume ${world.project.ref}`)
  expect((await waiting).rows).toEqual([{ answer: 42 }])
  expect(await codeOf(admin.query(`resume ${world.project.ref}`))).toContain('is not paused')
})

test('PAUSE closes the connection that listens, and RESUME opens it again', async () => {
  const admin = await world.connect()
  const client = await world.app()
  const heard: (string | undefined)[] = []
  client.on('notification', ({ payload }) => heard.push(payload))
  await client.query('listen news')
  const pids = 'select pid from pg_stat_activity where datname = $1 and backend_type = $2'
  const left = () => sharedPostgres().query(pids, [world.project.database, 'client backend'])
  await eventually(async () => expect(await left()).toHaveLength(2))
  await admin.query(`pause ${world.project.ref}`)
  expect(await left()).toEqual([])
  await admin.query(`resume ${world.project.ref}`)
  await eventually(async () => {
    await client.query("notify news, 'again'")
    return heard.includes('again')
  })
})

test('PAUSE that still waits is told when it is taken back', async () => {
  const [admin, second] = [await world.connect(), await world.connect()]
  const client = await world.app()
  await client.query('begin')
  const pausing = codeOf(admin.query(`pause ${world.project.ref}`))
  await eventually(async () => {
    expect((await world.rowsOf(second, 'show pools'))[0]?.paused).toBe('yes')
  })
  await second.query(`resume ${world.project.ref}`)
  expect(await pausing).toContain('it was resumed meanwhile')
  await client.query('commit')
})

test('PAUSE can be cancelled, and stays in force', async () => {
  const admin = await world.connect()
  const client = await world.app()
  await client.query('begin')
  const pausing = codeOf(admin.query(`pause ${world.project.app.role}.${world.project.ref}`))
  const second = await world.connect()
  await eventually(async () => {
    expect((await world.rowsOf(second, 'show pools'))[0]?.paused).toBe('yes')
  })
  const { processID, secretKey } = admin as unknown as { processID: number; secretKey: number }
  const canceler = await world.pooler.raw()
  const request = Buffer.alloc(16)
  for (const [at, value] of [16, 80877102, processID].entries()) request.writeInt32BE(value, at * 4)
  request.writeInt32BE(secretKey, 12)
  await canceler.send(request)
  expect(await pausing).toContain('57014')
  canceler.close()
  await client.query('commit')
  await admin.query(`resume ${world.project.ref}`)
})

test('a project that is paused before its first client makes it wait', async () => {
  const admin = await world.connect()
  await admin.query(`pause ${world.project.ref}`)
  const { role, password } = world.project.app
  const client = new pg.Client({
    connectionString: world.pooler.url(world.project, { role, password }),
  })
  const connecting = client.connect()
  await eventually(async () => {
    expect((await world.rowsOf(admin, 'show pools'))[0]?.cl_waiting).toBe(1)
  })
  await admin.query(`resume ${world.project.ref}`)
  await connecting
  await client.end()
})

test('RECONNECT and WAIT_CLOSE replace the servers', async () => {
  const admin = await world.connect()
  const client = await world.app()
  const pid = 'select pg_backend_pid() as pid'
  const before = (await client.query(pid)).rows
  await admin.query(`reconnect ${world.project.ref}`)
  await admin.query(`wait_close ${world.project.ref}`)
  expect((await client.query(pid)).rows).not.toEqual(before)
})

test('KILL ends clients at once and holds newcomers until RESUME', async () => {
  const admin = await world.connect()
  const client = await world.app()
  const sleeping = codeOf(client.query('select pg_sleep(600)'))
  await eventually(async () => {
    expect((await world.rowsOf(admin, 'show pools'))[0]?.sv_active).toBe(1)
  })
  await admin.query(`kill ${world.project.ref}`)
  expect(await sleeping).toContain('57P01')
  await admin.query(`resume ${world.project.ref}`)
  expect((await (await world.app()).query('select 1')).rowCount).toBe(1)
})

test('KILL_CLIENT ends one, by its id', async () => {
  const admin = await world.connect()
  const [one, other] = [await world.app(), await world.app()]
  const clients = await world.rowsOf(admin, 'show clients')
  await admin.query(`kill_client ${clients[0]?.id}`)
  const codes = await Promise.all([one, other].map((each) => codeOf(each.query('select 1'))))
  expect(codes.filter((code) => code === 'none')).toHaveLength(1)
})

test('DISABLE refuses newcomers, ENABLE lets them in again', async () => {
  const admin = await world.connect()
  const client = await world.app()
  await admin.query(`disable ${world.project.ref}`)
  expect(await codeOf(world.app())).toContain('an operator disabled it')
  expect((await client.query('select 1')).rowCount).toBe(1)
  await admin.query(`enable ${world.project.ref}`)
  await world.app()
})

test('RELOAD reads the certificates', async () => {
  const admin = await world.connect()
  expect((await admin.query('reload')).command).toBe('RELOAD')
})

test('each command but SHOW is an event', async () => {
  const admin = await world.connect()
  await admin.query('show pools')
  await admin.query(`reconnect ${world.project.ref}`)
  const told = world.pooler.captured.with({ msg: 'command at the console' })
  expect(told.at(-1)).toMatchObject({ operator: 'root', command: `reconnect ${world.project.ref}` })
})

describe('SHUTDOWN', () => {
  test.each(['shutdown', 'shutdown wait_for_servers', 'shutdown wait_for_clients'])(
    '%s',
    async (command) => {
      const going = await RunningPooler.start({ env: { ADMIN_PASSWORD: adminPassword } })
      const login = { user: 'latchkey', password: adminPassword, database: 'latchkey' }
      try {
        const client = await RawClient.loggedIn({ port: going.portOf(), ...login })
        await client.query(command)
        await client.untilType('C')
        client.close()
        await eventually(() => expect(going.pooler.data.portOf('transaction')).toBeNull())
        await eventually(() => expect(going.pooler.data.connections.size).toBe(0))
      } finally {
        await going.stop()
      }
    },
  )
})
